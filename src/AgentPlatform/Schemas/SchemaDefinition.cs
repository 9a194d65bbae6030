using System.Text.Json;
using System.Text.Json.Serialization;
using AgentPlatform.Kernel;

namespace AgentPlatform.Schemas;

/// <summary>
/// What a tenant's own system knows about a contact, and how it is asked: a row of <c>brand_schemas</c> as the API shows it. The token is never
/// shown, only its end (<see cref="TokenHint"/>).
/// </summary>
public sealed record SchemaDefinition
{
    public Guid Id { get; init; }
    public string SchemaId { get; init; } = "";
    public string SchemaName { get; init; } = "";
    public string? Description { get; init; }

    /// <summary>Major and minor; what was cached under another version does not count.</summary>
    public string Version { get; init; } = "1.0";
    public string? Category { get; init; }

    /// <summary>A URL whose host is literal; <c>{{contact.external_id}}</c> and the like may follow.</summary>
    public string ApiEndpoint { get; init; } = "";
    public string ApiMethod { get; init; } = "GET";

    /// <summary>A <see cref="SchemaAuth"/>.</summary>
    public JsonElement ApiAuth { get; init; }
    public string? TokenHint { get; init; }
    public JsonElement ApiHeaders { get; init; }
    public int ApiTimeoutSeconds { get; init; }
    public string RefreshStrategy { get; init; } = "on_demand";
    public int CacheTtlSeconds { get; init; }
    public bool CacheOnError { get; init; }

    /// <summary>Seconds after they were read for which keys may serve while the API fails.</summary>
    public int StaleCacheThresholdSeconds { get; init; }

    /// <summary>A list of <see cref="SchemaKeyDefinition"/>.</summary>
    public JsonElement Keys { get; init; }

    /// <summary>A <see cref="CompletionLogic"/>.</summary>
    public JsonElement SchemaCompletionLogic { get; init; }

    /// <summary>By status (<c>404</c>), class of statuses (<c>5xx</c>), error or <c>default</c>: a reaction; see <see cref="ErrorReaction"/>.</summary>
    public JsonElement ApiErrorHandling { get; init; }
    public bool IsActive { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    [JsonIgnore]
    public string? SealedToken { get; init; }

    internal SchemaAuth Auth => Json.Read<SchemaAuth>(ApiAuth);

    internal SchemaKeyDefinition[] KeyDefinitions => Json.Read<SchemaKeyDefinition[]>(Keys);
}

/// <summary>A schema as its author writes it: all of it, every time. What is left out, or null, has its default.</summary>
public sealed record SchemaInput
{
    public string? SchemaId { get; init; }
    public string? SchemaName { get; init; }
    public string? Description { get; init; }

    /// <summary>Left out, a change of what is asked or read counts the minor version up.</summary>
    public string? Version { get; init; }
    public string? Category { get; init; }
    public string? ApiEndpoint { get; init; }
    public string ApiMethod { get; init; } = "GET";
    public SchemaAuth ApiAuth { get; init => field = value ?? new(); } = new();

    /// <summary>The bearer token. It is sealed at once, and never shown; left out, the one that is there stays.</summary>
    public string? ApiToken { get; init; }
    public Dictionary<string, string> ApiHeaders { get; init => field = value ?? []; } = [];
    public int ApiTimeoutSeconds { get; init; } = 10;
    public string RefreshStrategy { get; init; } = "on_demand";
    public int CacheTtlSeconds { get; init; } = 300;
    public bool CacheOnError { get; init; } = true;
    public int StaleCacheThresholdSeconds { get; init; } = 600;
    public SchemaKeyDefinition[] Keys { get; init => field = value ?? []; } = [];
    public CompletionLogic SchemaCompletionLogic { get; init => field = value ?? new(); } = new();
    public Dictionary<string, string> ApiErrorHandling { get; init => field = value ?? []; } = [];
    public bool IsActive { get; init; } = true;
}

/// <summary>
/// Type: <c>none</c> or <c>bearer_token</c>. Source: <c>sealed_secret</c>, the token that came with the schema. In <c>Authorization</c> the word
/// <c>Bearer</c> goes before it; in any other header it stands alone.
/// </summary>
public sealed record SchemaAuth(string Type = "none", string? TokenSource = null, string? HeaderName = null)
{
    internal const string Bearer = "bearer_token";
    internal const string Sealed = "sealed_secret";

    internal static readonly string[] Types = ["none", Bearer];

    internal string Header => HeaderName ?? "Authorization";

    internal string Value(string token) => Header.Equals("Authorization", StringComparison.OrdinalIgnoreCase) ? $"Bearer {token}" : token;
}

/// <summary>One key: where it stands in the answer, and when it is complete. <see cref="DataType"/>: string, integer, number, boolean, object or array.</summary>
public sealed record SchemaKeyDefinition(
    string KeyName, string ApiFieldPath, string DataType = "string", bool RequiredForSchema = false, KeyCompletion? CompletionLogic = null)
{
    internal static readonly string[] DataTypes = ["string", "integer", "number", "boolean", "object", "array"];
}

/// <summary>Type: <c>non_empty</c>. Validation: <c>email_format</c> or <c>phone_e164</c>. The pattern, if any, must match as well.</summary>
public sealed record KeyCompletion(string Type = "non_empty", string? Validation = null, string? ValidationRegex = null)
{
    internal static readonly string[] Validations = ["email_format", "phone_e164"];
}

/// <summary>Type: <c>all_required_keys_complete</c>.</summary>
public sealed record CompletionLogic(string Type = CompletionLogic.AllRequired, bool ComputePercentage = true)
{
    internal const string AllRequired = "all_required_keys_complete";
}
