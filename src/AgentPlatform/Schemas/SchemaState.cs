using System.Text.Json;
using System.Text.Json.Serialization;

namespace AgentPlatform.Schemas;

/// <summary>How far cached keys count.</summary>
public enum Freshness
{
    /// <summary>Within their time to live.</summary>
    Fresh,

    /// <summary>Past it, but the API fails and they may serve meanwhile.</summary>
    Stale,

    /// <summary>Past it: they are asked for again before they count.</summary>
    Expired,

    /// <summary>The schema is of another version by now, or not active.</summary>
    Outdated,
}

/// <summary>What was answered for one session of a contact: a row of <c>user_schema_state</c> as the API shows it.</summary>
public sealed record ContactSchemaState
{
    public Guid Id { get; init; }
    public Guid SessionId { get; init; }
    public Guid ContactId { get; init; }
    public Guid AgentId { get; init; }
    public Guid ConversationId { get; init; }
    public string SchemaId { get; init; } = "";
    public string SchemaVersion { get; init; } = "1.0";
    public DateTimeOffset LastFetchedAt { get; init; }

    /// <summary>The HTTP status, or the kind of error when there was no answer.</summary>
    public string ApiResponseStatus { get; init; } = "";
    public int ApiResponseTimeMs { get; init; }
    public string? ApiError { get; init; }

    /// <summary>When the keys came; null while none have.</summary>
    public DateTimeOffset? KeysReadAt { get; init; }
    public DateTimeOffset CacheExpiresAt { get; init; }

    /// <summary>Until when the keys serve although the last fetch failed.</summary>
    public DateTimeOffset? StaleUntil { get; init; }

    /// <summary>Nothing is asked before this, but on an operator's word.</summary>
    public DateTimeOffset NextRefreshAt { get; init; }

    /// <summary>By name: a <see cref="KeyState"/>.</summary>
    public JsonElement Keys { get; init; }

    /// <summary>none, incomplete or complete.</summary>
    public string SchemaStatus { get; init; } = "none";
    public int? SchemaCompletionPercentage { get; init; }
    public int RequiredKeysComplete { get; init; }
    public int RequiredKeysTotal { get; init; }
    public int OptionalKeysComplete { get; init; }
    public int OptionalKeysTotal { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    /// <summary>As of when it was read.</summary>
    public Freshness Freshness { get; init; }

    /// <summary>The schema's version now; null when it is not active.</summary>
    [JsonIgnore]
    public string? CurrentVersion { get; init; }

    [JsonIgnore]
    public bool Serves => Freshness is Freshness.Fresh or Freshness.Stale;

    internal ContactSchemaState At(DateTimeOffset now) => this with
    {
        Freshness = SchemaVersion != CurrentVersion ? Freshness.Outdated
            : CacheExpiresAt > now ? Freshness.Fresh
            : StaleUntil > now ? Freshness.Stale
            : Freshness.Expired,
    };
}

/// <summary>Status: <c>complete</c>, or <c>none</c> and then without a value. <see cref="LastUpdated"/>: when it became what it is.</summary>
public sealed record KeyState(string Status, JsonElement? Value, DateTimeOffset LastUpdated)
{
    internal const string Complete = "complete";
    internal const string None = "none";
}
