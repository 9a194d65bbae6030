using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Identity;

/// <summary>Turns a presented API key into a caller, in one round trip and a commit, and counts the request.</summary>
public sealed class Authenticator(Database database, TimeProvider clock)
{
    /// <summary>The length of a rate window.</summary>
    public static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    /// <summary>Unknown, expired and revoked keys, and keys of users who left or were closed, look the same to the caller.</summary>
    public async Task<Result<Caller>> AuthenticateAsync(string secret, string endpoint, CancellationToken ct)
    {
        if (!KeyFormat.IsValid(secret))
        {
            return Refused;
        }

        var now = clock.GetUtcNow();
        var hash = KeyFormat.Hash(secret);
        await using var tx = database.BeginGateway(hash);
        var presented = await tx.FindAsync<PresentedKey>(Sql.Authenticate, [hash, endpoint, now, Window], ct);
        if (presented is null || !Serves(presented, now))
        {
            return Refused;
        }

        await tx.CommitAsync(ct);
        var actor = new Actor(presented.TenantId, presented.UserId, Roles.Weaker(presented.KeyRole, presented.MemberRole!));
        return new Caller(actor, presented.KeyId, presented.Scopes, new RateWindow(presented.Requests, presented.WindowEnds));
    }

    private static Problem Refused => Problem.Unauthorized("invalid_api_key", "The API key is missing, unknown, expired or revoked.");

    private static bool Serves(PresentedKey key, DateTimeOffset now) =>
        key is { RevokedAt: null, IsActive: true, MemberRole: not null } && (key.ExpiresAt is null || key.ExpiresAt > now);

    private sealed record PresentedKey(
        Guid KeyId, Guid TenantId, Guid UserId, string KeyRole, string? MemberRole, string[] Scopes, DateTimeOffset? ExpiresAt,
        DateTimeOffset? RevokedAt, bool IsActive, int Requests, DateTimeOffset WindowEnds);

    private static class Sql
    {
        internal const string Authenticate =
            """
            SELECT key_id, tenant_id, user_id, key_role, member_role, scopes, expires_at, revoked_at, is_active, requests, window_ends
            FROM identity.authenticate($1, $2, $3, $4)
            """;
    }
}
