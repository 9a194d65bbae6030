using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Identity;

/// <summary>Who goes on in a session, and what the key or the password that opened it allows now.</summary>
public sealed record KeySession(Actor Actor, IReadOnlyList<string> Scopes);

/// <summary>Sessions live no longer than the key that opened them: every request of one looks at the key again.</summary>
public sealed class KeySessions(Database database, TimeProvider clock)
{
    /// <summary>The session, or 401 when its key is revoked or expired, or its user has left the tenant or was closed.</summary>
    public async Task<Result<KeySession>> ResumeAsync(Guid tenantId, Guid userId, Guid keyId, CancellationToken ct)
    {
        await using var tx = database.Begin(new Actor(tenantId, userId, "viewer"));
        var key = await tx.FindAsync<ServingKey>(Sql.Resume, [tenantId, keyId, userId, clock.GetUtcNow()], ct);
        return key is { MemberRole: { } member }
            ? new KeySession(new Actor(tenantId, userId, Roles.Weaker(key.KeyRole, member)), key.Scopes)
            : Problem.Unauthorized("session_over", "The session is over.");
    }

    private sealed record ServingKey(string KeyRole, string? MemberRole, string[] Scopes);

    private static class Sql
    {
        internal const string Resume =
            """
            SELECT k.role AS key_role, tenancy.active_role(k.user_id) AS member_role, k.scopes
            FROM identity.api_keys k JOIN identity.users u ON u.id = k.user_id
            WHERE k.tenant_id = $1 AND k.id = $2 AND k.user_id = $3 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $4) AND u.is_active
            """;
    }
}
