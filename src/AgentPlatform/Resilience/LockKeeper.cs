using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Resilience;

/// <summary>
/// A lock that is held. The token proves it: whoever has it may renew and release. The fence is higher than that of any holder before:
/// hand it on with what you write, so that a write of a former holder that comes late can be refused.
/// </summary>
public sealed record HeldLock(Guid Id, string ResourceType, string ResourceId, Guid Token, long Fence, DateTimeOffset ExpiresAt);

/// <summary>A lock as operators see it: without the token, which is its holder's alone.</summary>
public sealed record LockView(Guid Id, string ResourceType, string ResourceId, string Holder, long Fence, DateTimeOffset AcquiredAt, DateTimeOffset ExpiresAt, bool Expired);

/// <summary>
/// Locks between hosts, for work that is longer than a transaction: one holder per (tenant, type, id), until released or expired. The
/// clock is the database's. One statement a transition, and no state in the session: works behind a pooler of transactions.
/// </summary>
public sealed class LockKeeper(EventStore events, TimeProvider clock)
{
    public static readonly TimeSpan DefaultTtl = TimeSpan.FromSeconds(30);

    /// <summary>Null when another holds it. <paramref name="holder"/> is for people to read.</summary>
    public Task<HeldLock?> AcquireAsync(Transaction tx, string resourceType, string resourceId, string holder, TimeSpan? ttl, CancellationToken ct)
    {
        tx.Post(Sql.Forget);
        return tx.FindAsync<HeldLock>(Sql.Acquire, [tx.TenantId, clock.NewId(), resourceType, resourceId, NewToken(), holder, ttl ?? DefaultTtl], ct);
    }

    /// <summary>Null when it has expired or is another's.</summary>
    public Task<HeldLock?> RenewAsync(Transaction tx, Guid id, Guid token, TimeSpan? ttl, CancellationToken ct) =>
        tx.FindAsync<HeldLock>(Sql.Renew, [id, token, ttl ?? DefaultTtl], ct);

    /// <summary>False when it is not the caller's any more; nothing is released then.</summary>
    public async Task<bool> ReleaseAsync(Transaction tx, Guid id, Guid token, CancellationToken ct) => await tx.ExecuteAsync(Sql.Release, [id, token], ct) == 1;

    internal async Task<Page<LockView>> ListAsync(Transaction tx, string? resourceType, PageRequest page, CancellationToken ct) =>
        Page<LockView>.Cut(await tx.QueryAsync<LockView>(Sql.List, [resourceType, page.Before, page.Fetch], ct), page, row => row.Id);

    internal static Task<LockView?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<LockView>(Sql.Find, [id], ct);

    /// <summary>An operator takes it away from its holder, who learns of it at its next renewal.</summary>
    internal async Task<Result<LockView>> ForceAsync(Transaction tx, Guid id, CancellationToken ct)
    {
        if (await tx.FindAsync<LockView>(Sql.Force, [id], ct) is not { } freed)
        {
            return Problem.NotFound("lock");
        }

        events.Append(tx, new NewEvent("lock.force_released", "lock", id, freed));
        return freed;
    }

    /// <summary>Not an id of ours: it must not be guessed from the time.</summary>
    private static Guid NewToken() => new(System.Security.Cryptography.RandomNumberGenerator.GetBytes(16));

    private static class Sql
    {
        internal const string Forget = "DELETE FROM resilience.locks WHERE expires_at < clock_timestamp() - interval '1 day'";

        // A row that is there and not expired leaves the conflict without an update, and the statement without a row. One who waits here for
        // another's commit reads the clock afterwards, which now() would not.
        internal const string Acquire =
            """
            INSERT INTO resilience.locks AS l (tenant_id, id, resource_type, resource_id, token, fence, holder, acquired_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, nextval('resilience.fences'), $6, clock_timestamp(), clock_timestamp() + $7)
            ON CONFLICT ON CONSTRAINT lock_has_one_holder DO UPDATE
            SET id = excluded.id, token = excluded.token, fence = nextval('resilience.fences'), holder = excluded.holder,
                acquired_at = clock_timestamp(), expires_at = clock_timestamp() + $7
            WHERE l.expires_at <= clock_timestamp()
            RETURNING id, resource_type, resource_id, token, fence, expires_at
            """;

        internal const string Renew =
            """
            UPDATE resilience.locks SET expires_at = clock_timestamp() + $3
            WHERE id = $1 AND token = $2 AND expires_at > clock_timestamp()
            RETURNING id, resource_type, resource_id, token, fence, expires_at
            """;

        internal const string Release = "DELETE FROM resilience.locks WHERE id = $1 AND token = $2 AND expires_at > clock_timestamp()";

        internal const string List =
            """
            SELECT id, resource_type, resource_id, holder, fence, acquired_at, expires_at, expires_at <= clock_timestamp() AS expired
            FROM resilience.locks
            WHERE ($1::text IS NULL OR resource_type = $1) AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3
            """;

        internal const string Find =
            """
            SELECT id, resource_type, resource_id, holder, fence, acquired_at, expires_at, expires_at <= clock_timestamp() AS expired
            FROM resilience.locks WHERE id = $1
            """;

        internal const string Force =
            """
            DELETE FROM resilience.locks WHERE id = $1
            RETURNING id, resource_type, resource_id, holder, fence, acquired_at, expires_at, expires_at <= clock_timestamp() AS expired
            """;
    }
}
