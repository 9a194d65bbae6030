using AgentPlatform.Api;
using AgentPlatform.Audit;
using AgentPlatform.Identity.Login;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Identity;

/// <summary>Turns a presented API key or access token into a caller, in one round trip and a commit, and counts the request. A key that serves no more is a threat.</summary>
public sealed class Authenticator(Database database, LoginSessions sessions, ThreatLog threats, SecurityLog log, TimeProvider clock)
{
    /// <summary>The length of a rate window.</summary>
    public static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    private static Problem Refused => Problem.Unauthorized("invalid_api_key", "The API key is missing, unknown, expired or revoked.");

    /// <summary>Unknown, expired and revoked keys, and keys of users who left or were closed, look the same to the caller.</summary>
    public async Task<Result<Caller>> AuthenticateAsync(string secret, string endpoint, Origin origin, CancellationToken ct) =>
        SessionTokens.IsAccess(secret) ? await sessions.AuthenticateAsync(secret, endpoint, origin, ct) : (await PresentAsync(secret, endpoint, origin, ct)).Caller;

    /// <summary>The same for a person who signs in, which is logged. A key that never was anybody's is nobody's sign-in.</summary>
    public async Task<Result<Caller>> SignInAsync(string secret, string endpoint, Origin origin, CancellationToken ct)
    {
        var (key, caller) = await PresentAsync(secret, endpoint, origin, ct);
        if (key is not null)
        {
            await log.WriteAsync(
                new SensitiveOperation(key.TenantId, key.UserId, "sign_in", "api_key", key.KeyId.ToString(), Fault(key)?.Words) { Origin = origin }, ct);
        }

        return caller;
    }

    private async Task<(PresentedKey? Key, Result<Caller> Caller)> PresentAsync(string secret, string endpoint, Origin origin, CancellationToken ct)
    {
        if (!KeyFormat.IsValid(secret))
        {
            return (null, Refused);
        }

        var hash = KeyFormat.Hash(secret);
        await using var tx = database.BeginGateway(hash);
        var presented = await tx.FindAsync<PresentedKey>(Sql.Authenticate, [hash, endpoint, clock.GetUtcNow(), Window], ct);
        if (presented is null)
        {
            return (null, Refused);
        }

        if (Fault(presented) is { } fault)
        {
            threats.Report(new Threat(presented.TenantId, fault.Type, "api_key", presented.KeyId, $"A request carried {fault.Words}.")
            {
                Severity = fault.Severity,
                UserId = presented.UserId,
                Origin = origin,
            });
            return (presented, Refused);
        }

        await tx.CommitAsync(ct);
        var actor = new Actor(presented.TenantId, presented.UserId, Roles.Weaker(presented.KeyRole, presented.MemberRole!)) { Origin = origin with { ApiKeyId = presented.KeyId } };
        return (presented, new Caller(actor, presented.KeyId, presented.Scopes, new RateWindow(presented.Requests, presented.WindowEnds)));
    }

    /// <summary>Why the key does not serve; null when it does. A key that was taken away is in hands that were not meant to have it.</summary>
    private KeyFault? Fault(PresentedKey key) => key switch
    {
        { RevokedAt: not null } => new("revoked_key", "medium", "a key that was revoked"),
        { IsActive: false } or { MemberRole: null } => new("closed_account_key", "medium", "a key of a closed account"),
        { ExpiresAt: { } expired } when expired <= clock.GetUtcNow() => new("expired_key", "low", "a key that has expired"),
        _ => null,
    };

    private sealed record KeyFault(string Type, string Severity, string Words);

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
