using System.Collections.Concurrent;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Audit;

/// <summary>Something that whoever did it had no right to. It is about one thing of a tenant's: a key, a channel.</summary>
public sealed record Threat(Guid TenantId, string Type, string ResourceType, Guid ResourceId, string Description)
{
    /// <summary><c>low</c> unless told; what goes on for long becomes <c>medium</c> and <c>high</c> by itself.</summary>
    public string Severity { get; init; } = "low";

    /// <summary>Whose key it is.</summary>
    public Guid? UserId { get; init; }

    public Origin? Origin { get; init; }
}

/// <summary>
/// Collects threats and writes them every second. Reporting one costs a look into a dictionary and never waits; what repeats is counted, in memory and
/// then on the row of the open event, so that an attack of any size is one row for each thing attacked. A process that is killed loses what it had not
/// yet written: at most about a second.
/// </summary>
public sealed class ThreatLog(Database database, TimeProvider clock, ILogger<ThreatLog> log) : WriteBehind(clock)
{
    /// <summary>There are no more than there are keys and channels: what is not known to be somebody's is not reported.</summary>
    private readonly ConcurrentDictionary<(Guid TenantId, string Type, Guid ResourceId), Seen> _seen = new();

    public void Report(Threat threat) => _seen.AddOrUpdate(
        (threat.TenantId, threat.Type, threat.ResourceId), new Seen(threat, Clock.GetUtcNow(), 1), (_, before) => new Seen(threat, Clock.GetUtcNow(), before.Times + 1));

    public override async Task FlushAsync(CancellationToken ct)
    {
        foreach (var key in _seen.Keys)
        {
            if (_seen.TryRemove(key, out var seen))
            {
                await WriteAsync(token => WriteAsync(seen, token), ct);
            }
        }
    }

    protected override void Failed(Exception e) => log.ThreatLogFailed(e);

    private async Task WriteAsync(Seen seen, CancellationToken ct)
    {
        var (threat, origin) = (seen.Threat, seen.Threat.Origin);
        await using var tx = database.Begin(Actor.System(threat.TenantId));
        tx.Post(
            Sql.Fold, threat.TenantId, Clock.NewId(), threat.UserId, threat.Type, threat.Severity, threat.Description, threat.ResourceType, threat.ResourceId,
            origin?.IpAddress, origin?.UserAgent, Json.Param(origin?.Location), seen.Times, seen.At.ToUniversalTime());
        try
        {
            await tx.CommitAsync(ct);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.ForeignKeyViolation)
        {
            // The tenant was deleted in the meantime.
        }
    }

    /// <summary>The last of several, when it was, and how many there were.</summary>
    private sealed record Seen(Threat Threat, DateTimeOffset At, long Times);

    private static class Sql
    {
        // The first twenty addresses are kept: enough to tell one sender from many.
        internal const string Fold =
            """
            INSERT INTO audit.security_events AS e (
                tenant_id, id, user_id, event_type, severity, description, resource_type, resource_id,
                ip_address, user_agent, geo_location, metadata, occurrences, created_at, last_seen_at)
            VALUES ($1, $2, $3, $4, audit.severity_of($5, $12), $6, $7, $8, $9::text::inet, $10, $11,
                    jsonb_build_object('addresses', to_jsonb(array_remove(ARRAY[$9::text], NULL))), $12, $13, $13)
            ON CONFLICT (tenant_id, event_type, resource_id) WHERE NOT resolved DO UPDATE SET
                occurrences = e.occurrences + excluded.occurrences, severity = audit.severity_of(e.severity, e.occurrences + excluded.occurrences),
                description = excluded.description, ip_address = excluded.ip_address, user_agent = excluded.user_agent, geo_location = excluded.geo_location,
                metadata = CASE
                    WHEN e.metadata @> excluded.metadata OR jsonb_array_length(e.metadata -> 'addresses') >= 20 THEN e.metadata
                    ELSE jsonb_build_object('addresses', (e.metadata -> 'addresses') || (excluded.metadata -> 'addresses')) END,
                last_seen_at = greatest(e.last_seen_at, excluded.last_seen_at)
            """;
    }
}
