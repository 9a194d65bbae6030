using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Tenancy.Instances;

namespace AgentPlatform.Agents.Prompts;

/// <summary>
/// How an agent talks to its language model: <see cref="Parts"/> of its latest version, by name; parts that it does not word are the built-in ones, and
/// an empty one is left out. The set that is <see cref="InUse"/> is the agent's; an agent without one uses the built-in wording.
/// </summary>
public sealed record TemplateSet(
    Guid Id, Guid AgentId, string Name, string? Description, int Version, JsonElement Parts, bool InUse, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);

/// <summary>A version of a template set. It never changes, and stays when its set is deleted.</summary>
public sealed record TemplateSetVersion(Guid TemplateSetId, int Version, JsonElement Parts, DateTimeOffset CreatedAt);

/// <summary>A template set as its author writes it: all of it, every time. Other parts than before make a new version.</summary>
public sealed record TemplateSetInput(string? Name, string? Description, IReadOnlyDictionary<string, string>? Parts, bool? InUse)
{
    private const int LongestPart = 20_000;

    /// <summary>Variables: the names of those that the agent's talks have.</summary>
    internal Problem? Check(IEnumerable<string> variables)
    {
        var known = variables.Select(name => $"variables.{name}").ToList();
        var validation = new Validation().Text("name", Name, 100, required: true).Text("description", Description, 5000).Check("parts", Parts is not null, "Is required.");
        foreach (var (name, template) in Parts ?? new Dictionary<string, string>(StringComparer.Ordinal))
        {
            var part = PromptParts.Find(name);
            validation.Check($"parts.{name}", part is not null, $"There is no such part: only {string.Join(", ", PromptParts.All.Select(p => p.Name))}.")
                .Check($"parts.{name}", template is { Length: <= LongestPart }, $"Is a text of at most {LongestPart} characters.");
            var wrong = part is null || template is null ? null : PromptWriting.Error(template, [.. part.Variables, .. known]);
            validation.Check($"parts.{name}", wrong is null, wrong ?? "");
        }

        return validation.Problem;
    }
}

/// <summary>What a model is told by: the parts of a version of a set, over the built-in ones. Without a set, the built-in wording alone.</summary>
public sealed record PromptWording(Guid? TemplateSetId, string? Name, int? Version, JsonElement Parts)
{
    public static readonly PromptWording BuiltIn = new(null, null, null, Json.Of(new { }));

    internal string Template(PromptPart part) => Parts.TryGetProperty(part.Name, out var own) ? own.GetString()! : part.Template;
}

/// <summary>An agent's wordings: its own, and those of instances that have another one.</summary>
internal sealed record AgentPrompts(PromptWording Own, IReadOnlyDictionary<Guid, PromptWording> Others)
{
    internal PromptWording Of(AgentInstance instance) => Others.GetValueOrDefault(instance.Id, Own);
}
