using AgentPlatform.Postgres;

namespace AgentPlatform.Memory.Episodes;

/// <summary>When a contact was forgotten last: what was said until then is not remembered, however late it is told.</summary>
public sealed record Forgetting(Guid ContactId, DateTimeOffset ForgottenAt);

/// <summary>Keeps when contacts were forgotten. Every method joins the caller's transaction.</summary>
internal static class Forgettings
{
    internal static Task<Forgetting?> FindAsync(Transaction tx, Guid contactId, CancellationToken ct) => tx.FindAsync<Forgetting>(Sql.Find, [contactId], ct);

    /// <summary>From here on nothing of before is kept: what is being kept meanwhile is waited for.</summary>
    internal static Task<Forgetting> BeginAsync(Transaction tx, Guid contactId, DateTimeOffset at, CancellationToken ct)
    {
        tx.PostCall(Sql.TakeTurn, contactId);
        return tx.SingleAsync<Forgetting>(Sql.Begin, [contactId, at], ct);
    }

    /// <summary>Whether what was said then is forgotten; no forgetting begins before the transaction ends.</summary>
    internal static async Task<bool> CoversAsync(Transaction tx, Guid contactId, DateTimeOffset saidAt, CancellationToken ct)
    {
        tx.PostCall(Sql.TakeTurn, contactId);
        return await FindAsync(tx, contactId, ct) is { } forgetting && saidAt <= forgetting.ForgottenAt;
    }

    internal static void Move(Transaction tx, Guid from, Guid into)
    {
        tx.Post(Sql.TakeOver, from, into);
        tx.Post(Sql.Drop, from);
    }

    private static class Sql
    {
        internal const string TakeTurn = "SELECT pg_advisory_xact_lock(hashtextextended('memory.forget:' || $1::uuid::text, 0))";

        internal const string Find = "SELECT contact_id, forgotten_at FROM memory.forgettings WHERE tenant_id = kernel.current_tenant_id() AND contact_id = $1";

        internal const string Begin =
            """
            INSERT INTO memory.forgettings AS f (tenant_id, contact_id, forgotten_at) VALUES (kernel.current_tenant_id(), $1, $2)
            ON CONFLICT (tenant_id, contact_id) DO UPDATE SET forgotten_at = greatest(f.forgotten_at, excluded.forgotten_at)
            RETURNING contact_id, forgotten_at
            """;

        internal const string TakeOver =
            """
            INSERT INTO memory.forgettings AS f (tenant_id, contact_id, forgotten_at)
            SELECT tenant_id, $2, forgotten_at FROM memory.forgettings WHERE tenant_id = kernel.current_tenant_id() AND contact_id = $1
            ON CONFLICT (tenant_id, contact_id) DO UPDATE SET forgotten_at = greatest(f.forgotten_at, excluded.forgotten_at)
            """;

        internal const string Drop = "DELETE FROM memory.forgettings WHERE tenant_id = kernel.current_tenant_id() AND contact_id = $1";
    }
}
