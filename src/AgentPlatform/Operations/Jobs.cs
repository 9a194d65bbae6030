using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Operations;

/// <summary>A recurring job of the platform and how its last run ended. Failures are counted since the first run ever.</summary>
public sealed record JobStatus(string JobName, DateTimeOffset LastRunAt, double LastDurationMs, string LastOutcome, string? LastError, long Runs, long Failures);

/// <summary>Keeps what became of each run of the recurring jobs, whichever host ran it.</summary>
public sealed class Jobs
{
    private readonly Database _database;
    private readonly TimeProvider _clock;

    internal Jobs(Database database, TimeProvider clock) => (_database, _clock) = (database, clock);

    /// <summary>Runs a job and records its end. A failure goes on to the caller.</summary>
    public async Task RunAsync(string name, Func<Task> run)
    {
        var started = _clock.GetUtcNow();
        try
        {
            await run();
        }
        catch (Exception e)
        {
            // The message may quote what a tenant wrote, and every operator reads this: it is in the log.
            await RecordAsync(name, started, "failed", e.GetType().Name);
            throw;
        }

        await RecordAsync(name, started, "succeeded", null);
    }

    internal async Task<Page<JobStatus>> ListAsync(Actor actor, CancellationToken ct)
    {
        await using var tx = _database.Begin(actor);
        return new Page<JobStatus>(await tx.QueryAsync<JobStatus>(Sql.List, [], ct), null);
    }

    private async Task RecordAsync(string name, DateTimeOffset started, string outcome, string? error)
    {
        await using var tx = _database.BeginWorker();
        tx.Post(Sql.Record, name, started, _clock.GetUtcNow(), outcome, error);
        await tx.CommitAsync(CancellationToken.None);
    }

    private static class Sql
    {
        internal const string Record =
            """
            INSERT INTO operations.jobs AS j (name, last_started_at, last_ended_at, last_outcome, last_error, runs, failures)
            VALUES ($1, $2, $3, $4, $5, 1, ($4 = 'failed')::integer)
            ON CONFLICT (name) DO UPDATE SET
                last_started_at = excluded.last_started_at, last_ended_at = excluded.last_ended_at, last_outcome = excluded.last_outcome,
                last_error = excluded.last_error, runs = j.runs + 1, failures = j.failures + excluded.failures
            """;

        internal const string List =
            "SELECT job_name, last_run_at, last_duration_ms, last_outcome, last_error, runs, failures FROM operations.cron_job_status ORDER BY job_name";
    }
}
