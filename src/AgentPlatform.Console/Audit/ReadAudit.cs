using AgentPlatform.Audit;
using AgentPlatform.Identity;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Console.Audit;

/// <summary>What the page shows: threats that are open, a page of changes, and who the people in them are.</summary>
public sealed record AuditOverview(IReadOnlyList<SecurityEvent> Threats, Page<AuditEntry> Changes, IReadOnlyDictionary<Guid, string> People);

/// <summary>Reads the audit as its reader, in two questions.</summary>
internal sealed class ReadAudit(Database database, UserDirectory users)
{
    private const int MostThreats = 50;

    internal async Task<AuditOverview> ReadAsync(Actor actor, AuditFilter filter, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        tx.Gather();
        var threats = SecurityEvents.ListAsync(tx, new ThreatFilter(null, null, Resolved: false, null, null), new PageRequest(MostThreats, null), ct);
        var changes = AuditLog.ListAsync(tx, filter, page, ct);
        await tx.AskAsync(ct);
        var entries = await changes;
        var people = await users.ColleaguesAsync(tx, [.. entries.Items.Select(e => e.UserId).Distinct()], ct);
        return new((await threats).Items, entries, people.ToDictionary(p => p.Id, p => p.FullName ?? p.Email));
    }
}
