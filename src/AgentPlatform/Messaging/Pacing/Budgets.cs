using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Messaging.Pacing;

/// <summary>How much a person has heard unasked today and in the last hour, and how much is allowed.</summary>
internal sealed record MessageBudget(Guid Id, DateOnly Date, int MessagesSent, DateTimeOffset? LastMessageAt, int DailyLimit, int HourlyLimit, bool QuietHoursEnabled, int InLastHour, DateTimeOffset? OldestInLastHour);

/// <summary>
/// One row a person and day. The row is locked from the look at it to the commit of the decision, so that two messages decided on at the
/// same moment cannot both be the last one allowed.
/// </summary>
internal sealed class Budgets(TimeProvider clock)
{
    /// <summary>Today's row, locked; a new day takes over the limits of the day before.</summary>
    internal async Task<MessageBudget> LockAsync(Transaction tx, Guid contactId, DateOnly today, CancellationToken ct)
    {
        tx.Post(Sql.Open, tx.TenantId, clock.NewId(), contactId, today);
        return await tx.SingleAsync<MessageBudget>(Sql.Load, [tx.TenantId, contactId, today, clock.GetUtcNow() - TimeSpan.FromHours(1)], ct);
    }

    /// <summary>Today's row, or what it would be: reading leaves no trace.</summary>
    internal async Task<MessageBudget> LookAsync(Transaction tx, Guid contactId, DateOnly today, CancellationToken ct) =>
        await tx.FindAsync<MessageBudget>(Sql.Load, [tx.TenantId, contactId, today, clock.GetUtcNow() - TimeSpan.FromHours(1)], ct)
        ?? await tx.SingleAsync<MessageBudget>(Sql.WouldBe, [tx.TenantId, contactId, today], ct);

    internal void Spend(Transaction tx, MessageBudget budget) => tx.Post(Sql.Spend, tx.TenantId, budget.Id, clock.GetUtcNow());

    /// <summary>The message never reached the person.</summary>
    internal void Refund(Transaction tx, Guid contactId, DateOnly day) => tx.Post(Sql.Refund, tx.TenantId, contactId, day);

    internal async Task<MessageBudget> ConfigureAsync(Transaction tx, Guid contactId, DateOnly today, int? dailyLimit, int? hourlyLimit, bool? quietHours, CancellationToken ct)
    {
        tx.Post(Sql.Open, tx.TenantId, clock.NewId(), contactId, today);
        tx.Post(Sql.Configure, tx.TenantId, contactId, today, dailyLimit, hourlyLimit, quietHours);
        return await tx.SingleAsync<MessageBudget>(Sql.Load, [tx.TenantId, contactId, today, clock.GetUtcNow() - TimeSpan.FromHours(1)], ct);
    }

    private static class Sql
    {
        // The update is there for its lock.
        internal const string Open =
            """
            INSERT INTO messaging.user_message_budget AS b (tenant_id, id, contact_id, date, daily_limit, hourly_limit, quiet_hours_enabled)
            SELECT $1, $2, $3, $4, coalesce(l.daily_limit, 5), coalesce(l.hourly_limit, 2), coalesce(l.quiet_hours_enabled, true)
            FROM (VALUES (1)) AS one
            LEFT JOIN LATERAL (SELECT p.daily_limit, p.hourly_limit, p.quiet_hours_enabled FROM messaging.user_message_budget AS p
                               WHERE p.tenant_id = $1 AND p.contact_id = $3 AND p.date < $4 ORDER BY p.date DESC LIMIT 1) AS l ON true
            ON CONFLICT (tenant_id, contact_id, date) DO UPDATE SET messages_sent = b.messages_sent
            """;

        internal const string Load =
            """
            SELECT b.id, b.date, b.messages_sent, b.last_message_at, b.daily_limit, b.hourly_limit, b.quiet_hours_enabled,
                   (SELECT count(*) FROM messaging.message_queue AS q
                    WHERE q.tenant_id = $1 AND q.contact_id = $2 AND q.proactive AND q.approved_at > $4 AND q.status IN ('approved', 'sent'))::integer AS in_last_hour,
                   (SELECT min(q.approved_at) FROM messaging.message_queue AS q
                    WHERE q.tenant_id = $1 AND q.contact_id = $2 AND q.proactive AND q.approved_at > $4 AND q.status IN ('approved', 'sent')) AS oldest_in_last_hour
            FROM messaging.user_message_budget AS b
            WHERE b.tenant_id = $1 AND b.contact_id = $2 AND b.date = $3
            """;

        internal const string WouldBe =
            """
            SELECT '00000000-0000-0000-0000-000000000000'::uuid AS id, $3::date AS date, 0 AS messages_sent, NULL::timestamptz AS last_message_at,
                   coalesce(l.daily_limit, 5) AS daily_limit, coalesce(l.hourly_limit, 2) AS hourly_limit, coalesce(l.quiet_hours_enabled, true) AS quiet_hours_enabled,
                   0 AS in_last_hour, NULL::timestamptz AS oldest_in_last_hour
            FROM (VALUES (1)) AS one
            LEFT JOIN LATERAL (SELECT p.daily_limit, p.hourly_limit, p.quiet_hours_enabled FROM messaging.user_message_budget AS p
                               WHERE p.tenant_id = $1 AND p.contact_id = $2 AND p.date < $3 ORDER BY p.date DESC LIMIT 1) AS l ON true
            """;

        internal const string Spend =
            "UPDATE messaging.user_message_budget SET messages_sent = messages_sent + 1, last_message_at = $3 WHERE tenant_id = $1 AND id = $2";

        internal const string Refund =
            "UPDATE messaging.user_message_budget SET messages_sent = messages_sent - 1 WHERE tenant_id = $1 AND contact_id = $2 AND date = $3 AND messages_sent > 0";

        internal const string Configure =
            """
            UPDATE messaging.user_message_budget
            SET daily_limit = coalesce($4, daily_limit), hourly_limit = coalesce($5, hourly_limit), quiet_hours_enabled = coalesce($6, quiet_hours_enabled)
            WHERE tenant_id = $1 AND contact_id = $2 AND date = $3
            """;
    }
}
