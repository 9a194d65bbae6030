using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Alerts;

/// <summary>Something a member is told in the console. Type: <c>info</c>, <c>warning</c>, <c>error</c> or <c>success</c>.</summary>
public sealed record Notification
{
    public Guid Id { get; init; }
    public Guid UserId { get; init; }
    public Guid? AlertHistoryId { get; init; }
    public string Title { get; init; } = "";
    public string Message { get; init; } = "";
    public string Type { get; init; } = "";

    /// <summary>1 is the most urgent, 10 the least.</summary>
    public int Priority { get; init; }
    public bool IsRead { get; init; }
    public bool IsDismissed { get; init; }

    /// <summary>What was delivered: an <see cref="AlertPayload"/>.</summary>
    public JsonElement Metadata { get; init; }
    public string? ActionUrl { get; init; }
    public string? ActionLabel { get; init; }
    public DateTimeOffset? ReadAt { get; init; }
    public DateTimeOffset? DismissedAt { get; init; }

    /// <summary>Not shown after it, and soon gone.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal static string TypeOf(AlertPayload alert) => alert switch
    {
        { AlertType: "task_success" } => "success",
        { Severity: "low" } => "info",
        { Severity: "medium" } => "warning",
        _ => "error",
    };
}

/// <summary>A member's own notifications; nobody sees those of others.</summary>
public sealed class Notifications(Database database, TimeProvider clock)
{
    /// <summary>What is neither dismissed nor past its time, newest first.</summary>
    public async Task<Page<Notification>> ListAsync(Transaction tx, Guid userId, bool unreadOnly, PageRequest page, CancellationToken ct) =>
        Page<Notification>.Cut(await tx.QueryAsync<Notification>(Sql.List, [userId, unreadOnly, clock.GetUtcNow(), page.Before, page.Fetch], ct), page, n => n.Id);

    /// <summary>The first time counts.</summary>
    public Task<Result<Notification>> ReadAsync(Actor actor, Guid id, CancellationToken ct) => ChangeAsync(actor, Sql.Read, id, ct);

    /// <summary>Also one that was not read. The first time counts.</summary>
    public Task<Result<Notification>> DismissAsync(Actor actor, Guid id, CancellationToken ct) => ChangeAsync(actor, Sql.Dismiss, id, ct);

    private async Task<Result<Notification>> ChangeAsync(Actor actor, string sql, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.FindAsync<Notification>(sql, [id, actor.UserId, clock.GetUtcNow()], ct) is not { } changed)
        {
            return Problem.NotFound("notification");
        }

        await tx.CommitAsync(ct);
        return changed;
    }

    private static class Sql
    {
        internal const string List =
            """
            SELECT * FROM alerts.in_app_notifications
            WHERE tenant_id = kernel.current_tenant_id() AND user_id = $1 AND NOT is_dismissed AND (NOT $2 OR NOT is_read)
              AND (expires_at IS NULL OR expires_at > $3) AND ($4::uuid IS NULL OR id < $4)
            ORDER BY id DESC LIMIT $5
            """;

        internal const string Read =
            """
            UPDATE alerts.in_app_notifications SET is_read = true, read_at = coalesce(read_at, $3)
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND user_id = $2 AND (expires_at IS NULL OR expires_at > $3)
            RETURNING *
            """;

        internal const string Dismiss =
            """
            UPDATE alerts.in_app_notifications SET is_dismissed = true, dismissed_at = coalesce(dismissed_at, $3)
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND user_id = $2 AND (expires_at IS NULL OR expires_at > $3)
            RETURNING *
            """;
    }
}
