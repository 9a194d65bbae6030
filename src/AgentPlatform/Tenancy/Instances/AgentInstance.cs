using System.Security.Cryptography;
using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Tenancy.Instances;

/// <summary>
/// An agent as it runs in one of its roles. <see cref="Weight"/>: its share of the contacts that come, beside the other active instances of the role.
/// <see cref="ConfigJson"/>: <see cref="InstanceConfig"/>. <see cref="TemplateSetId"/>: null for what the agent uses; <see cref="PromptVersion"/>: null
/// for the set's latest. <see cref="Status"/>: <c>active</c> or <c>terminated</c>. <see cref="LastActiveAt"/>: of its latest turn, to the minute.
/// </summary>
public sealed record AgentInstance(
    Guid Id, Guid AgentId, string AgentType, string Name, int Weight, JsonElement ConfigJson, Guid? TemplateSetId, int? PromptVersion, string Status,
    DateTimeOffset? LastActiveAt, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt, DateTimeOffset? TerminatedAt)
{
    internal const string Primary = "primary";

    internal static readonly string[] Types = ["bouncer", "concierge", "innovator", "agent"];

    /// <summary>The agent as this instance runs it.</summary>
    public Agent Run(Agent agent)
    {
        var config = Json.Read<InstanceConfig>(ConfigJson);
        return agent with
        {
            SystemPrompt = config.SystemPrompt ?? agent.SystemPrompt,
            DefaultModel = config.DefaultModel ?? agent.DefaultModel,
            ModelUse = config.ModelUse ?? agent.ModelUse,
            FallbackModels = config.FallbackModels ?? agent.FallbackModels,
        };
    }

    /// <summary>
    /// The one that a contact is assigned to, in proportion to the weights. The same contact gets the same one of the same instances, and one more
    /// takes contacts only from the others to itself.
    /// </summary>
    public static AgentInstance Pick(Guid contactId, IReadOnlyList<AgentInstance> instances) =>
        instances.MaxBy(instance => instance.Weight / -Math.Log(Share(contactId, instance.Id)))!;

    /// <summary>Even over (0, 1), and the same on every host.</summary>
    private static double Share(Guid contactId, Guid instanceId)
    {
        Span<byte> both = stackalloc byte[32];
        contactId.TryWriteBytes(both, bigEndian: true, out _);
        instanceId.TryWriteBytes(both[16..], bigEndian: true, out _);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(both, hash);
        return ((BitConverter.ToUInt64(hash) >> 12) + 0.5) / (1UL << 52);
    }
}

/// <summary>What an instance has otherwise than its agent; null leaves a part as the agent has it.</summary>
public sealed record InstanceConfig(string? SystemPrompt, string? DefaultModel, string? ModelUse, string[]? FallbackModels)
{
    private static readonly string[] Known = ["system_prompt", "default_model", "model_use", "fallback_models"];

    internal static void Check(Validation validation, JsonElement json)
    {
        validation.MustBeObject("config_json", json);
        if (json.ValueKind != JsonValueKind.Object)
        {
            return;
        }

        foreach (var name in json.EnumerateObject().Select(part => part.Name).Where(name => !Known.Contains(name)))
        {
            validation.Check($"config_json.{name}", ok: false, $"There is no such part: only {string.Join(", ", Known)}.");
        }

        try
        {
            var config = Json.Read<InstanceConfig>(json);
            validation.Text("config_json.system_prompt", config.SystemPrompt, 50_000)
                .Text("config_json.default_model", config.DefaultModel, 100)
                .OneOf("config_json.model_use", config.ModelUse, required: false, "unsure", "always", "never")
                .Check("config_json.fallback_models", config.FallbackModels is null || (config.FallbackModels.Length <= 5 && config.FallbackModels.All(m => m is { Length: > 0 and <= 100 })), "Holds at most 5 models of 1 to 100 characters.");
        }
        catch (JsonException)
        {
            validation.Check("config_json", ok: false, "Holds texts, and `fallback_models` a list of texts.");
        }
    }
}

/// <summary>An instance to deploy, or what to change of one: then null leaves a field as it is, and the type cannot be changed.</summary>
public sealed record AgentInstanceInput(string? AgentType, string? Name, int? Weight, JsonElement? ConfigJson, Guid? TemplateSetId, int? PromptVersion)
{
    internal Problem? Check(bool isNew)
    {
        var validation = new Validation()
            .OneOf("agent_type", AgentType, required: isNew, AgentInstance.Types)
            .Check("agent_type", isNew || AgentType is null, "Cannot be changed: deploy another instance.")
            .Text("name", Name, 100, required: isNew || Name is not null)
            .Check("weight", Weight is null or (>= 0 and <= 1000), "Must be 0 to 1000.")
            .Check("prompt_version", PromptVersion is null || TemplateSetId is not null, "Is a version of `template_set_id`, which must be given.");
        if (ConfigJson is { } json)
        {
            InstanceConfig.Check(validation, json);
        }

        return validation.Problem;
    }
}
