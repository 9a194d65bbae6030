using AgentPlatform.Contacts;
using AgentPlatform.Messaging.Pacing;
using AgentPlatform.Postgres;

namespace AgentPlatform.Campaigns.Moves;

/// <summary>When a contact turns out to be another one, the other one has been written to.</summary>
internal sealed class MergedContacts(Recall recall) : IContactMergeParticipant
{
    public async Task MoveAsync(Transaction tx, Guid from, Guid into, CancellationToken ct)
    {
        // One person hears it once: of two messages that wait, the survivor's stays.
        await tx.ExecuteAsync(Sql.DropIdle, [from, into], ct);
        var dropped = await tx.QueryAsync<Guid?>(Sql.Drop, [from, into], ct);
        await recall.CancelAsync(tx, [.. dropped.OfType<Guid>()], "contact_merged", ct);
        tx.Post(Sql.Move, from, into);
    }

    private static class Sql
    {
        // Who could not be written to yields to who was.
        internal const string DropIdle =
            """
            DELETE FROM campaigns.move_recipients AS o
            WHERE o.tenant_id = kernel.current_tenant_id() AND o.contact_id = $2 AND o.status IN ('skipped', 'failed')
              AND EXISTS (SELECT FROM campaigns.move_recipients AS r
                          WHERE r.tenant_id = o.tenant_id AND r.move_id = o.move_id AND r.contact_id = $1 AND r.status NOT IN ('skipped', 'failed'))
            """;

        // Both were written to by the same move: what became of the survivor's message stays.
        internal const string Drop =
            """
            DELETE FROM campaigns.move_recipients AS r
            WHERE r.tenant_id = kernel.current_tenant_id() AND r.contact_id = $1
              AND EXISTS (SELECT FROM campaigns.move_recipients AS o WHERE o.tenant_id = r.tenant_id AND o.move_id = r.move_id AND o.contact_id = $2)
            RETURNING r.queue_id
            """;

        internal const string Move = "UPDATE campaigns.move_recipients SET contact_id = $2 WHERE tenant_id = kernel.current_tenant_id() AND contact_id = $1";
    }
}
