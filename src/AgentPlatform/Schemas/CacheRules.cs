using System.Globalization;
using System.Text.Json;
using AgentPlatform.Kernel;

namespace AgentPlatform.Schemas;

/// <summary>What a fetch brought: the answer's body, or why there is none. The time is the call's own.</summary>
internal sealed record FetchAnswer(JsonElement Body, int? Status, int TimeMs)
{
    internal FetchFailure? Failure { get; init; }
}

/// <summary>Pure: what a fetch makes of what was cached.</summary>
internal static class CacheRules
{
    /// <summary>After a failure that nothing is said about, keys are not asked for again before this.</summary>
    internal static readonly TimeSpan Pause = TimeSpan.FromMinutes(1);

    internal static readonly JsonElement Nothing = Json.Of(new Dictionary<string, KeyState>(StringComparer.Ordinal));

    /// <summary><paramref name="before"/> names the session and its contact; what it cached under another version is dropped.</summary>
    internal static ContactSchemaState After(SchemaDefinition schema, ContactSchemaState before, FetchAnswer answer, int attempt, DateTimeOffset now)
    {
        var current = before.SchemaVersion == schema.Version ? before : before with { Keys = Nothing, KeysReadAt = null };
        var fetched = current with
        {
            SchemaVersion = schema.Version,
            LastFetchedAt = now,
            ApiResponseStatus = answer.Status?.ToString(CultureInfo.InvariantCulture) ?? answer.Failure?.Kind ?? "",
            ApiResponseTimeMs = answer.TimeMs,
            ApiError = answer.Failure is { } failure ? $"{failure.Kind}: {failure.Message}" : null,
        };
        return answer.Failure is null || ErrorReaction.To(schema, answer.Failure) == ErrorReaction.Empty
            ? Read(schema, fetched with { ApiError = null }, answer.Body, now)
            : Failed(schema, fetched, answer.Failure, attempt, now);
    }

    /// <summary>2, 4, 8 … seconds, at most a minute; when the failure says more, that.</summary>
    internal static TimeSpan RetryAfter(FetchFailure failure, int attempt) =>
        failure.After ?? TimeSpan.FromSeconds(Math.Min(60, Math.Pow(2, Math.Clamp(attempt, 1, 6))));

    private static ContactSchemaState Read(SchemaDefinition schema, ContactSchemaState fetched, JsonElement body, DateTimeOffset now)
    {
        var expires = now.AddSeconds(schema.CacheTtlSeconds);
        return Counted(fetched, SchemaKeys.Read(schema, body, fetched.Keys, now)) with
        {
            KeysReadAt = now,
            CacheExpiresAt = expires,
            StaleUntil = null,
            NextRefreshAt = expires,
        };
    }

    private static ContactSchemaState Failed(SchemaDefinition schema, ContactSchemaState fetched, FetchFailure failure, int attempt, DateTimeOffset now)
    {
        var reaction = ErrorReaction.To(schema, failure);
        var serves = schema.CacheOnError && reaction != ErrorReaction.Fail && fetched.KeysReadAt is not null;
        // Nothing was read: the counters are those of an answer that holds no key.
        var counted = fetched.KeysReadAt is null ? Counted(fetched, SchemaKeys.Read(schema, Nothing, Nothing, now)) with { Keys = Nothing } : fetched;
        return counted with
        {
            CacheExpiresAt = fetched.KeysReadAt is not null && fetched.CacheExpiresAt < now ? fetched.CacheExpiresAt : now,
            StaleUntil = serves ? fetched.KeysReadAt!.Value.AddSeconds(schema.StaleCacheThresholdSeconds) : null,
            NextRefreshAt = now + (reaction == ErrorReaction.Retry ? RetryAfter(failure, attempt) : Pause),
        };
    }

    private static ContactSchemaState Counted(ContactSchemaState state, SchemaKeys read) => state with
    {
        Keys = Json.Of(read.Keys),
        SchemaStatus = read.Status,
        SchemaCompletionPercentage = read.Percentage,
        RequiredKeysComplete = read.RequiredComplete,
        RequiredKeysTotal = read.RequiredTotal,
        OptionalKeysComplete = read.OptionalComplete,
        OptionalKeysTotal = read.OptionalTotal,
    };
}
