using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Messaging;

/// <summary>What is to be sent, fixed before the first attempt: every attempt sends exactly this.</summary>
internal sealed record SendIntent(Guid ChannelId, string To, string? ToName, string Text, string? Subject, string? InReplyTo, IReadOnlyList<string> References, DateOnly? BudgetDate);

/// <summary>
/// The record of a call to the outside. Status: calling (the call may be under way), unknown (its answer was lost), not_sent (surely not
/// taken, may be tried again), then accepted, rejected or abandoned for good.
/// </summary>
internal sealed record SendEffect(
    Guid Id, Guid OutboundMessageId, Guid MessageId, JsonElement Intent, string Status, int Attempts, int Probes, DateTimeOffset FirstAttemptAt, DateTimeOffset LastAttemptAt)
{
    public SendIntent What => Json.Read<SendIntent>(Intent);

    /// <summary>Nobody may send again before the provider has been asked.</summary>
    public bool NeedsProbe => Status is "calling" or "unknown";
}

/// <summary>The same as operators see it: with the key that every attempt carries, how it ended or what went wrong last, and when it was settled.</summary>
internal sealed record StoredEffect(
    Guid Id, Guid QueueId, Guid OutboundMessageId, Guid MessageId, string IdempotencyKey, JsonElement Intent, string Status, int Attempts, int Probes, JsonElement? Outcome,
    string? Error, DateTimeOffset FirstAttemptAt, DateTimeOffset LastAttemptAt, DateTimeOffset? SettledAt, DateTimeOffset CreatedAt);

/// <summary>Writes and reads <c>messaging.effects</c>.</summary>
internal sealed class SendEffects(TimeProvider clock)
{
    internal SendEffect Begin(Transaction tx, Guid queueId, SendIntent what)
    {
        var now = clock.GetUtcNow();
        var effect = new SendEffect(clock.NewId(), clock.NewId(), clock.NewId(), Json.Of(what), "calling", 1, 0, now, now);
        tx.Post(Sql.Begin, tx.TenantId, effect.Id, queueId, effect.OutboundMessageId, effect.MessageId, $"send:{queueId}", effect.Intent, now);
        return effect;
    }

    internal Task<SendEffect?> FindAsync(Transaction tx, Guid queueId, CancellationToken ct) => tx.FindAsync<SendEffect>(Sql.Find, [tx.TenantId, queueId], ct);

    internal static Task<IReadOnlyList<StoredEffect>> OfAsync(Transaction tx, Guid queueId, CancellationToken ct) => tx.QueryAsync<StoredEffect>(Sql.Of, [tx.TenantId, queueId], ct);

    internal SendEffect Again(Transaction tx, SendEffect effect)
    {
        var now = clock.GetUtcNow();
        tx.Post(Sql.Again, tx.TenantId, effect.Id, now);
        return effect with { Status = "calling", Attempts = effect.Attempts + 1, LastAttemptAt = now };
    }

    /// <summary>The last attempt was none.</summary>
    internal void Uncount(Transaction tx, SendEffect effect) => tx.Post(Sql.Uncount, tx.TenantId, effect.Id);

    internal void Probing(Transaction tx, SendEffect effect) => tx.Post(Sql.Probing, tx.TenantId, effect.Id);

    /// <summary>Still open: not_sent or unknown.</summary>
    internal void Leave(Transaction tx, SendEffect effect, string status, string error) => tx.Post(Sql.Leave, tx.TenantId, effect.Id, status, error);

    /// <summary>For good: accepted, rejected or abandoned.</summary>
    internal void Settle(Transaction tx, SendEffect effect, string status, object outcome, string? error) =>
        tx.Post(Sql.Settle, tx.TenantId, effect.Id, status, Json.Param(outcome), error, clock.GetUtcNow());

    private static class Sql
    {
        internal const string Begin =
            """
            INSERT INTO messaging.effects (tenant_id, id, queue_id, outbound_message_id, message_id, idempotency_key, intent, status, attempts, first_attempt_at, last_attempt_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 'calling', 1, $8, $8)
            """;

        internal const string Find =
            """
            SELECT id, outbound_message_id, message_id, intent, status, attempts, probes, first_attempt_at, last_attempt_at
            FROM messaging.effects WHERE tenant_id = $1 AND queue_id = $2
            """;

        internal const string Of =
            """
            SELECT id, queue_id, outbound_message_id, message_id, idempotency_key, intent, status, attempts, probes, outcome, error, first_attempt_at, last_attempt_at, settled_at,
                   created_at
            FROM messaging.effects WHERE tenant_id = $1 AND queue_id = $2
            """;

        internal const string Again =
            "UPDATE messaging.effects SET status = 'calling', attempts = attempts + 1, last_attempt_at = $3 WHERE tenant_id = $1 AND id = $2 AND settled_at IS NULL";

        internal const string Uncount = "UPDATE messaging.effects SET attempts = attempts - 1 WHERE tenant_id = $1 AND id = $2 AND settled_at IS NULL";

        internal const string Probing = "UPDATE messaging.effects SET probes = probes + 1 WHERE tenant_id = $1 AND id = $2 AND settled_at IS NULL";

        internal const string Leave = "UPDATE messaging.effects SET status = $3, error = $4 WHERE tenant_id = $1 AND id = $2 AND settled_at IS NULL";

        internal const string Settle =
            """
            UPDATE messaging.effects SET status = $3, outcome = $4, error = $5, settled_at = $6
            WHERE tenant_id = $1 AND id = $2 AND settled_at IS NULL
            """;
    }
}
