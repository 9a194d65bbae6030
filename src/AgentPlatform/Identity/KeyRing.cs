using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Identity;

/// <summary>What a new key is for, and how far it reaches. Without scopes it may do all that its role may.</summary>
public sealed record NewApiKey(string Name, string Role)
{
    public IReadOnlyList<string> Scopes { get; init; } = [Api.Scopes.All];

    public DateTimeOffset? ExpiresAt { get; init; }
}

/// <summary>The API keys of the transaction's tenant. Row level security shows each user its own, and owners and admins all.</summary>
public sealed class KeyRing(TimeProvider clock)
{
    /// <summary>Makes a key for a member of the tenant; the caller has checked that it may.</summary>
    public async Task<IssuedKey> IssueAsync(Transaction tx, Guid userId, NewApiKey key, CancellationToken ct)
    {
        var secret = KeyFormat.Create();
        var issued = await tx.SingleAsync<ApiKey>(
            Sql.Issue,
            [
                tx.TenantId, clock.NewId(), userId, key.Name.Trim(), KeyFormat.PrefixOf(secret), KeyFormat.Hash(secret), key.Role, key.Scopes.ToArray(),
                key.ExpiresAt?.ToUniversalTime(),
            ],
            ct);
        return new IssuedKey(issued, secret);
    }

    public async Task<Page<ApiKey>> ListAsync(Transaction tx, PageRequest page, CancellationToken ct) =>
        Page<ApiKey>.Cut(await tx.QueryAsync<ApiKey>(Sql.List, [tx.TenantId, page.Before, page.Fetch], ct), page, key => key.Id);

    public Task<ApiKey?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<ApiKey>(Sql.Find, [tx.TenantId, id], ct);

    internal Task<ApiKey?> LockAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<ApiKey>(Sql.Lock, [tx.TenantId, id], ct);

    /// <summary>From the commit on the key is refused. Revoking twice keeps the first time.</summary>
    public Task<ApiKey?> RevokeAsync(Transaction tx, Guid id, CancellationToken ct) =>
        tx.FindAsync<ApiKey>(Sql.Revoke, [tx.TenantId, id, clock.GetUtcNow()], ct);

    private static class Sql
    {
        internal const string Issue =
            """
            INSERT INTO identity.api_keys (tenant_id, id, user_id, name, prefix, secret_hash, role, scopes, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            RETURNING id, user_id, name, prefix, role, scopes, expires_at, last_used_at, revoked_at, created_at, updated_at
            """;

        internal const string List =
            """
            SELECT id, user_id, name, prefix, role, scopes, expires_at, last_used_at, revoked_at, created_at, updated_at
            FROM identity.api_keys WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
            """;

        internal const string Find =
            """
            SELECT id, user_id, name, prefix, role, scopes, expires_at, last_used_at, revoked_at, created_at, updated_at
            FROM identity.api_keys WHERE tenant_id = $1 AND id = $2
            """;

        internal const string Lock =
            """
            SELECT id, user_id, name, prefix, role, scopes, expires_at, last_used_at, revoked_at, created_at, updated_at
            FROM identity.api_keys WHERE tenant_id = $1 AND id = $2 FOR UPDATE
            """;

        internal const string Revoke =
            """
            UPDATE identity.api_keys SET revoked_at = coalesce(revoked_at, $3) WHERE tenant_id = $1 AND id = $2
            RETURNING id, user_id, name, prefix, role, scopes, expires_at, last_used_at, revoked_at, created_at, updated_at
            """;
    }
}
