using AgentPlatform.Audit;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Identity.Login;

public sealed record RefreshRequest(string? RefreshToken);

/// <summary>
/// New tokens for a session. Each refresh token serves once, and with it goes the access token before. One that comes back after its use is in two hands:
/// the session ends, for the thief and for its user, who signs in again.
/// </summary>
internal sealed class RefreshSession(Database database, ThreatLog threats, IOptions<LoginOptions> options, TimeProvider clock)
{
    private static Problem Refused => Problem.Unauthorized("invalid_refresh_token", "The refresh token is unknown, used or expired.");

    internal async Task<Result<IssuedSession>> RefreshAsync(RefreshRequest request, Origin origin, CancellationToken ct)
    {
        if (!SessionTokens.IsRefresh(request.RefreshToken))
        {
            return Refused;
        }

        var (hash, lasting, now) = (KeyFormat.Hash(request.RefreshToken!), SessionTokens.LastingPartOf(request.RefreshToken!), clock.GetUtcNow());
        var (access, refresh) = (SessionTokens.NewAccess(lasting), SessionTokens.NewRefresh(lasting));
        await using var tx = database.BeginGateway(hash);
        var found = await tx.FindAsync<Refreshed>(
            Sql.Refresh, [hash, KeyFormat.Hash(access), KeyFormat.Hash(refresh), now, now.AddMinutes(options.Value.AccessMinutes)], ct);
        await tx.CommitAsync(ct);
        if (found is { Outcome: "reused" })
        {
            threats.Report(new Threat(found.TenantId, "reused_refresh_token", "session", found.SessionId, "A refresh token came back after its use; its session was ended.")
            {
                Severity = "medium",
                UserId = found.UserId,
                Origin = origin,
            });
        }

        return found is { Outcome: "refreshed" }
            ? new IssuedSession(found.SessionId, found.TenantId, found.UserId, found.Role!, access, found.AccessExpiresAt, refresh, found.ExpiresAt)
            : Refused;
    }

    private sealed record Refreshed(
        string Outcome, Guid TenantId, Guid SessionId, Guid UserId, string? Role, DateTimeOffset AccessExpiresAt, DateTimeOffset ExpiresAt);

    private static class Sql
    {
        internal const string Refresh =
            "SELECT outcome, tenant_id, session_id, user_id, role, access_expires_at, expires_at FROM identity.refresh_session($1, $2, $3, $4, $5)";
    }
}
