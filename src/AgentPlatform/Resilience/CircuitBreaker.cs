using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Resilience;

/// <summary>A service that is in trouble: it failed lately, or its circuit is not closed. <see cref="Wait"/> is how long an open one stays so.</summary>
public sealed record TroubledService(string Service, string State, TimeSpan Wait);

/// <summary>What a call has shown about its service.</summary>
public enum ServiceVerdict
{
    /// <summary>It answered, whatever it said.</summary>
    Healthy,

    /// <summary>It did not answer, or answered that it cannot serve.</summary>
    Broken,

    /// <summary>It was not called.</summary>
    Untried,
}

/// <summary>Leave to call a service, or how long to wait for it.</summary>
public sealed record Passage(string Service)
{
    /// <summary>Not now; ask again after this. Null: go ahead, and say how it went with <see cref="CircuitBreaker.LeaveAsync"/>.</summary>
    public TimeSpan? Wait { get; init; }

    /// <summary>It failed lately: a success is worth writing down.</summary>
    internal bool IsTroubled { get; init; }

    /// <summary>The one call that finds out whether an open circuit may close; held while the call is on.</summary>
    internal HeldLock? Trial { get; init; }
}

/// <summary>A circuit as the API shows it. State: <c>CLOSED</c>, <c>OPEN</c> or <c>HALF_OPEN</c>.</summary>
public sealed record Circuit(
    Guid Id, string Service, string State, int Failures, DateTimeOffset? LastFailureAt, string? LastError, int TimesOpened, DateTimeOffset? OpenedAt,
    DateTimeOffset? OpenUntil, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);

/// <summary>
/// Circuits, per tenant and service. After <see cref="ResilienceOptions.FailuresToOpen"/> failures in a row the service is left alone for
/// <see cref="ResilienceOptions.CoolDownSeconds"/>; then one call on one host tries it, and closes the circuit or opens it again. A call
/// asks in a round trip it makes anyway (<see cref="TroubledAsync"/>), and a call that succeeds at a healthy service writes nothing.
/// </summary>
public sealed class CircuitBreaker(LockKeeper locks, EventStore events, IOptions<ResilienceOptions> options, TimeProvider clock, ILogger<CircuitBreaker> log)
{
    internal const string LockType = "circuit";

    /// <summary>How often those look again who wait for another's trial.</summary>
    private static readonly TimeSpan TrialWait = TimeSpan.FromSeconds(2);

    /// <summary>The tenant's services that are in trouble. Gather it with another question.</summary>
    public Task<IReadOnlyList<TroubledService>> TroubledAsync(Transaction tx, CancellationToken ct) => tx.QueryAsync<TroubledService>(Sql.Troubled, [], ct);

    /// <summary>
    /// Costs a round trip only when the service is due for its trial. <paramref name="patience"/> is how long the call may take: a trial whose
    /// host dies is another's after that.
    /// </summary>
    public async Task<Passage> EnterAsync(Transaction tx, IReadOnlyList<TroubledService> troubled, string service, TimeSpan patience, CancellationToken ct)
    {
        var known = troubled.FirstOrDefault(t => t.Service == service);
        if (known is null or { State: "CLOSED" })
        {
            return new Passage(service) { IsTroubled = known is not null };
        }

        if (known is { State: "OPEN", Wait.Ticks: > 0 })
        {
            return new Passage(service) { Wait = known.Wait };
        }

        var ttl = patience > LockKeeper.DefaultTtl ? patience : LockKeeper.DefaultTtl;
        if (await locks.AcquireAsync(tx, LockType, service, "trial call", ttl, ct) is not { } trial)
        {
            return new Passage(service) { Wait = TrialWait };
        }

        // Another may have tried it, and closed or re-opened the circuit, since we looked.
        if (await tx.ExecuteAsync(Sql.HalfOpen, [service], ct) == 0)
        {
            await locks.ReleaseAsync(tx, trial.Id, trial.Token, ct);
            return new Passage(service) { Wait = TimeSpan.FromMilliseconds(100) };
        }

        return new Passage(service) { IsTroubled = true, Trial = trial };
    }

    /// <summary>In the transaction that settles the call. Only a failure, and the end of a trial, cost a round trip.</summary>
    public async Task LeaveAsync(Transaction tx, Passage passage, ServiceVerdict verdict, string? error, CancellationToken ct)
    {
        if (passage.Trial is { } trial)
        {
            // The verdict of one who took too long, and whose trial is another's by now, counts for nothing.
            if (await locks.ReleaseAsync(tx, trial.Id, trial.Token, ct) && verdict != ServiceVerdict.Untried)
            {
                await EndTrialAsync(tx, passage, verdict, error, ct);
            }
        }
        else if (verdict == ServiceVerdict.Broken)
        {
            await FailAsync(tx, passage, error, ct);
        }
        else if (verdict == ServiceVerdict.Healthy && passage.IsTroubled)
        {
            tx.Post(Sql.Forgive, passage.Service);
        }
    }

    internal async Task<Page<Circuit>> ListAsync(Transaction tx, string? state, PageRequest page, CancellationToken ct) =>
        Page<Circuit>.Cut(await tx.QueryAsync<Circuit>(Sql.List, [state, page.Before, page.Fetch], ct), page, row => row.Id);

    internal static Task<Circuit?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Circuit>(Sql.Find, [id], ct);

    /// <summary>An operator knows that the service is well again; a trial that is on counts for nothing.</summary>
    internal async Task<Result<Circuit>> ResetAsync(Transaction tx, Guid id, CancellationToken ct)
    {
        if (await tx.FindAsync<Circuit>(Sql.Reset, [id], ct) is not { } circuit)
        {
            return Problem.NotFound("circuit");
        }

        tx.Post(Sql.DropTrial, circuit.Service);
        events.Append(tx, new NewEvent("circuit.reset", "circuit", id, new { service = circuit.Service }));
        return circuit;
    }

    private async Task FailAsync(Transaction tx, Passage passage, string? error, CancellationToken ct)
    {
        var settings = options.Value;
        var after = await tx.SingleAsync<Circuit>(
            Sql.Fail,
            [tx.TenantId, clock.NewId(), passage.Service, error, settings.FailuresToOpen, TimeSpan.FromSeconds(settings.WindowSeconds), TimeSpan.FromSeconds(settings.CoolDownSeconds)], ct);
        // Those after the one that opened it come from calls that were under way.
        if (after.State == "OPEN" && after.OpenedAt == after.LastFailureAt)
        {
            Opened(tx, after);
        }
    }

    private async Task EndTrialAsync(Transaction tx, Passage passage, ServiceVerdict verdict, string? error, CancellationToken ct)
    {
        if (verdict == ServiceVerdict.Broken)
        {
            if (await tx.FindAsync<Circuit>(Sql.Reopen, [passage.Service, error, TimeSpan.FromSeconds(options.Value.CoolDownSeconds)], ct) is { } reopened)
            {
                Opened(tx, reopened);
            }
        }
        else if (await tx.FindAsync<Circuit>(Sql.Close, [passage.Service], ct) is { } closed)
        {
            events.Append(tx, new NewEvent("circuit.closed", "circuit", closed.Id, new { service = closed.Service }));
            log.CircuitClosed(closed.Service);
        }
    }

    private void Opened(Transaction tx, Circuit circuit)
    {
        events.Append(tx, new NewEvent("circuit.opened", "circuit", circuit.Id, new { service = circuit.Service, failures = circuit.Failures, open_until = circuit.OpenUntil, error = circuit.LastError }));
        log.CircuitOpened(circuit.Service, circuit.Failures);
    }

    private static class Sql
    {
        internal const string Troubled =
            """
            SELECT service, state, greatest(coalesce(open_until - clock_timestamp(), interval '0'), interval '0') AS wait
            FROM resilience.circuits WHERE state <> 'CLOSED' OR failures > 0
            """;

        internal const string HalfOpen =
            "UPDATE resilience.circuits SET state = 'HALF_OPEN' WHERE service = $1 AND (state = 'HALF_OPEN' OR state = 'OPEN' AND open_until <= clock_timestamp())";

        // Failures in a row: one that comes later than the window after the last begins a new row. What an open circuit hears of comes from
        // calls that were under way; it is counted, and prolongs nothing.
        internal const string Fail =
            """
            WITH at AS MATERIALIZED (SELECT clock_timestamp() AS now)
            INSERT INTO resilience.circuits AS c (tenant_id, id, service, state, failures, last_failure_at, last_error, times_opened, opened_at, open_until)
            SELECT $1, $2, $3, CASE WHEN $5::integer <= 1 THEN 'OPEN' ELSE 'CLOSED' END, 1, now, left($4, 1000), ($5 <= 1)::integer,
                   CASE WHEN $5 <= 1 THEN now END, CASE WHEN $5 <= 1 THEN now + $7::interval END
            FROM at
            ON CONFLICT ON CONSTRAINT circuit_of_service DO UPDATE
            SET (state, failures, last_failure_at, last_error, times_opened, opened_at, open_until) = (
                SELECT CASE WHEN o.opens THEN 'OPEN' ELSE c.state END, n.failures, excluded.last_failure_at, excluded.last_error, c.times_opened + o.opens::integer,
                       CASE WHEN o.opens THEN excluded.last_failure_at ELSE c.opened_at END,
                       CASE WHEN o.opens THEN excluded.last_failure_at + $7 ELSE c.open_until END
                FROM (SELECT CASE WHEN c.state = 'CLOSED' AND c.last_failure_at < excluded.last_failure_at - $6::interval THEN 1 ELSE c.failures + 1 END AS failures) AS n
                CROSS JOIN LATERAL (SELECT c.state = 'CLOSED' AND n.failures >= $5 AS opens) AS o)
            RETURNING id, service, state, failures, last_failure_at, last_error, times_opened, opened_at, open_until, created_at, updated_at
            """;

        internal const string Forgive = "UPDATE resilience.circuits SET failures = 0 WHERE service = $1 AND state = 'CLOSED' AND failures > 0";

        internal const string Reopen =
            """
            UPDATE resilience.circuits
            SET state = 'OPEN', failures = failures + 1, last_failure_at = clock_timestamp(), last_error = left($2, 1000), times_opened = times_opened + 1,
                opened_at = clock_timestamp(), open_until = clock_timestamp() + $3
            WHERE service = $1 AND state = 'HALF_OPEN'
            RETURNING id, service, state, failures, last_failure_at, last_error, times_opened, opened_at, open_until, created_at, updated_at
            """;

        internal const string Close =
            """
            UPDATE resilience.circuits SET state = 'CLOSED', failures = 0, opened_at = NULL, open_until = NULL
            WHERE service = $1 AND state = 'HALF_OPEN'
            RETURNING id, service, state, failures, last_failure_at, last_error, times_opened, opened_at, open_until, created_at, updated_at
            """;

        internal const string Reset =
            """
            UPDATE resilience.circuits SET state = 'CLOSED', failures = 0, opened_at = NULL, open_until = NULL
            WHERE id = $1
            RETURNING id, service, state, failures, last_failure_at, last_error, times_opened, opened_at, open_until, created_at, updated_at
            """;

        internal const string DropTrial = "DELETE FROM resilience.locks WHERE resource_type = 'circuit' AND resource_id = $1";

        internal const string Find =
            """
            SELECT id, service, state, failures, last_failure_at, last_error, times_opened, opened_at, open_until, created_at, updated_at
            FROM resilience.circuits WHERE id = $1
            """;

        internal const string List =
            """
            SELECT id, service, state, failures, last_failure_at, last_error, times_opened, opened_at, open_until, created_at, updated_at
            FROM resilience.circuits
            WHERE ($1::text IS NULL OR state = $1) AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3
            """;
    }
}
