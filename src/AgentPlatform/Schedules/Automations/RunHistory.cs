using AgentPlatform.Postgres;

namespace AgentPlatform.Schedules.Automations;

/// <summary>
/// A run of a scheduled task has ended, and is not repeated: everything there is to tell of it, for the run and its task may be gone when it is told. Status:
/// success, failed or timeout. Duration: milliseconds. Failure streak: how many runs up to this one ended without success, in a row.
/// </summary>
public sealed record RunEnded(
    Guid ExecutionId, Guid TaskId, string TaskName, Guid UserId, string Status, int AttemptNumber, int Duration, string? Error, int FailureStreak, DateTimeOffset EndedAt)
{
    /// <summary>Left, in the transaction that ends the run, for whoever tells people of it.</summary>
    public const string Kind = "schedules.run_ended";

    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>Where the task wants this end to be told; none when it does not.</summary>
    public IReadOnlyList<NotificationChannel> Notify { get; init; } = [];

    public bool IsFailure => Status != "success";
}

/// <summary>How runs of a task ended in a span of time. Runs that its history no longer keeps are not among them.</summary>
public sealed record RunShare(int Runs, int Failures);

/// <summary>What other modules may ask about scheduled tasks and their runs. Every method joins the caller's transaction.</summary>
public sealed class RunHistory
{
    /// <summary>Of the runs that ended after <paramref name="since"/> and not after <paramref name="until"/>, repeated ones with each attempt.</summary>
    public Task<RunShare> ShareAsync(Transaction tx, Guid taskId, DateTimeOffset since, DateTimeOffset until, CancellationToken ct) =>
        tx.SingleAsync<RunShare>(Sql.Share, [taskId, since.ToUniversalTime(), until.ToUniversalTime()], ct);

    /// <summary>Those of the ids that are no tasks of the tenant.</summary>
    public Task<IReadOnlyList<Guid>> MissingAsync(Transaction tx, IReadOnlyCollection<Guid> taskIds, CancellationToken ct) =>
        tx.QueryAsync<Guid>(Sql.Missing, [taskIds.ToArray()], ct);

    private static class Sql
    {
        internal const string Share =
            """
            SELECT count(*)::integer AS runs, count(*) FILTER (WHERE status <> 'success')::integer AS failures
            FROM schedules.scheduled_task_executions
            WHERE tenant_id = kernel.current_tenant_id() AND task_id = $1 AND status IN ('success', 'failed', 'timeout') AND completed_at > $2 AND completed_at <= $3
            """;

        internal const string Missing =
            """
            SELECT wanted.id FROM unnest($1::uuid[]) AS wanted (id)
            WHERE NOT EXISTS (SELECT FROM schedules.scheduled_browser_tasks t WHERE t.tenant_id = kernel.current_tenant_id() AND t.id = wanted.id)
            """;
    }
}
