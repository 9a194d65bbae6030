using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Contacts.Privacy;

/// <summary>
/// Carries an erasure out, a batch a transaction: rows, what others keep of them, and the count of them go together. Interrupted, it begins again and finds only
/// what is left. It looks once more when what had begun before it is over, and says that it is done only after a look that found nothing.
/// </summary>
internal sealed class EraseContact(
    Database database, IEnumerable<IKeepsPersonalData> modules, IEnumerable<IKeepsTraces> traces, EventStore events, TimeProvider clock, IOptions<ContactsOptions> options)
    : IWorkHandler
{
    internal const string Kind = "contacts.erase";

    private const int BatchSize = 500;

    internal static NewWork Work(Guid erasureId) => new(Kind, erasureId.ToString(), new Payload(erasureId)) { Priority = 60 };

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var id = item.Read<Payload>().ErasureId;
        Progress? progress;
        await using (var tx = database.BeginErasure(item.TenantId))
        {
            progress = await tx.FindAsync<Progress>(Sql.Begin, [id], ct);
            await tx.CommitAsync(ct);
        }

        if (progress is null)
        {
            return new WorkOutcome.Cancel("The erasure is over or gone.");
        }

        // Of modules that build on each other the later one's rows go first; what goes may be what others were found by, so the last look finds nothing at all.
        while (await EraseAllAsync(item.TenantId, id, progress.ContactIds, ct) > 0)
        {
        }

        return await EndAsync(item, id, progress, ct);
    }

    public Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct)
    {
        tx.Post(Sql.Fail, item.Read<Payload>().ErasureId, error);
        return Task.CompletedTask;
    }

    private async Task<int> EraseAllAsync(Guid tenantId, Guid id, Guid[] contacts, CancellationToken ct)
    {
        var total = 0;
        foreach (var kept in modules.Reverse().SelectMany(m => m.Kept).Where(k => k.Erase is not null))
        {
            for (var erased = -1; erased != 0; total += erased)
            {
                await using var tx = database.BeginErasure(tenantId);
                var rows = await tx.QueryAsync<Guid>(kept.Erase!, [contacts, BatchSize], ct);
                erased = rows.Count;
                if (erased > 0)
                {
                    Forget(tx, [.. rows.Distinct()]);
                    tx.Post(Sql.Count, id, kept.Table, erased);
                    await tx.CommitAsync(ct);
                }
            }
        }

        return total;
    }

    private async Task<WorkOutcome> EndAsync(WorkItem item, Guid id, Progress progress, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var settled = (progress.SettlingFrom ?? now).AddMinutes(options.Value.ErasureSettleMinutes);
        await using var tx = database.BeginErasure(item.TenantId);
        Forget(tx, progress.ContactIds);
        if (settled > now)
        {
            tx.Post(Sql.Settle, id, now);
            item.Settle(tx, new WorkOutcome.Snooze(settled - now));
        }
        else
        {
            tx.Post(Sql.Complete, id, now);
            events.Append(tx, new NewEvent("contact.erased", "contact", progress.ContactIds[0], new { contact_id = progress.ContactIds[0], erasure_id = id }) { EventId = id });
            item.Settle(tx, new WorkOutcome.Done());
        }

        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private void Forget(Transaction tx, Guid[] rows)
    {
        foreach (var trace in traces)
        {
            trace.Forget(tx, rows);
        }
    }

    private sealed record Payload(Guid ErasureId);

    private sealed record Progress(Guid[] ContactIds, DateTimeOffset? SettlingFrom);

    private static class Sql
    {
        internal const string Begin =
            """
            UPDATE contacts.erasures SET status = CASE WHEN status = 'accepted' THEN 'erasing' ELSE status END
            WHERE id = $1 AND status IN ('accepted', 'erasing', 'settling')
            RETURNING contact_ids, settling_from
            """;

        internal const string Count =
            """
            UPDATE contacts.erasures
            SET rows_erased = rows_erased || jsonb_build_object($2::text, coalesce((rows_erased ->> $2)::bigint, 0) + $3::bigint) WHERE id = $1
            """;

        internal const string Settle = "UPDATE contacts.erasures SET status = 'settling', settling_from = coalesce(settling_from, $2) WHERE id = $1";

        internal const string Complete = "UPDATE contacts.erasures SET status = 'completed', settling_from = coalesce(settling_from, $2), completed_at = $2 WHERE id = $1";

        internal const string Fail = "UPDATE contacts.erasures SET status = 'failed', error = $2 WHERE id = $1 AND status <> 'completed'";
    }
}
