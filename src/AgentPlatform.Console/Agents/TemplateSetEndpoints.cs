using System.Globalization;
using AgentPlatform.Agents.Prompts;
using AgentPlatform.Brain.Instances;
using AgentPlatform.Console.Sessions;
using AgentPlatform.Console.Shell;
using AgentPlatform.Console.Sops;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Console.Agents;

/// <summary>Template sets: one in all its versions, and forms that word one or another version of it.</summary>
internal static class TemplateSetEndpoints
{
    internal static void MapTemplateSets(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/console/agents/{agent:guid}/template-sets/new", NewAsync).WithMetadata(new NeedsScope(AgentEndpoints.Write));
        endpoints.MapPost("/console/agents/{agent:guid}/template-sets", CreateAsync).WithMetadata(new NeedsScope(AgentEndpoints.Write));
        endpoints.MapGet("/console/template-sets/{id:guid}", ShowAsync).WithMetadata(new NeedsScope(AgentEndpoints.Read));
        endpoints.MapPost("/console/template-sets/{id:guid}", ChangeAsync).WithMetadata(new NeedsScope(AgentEndpoints.Write));
        endpoints.MapPost("/console/template-sets/{id:guid}/delete", DeleteAsync).WithMetadata(new NeedsScope(AgentEndpoints.Write));
    }

    private static Task<IResult> NewAsync(HttpContext http, AgentDesk desk, Guid agent, CancellationToken ct) => NewPageAsync(http, desk, agent, given: null, refusal: null, ct);

    private static async Task<IResult> CreateAsync(HttpContext http, AgentDesk desk, Guid agent, CancellationToken ct)
    {
        var given = await GivenAsync(http, ct);
        var made = await desk.WordAsync(OperatorSession.Of(http).Actor, agent, given.Input, ct);
        return made.IsOk ? Pages.See($"/console/template-sets/{made.Value.Id}") : await NewPageAsync(http, desk, agent, given, made.Problem, ct);
    }

    private static Task<IResult> ShowAsync(HttpContext http, AgentDesk desk, Guid id, int? version, CancellationToken ct) => PageAsync(http, desk, id, version, given: null, refusal: null, ct);

    private static async Task<IResult> ChangeAsync(HttpContext http, AgentDesk desk, Guid id, CancellationToken ct)
    {
        var given = await GivenAsync(http, ct);
        var changed = await desk.RewordAsync(OperatorSession.Of(http).Actor, id, given.Input, given.Seen, ct);
        return changed.IsOk ? Pages.See($"/console/template-sets/{id}") : await PageAsync(http, desk, id, version: null, given, changed.Problem, ct);
    }

    private static async Task<IResult> DeleteAsync(HttpContext http, AgentDesk desk, Guid id, CancellationToken ct)
    {
        var actor = OperatorSession.Of(http).Actor;
        if (await desk.ReadSetAsync(actor, id, version: null, ct) is not { } document)
        {
            return Pages.NotFound;
        }

        var gone = await desk.DiscardAsync(actor, id, ct);
        return gone.IsOk ? Pages.See($"/console/agents/{document.Agent.Id}") : await PageAsync(http, desk, id, version: null, given: null, gone.Problem, ct);
    }

    private static async Task<IResult> NewPageAsync(HttpContext http, AgentDesk desk, Guid agentId, WordingForm? given, Problem? refusal, CancellationToken ct)
    {
        var agent = (await desk.ListAsync(OperatorSession.Of(http).Actor, ct)).FirstOrDefault(one => one.Id == agentId);
        return agent is null
            ? Pages.NotFound
            : new RazorComponentResult<NewTemplateSetPage>(new { Agent = agent, Form = given ?? WordingForm.BuiltIn, Error = SopEndpoints.Words(refusal) }) { StatusCode = refusal?.Status };
    }

    private static async Task<IResult> PageAsync(HttpContext http, AgentDesk desk, Guid id, int? version, WordingForm? given, Problem? refusal, CancellationToken ct)
    {
        var session = OperatorSession.Of(http);
        return await desk.ReadSetAsync(session.Actor, id, version, ct) is not { } document
            ? Pages.NotFound
            : new RazorComponentResult<TemplateSetPage>(new
            {
                Document = document,
                Form = given ?? WordingForm.Of(document.Set, document.Shown),
                MayWrite = session.May(AgentEndpoints.Write),
                Error = SopEndpoints.Words(refusal),
            })
            { StatusCode = refusal?.Status };
    }

    private static async Task<WordingForm> GivenAsync(HttpContext http, CancellationToken ct)
    {
        var form = await http.Request.ReadFormAsync(ct);
        // Browsers send line ends of their own; as they are they would make every change a new version.
        var parts = PromptParts.All.ToDictionary(part => part.Name, part => form[$"part.{part.Name}"].ToString().ReplaceLineEndings("\n"), StringComparer.Ordinal);
        return new(form["name"].ToString(), form["description"].ToString().ReplaceLineEndings("\n"), form["in_use"] == "yes", parts, form["seen"].ToString());
    }
}

/// <summary>
/// The form of a template set: every part with its text. A part whose text is the built-in one is not the set's own; one without text is left out of
/// the prompt. SeenAt: which state of the set it was filled in from.
/// </summary>
public sealed record WordingForm(string Name, string Description, bool InUse, IReadOnlyDictionary<string, string> Parts, string SeenAt)
{
    internal static readonly WordingForm BuiltIn = new("", "", false, PromptParts.All.ToDictionary(part => part.Name, part => part.Template, StringComparer.Ordinal), "");

    internal TemplateSetInput Input => new(
        Name, Description.Length == 0 ? null : Description,
        PromptParts.All.Where(part => Parts[part.Name] != part.Template.ReplaceLineEndings("\n")).ToDictionary(part => part.Name, part => Parts[part.Name], StringComparer.Ordinal), InUse);

    /// <summary>What is no time was never an update: the change is refused.</summary>
    internal DateTimeOffset Seen => DateTimeOffset.TryParse(SeenAt, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out var at) ? at : DateTimeOffset.UnixEpoch;

    /// <summary>How a part is worded, in words and as a mark.</summary>
    internal (string Words, string Mark) State(PromptPart part) =>
        Parts[part.Name] == part.Template.ReplaceLineEndings("\n") ? ("built in", "plain") : Parts[part.Name].Length == 0 ? ("left out", "waiting") : ("own wording", "good");

    /// <summary>The set as it is, with the parts of one of its versions.</summary>
    internal static WordingForm Of(TemplateSet set, TemplateSetVersion version) => new(
        set.Name, set.Description ?? "", set.InUse,
        PromptParts.All.ToDictionary(part => part.Name, part => version.Parts.TryGetProperty(part.Name, out var own) ? own.GetString()! : part.Template, StringComparer.Ordinal),
        set.UpdatedAt.ToString("O", CultureInfo.InvariantCulture));
}
