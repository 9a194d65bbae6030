using System.Text.Json;
using AgentPlatform.Identity;
using AgentPlatform.Postgres;

namespace AgentPlatform.Tenancy;

/// <summary>A member, and where they can be written to. <paramref name="Phone"/> is in E.164.</summary>
public sealed record ReachableMember(Guid UserId, string Role, string Email, string? FullName, string? Phone, JsonElement NotificationSettings)
{
    /// <summary>Whether they want messages of a kind over a channel: see <see cref="Preferences"/>.</summary>
    public bool Wants(string kind, string channel) => Preferences.Wants(NotificationSettings, kind, channel);
}

/// <summary>Who works in the transaction's tenant.</summary>
public sealed class MemberDirectory(UserDirectory users)
{
    /// <summary>The named members, or the owners and admins when none are named. Suspended accounts and people who have left are missing.</summary>
    public async Task<IReadOnlyList<ReachableMember>> ReachableAsync(Transaction tx, IReadOnlyList<Guid>? named, CancellationToken ct)
    {
        var members = await tx.QueryAsync<Row>(Sql.Members, [tx.TenantId, named?.ToArray()], ct);
        var accounts = (await users.ReachableAsync(tx, [.. members.Select(m => m.UserId)], ct)).ToDictionary(u => u.Id);
        return [.. members.Where(m => accounts.ContainsKey(m.UserId)).Select(m => (Member: m, User: accounts[m.UserId])).Select(m =>
            new ReachableMember(m.Member.UserId, m.Member.Role, m.User.Email, m.User.FullName, m.User.Phone, m.User.NotificationSettings))];
    }

    /// <summary>Whether the user may do more than read now: viewers, suspended accounts and people who have left may not.</summary>
    public async Task<bool> MayActAsync(Transaction tx, Guid userId, CancellationToken ct) => await ReachableAsync(tx, [userId], ct) is [{ Role: not "viewer" }];

    /// <summary>The tenant's owner. Gather it with other questions.</summary>
    public Task<Guid> OwnerAsync(Transaction tx, CancellationToken ct) => tx.SingleAsync<Guid>(Sql.Owner, [tx.TenantId], ct);

    /// <summary>What the owner settled for all agents of the tenant: the lines of the constitution.</summary>
    public async Task<IReadOnlyList<string>> ConstitutionAsync(Transaction tx, Guid ownerId, CancellationToken ct) =>
        await users.FindAsync(tx, ownerId, ct) is { } owner ? Preferences.Lines(owner.Constitution) : [];

    private sealed record Row(Guid UserId, string Role);

    private static class Sql
    {
        internal const string Owner = "SELECT owner_id FROM tenancy.tenants WHERE id = $1";

        internal const string Members =
            """
            SELECT user_id, role FROM tenancy.workspace_members
            WHERE tenant_id = $1 AND suspended_at IS NULL AND CASE WHEN $2::uuid[] IS NULL THEN role IN ('owner', 'admin') ELSE user_id = ANY ($2) END
            ORDER BY joined_at
            """;
    }
}
