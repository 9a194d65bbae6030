using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Identity.Login;

/// <summary>
/// A session as its user sees it. EndReason: <c>signed_out</c>, <c>revoked</c>, <c>password_changed</c>, <c>password_reset</c> or <c>token_reused</c>; null
/// while it goes on.
/// </summary>
public sealed record LoginSession(
    Guid Id, Guid TenantId, string? IpAddress, string? UserAgent, DateTimeOffset CreatedAt, DateTimeOffset LastUsedAt, DateTimeOffset ExpiresAt,
    DateTimeOffset? EndedAt, string? EndReason);

/// <summary>
/// Sessions of people who signed in with a password. Each request looks at its session's row: one that was ended, or whose user was suspended, is over
/// from the commit on.
/// </summary>
public sealed class LoginSessions(Database database, IOptions<LoginOptions> options, TimeProvider clock)
{
    private static Problem Refused => Problem.Unauthorized("invalid_access_token", "The access token is unknown, expired or revoked.");

    /// <summary>The caller behind an access token, in one round trip and a commit; its request is counted.</summary>
    internal async Task<Result<Caller>> AuthenticateAsync(string token, string endpoint, Origin origin, CancellationToken ct)
    {
        var (hash, now) = (KeyFormat.Hash(token), clock.GetUtcNow());
        await using var tx = database.BeginGateway(hash);
        var found = await tx.FindAsync<Presented>(Sql.Authenticate, [hash, endpoint, now, Authenticator.Window], ct);
        if (found is not { EndedAt: null, IsActive: true, MemberRole: { } role } || found.AccessExpiresAt <= now || found.ExpiresAt <= now)
        {
            return Refused;
        }

        await tx.CommitAsync(ct);
        var actor = new Actor(found.TenantId, found.UserId, role) { Origin = origin with { SessionId = found.SessionId } };
        return new Caller(actor, found.SessionId, [Scopes.All], new RateWindow(found.Requests, found.WindowEnds)) { SessionId = found.SessionId };
    }

    /// <summary>The session by its id, for who holds it in a sealed cookie; 401 when it is over.</summary>
    public async Task<Result<KeySession>> ResumeAsync(Guid tenantId, Guid userId, Guid sessionId, CancellationToken ct)
    {
        await using var tx = database.Begin(new Actor(tenantId, userId, "viewer"));
        var role = await tx.FindAsync<string>(Sql.Resume, [tenantId, sessionId, userId, clock.GetUtcNow()], ct);
        await tx.CommitAsync(ct);
        return role is null ? Problem.Unauthorized("session_over", "The session is over.") : new KeySession(new Actor(tenantId, userId, role), [Scopes.All]);
    }

    /// <summary>
    /// Opens one for the transaction's actor, whose password was right, and notes the sign-in; null when the password has been changed since
    /// <paramref name="verifiedHash"/> was read. A change that comes while this runs waits for it, and ends the session.
    /// </summary>
    internal async Task<IssuedSession?> OpenAsync(Transaction tx, string role, Origin origin, string verifiedHash, string? freshHash, CancellationToken ct)
    {
        var (id, now, lasting, user) = (clock.NewId(), clock.GetUtcNow(), SessionTokens.NewLastingPart(), tx.Actor!.UserId);
        var (access, refresh) = (SessionTokens.NewAccess(lasting), SessionTokens.NewRefresh(lasting));
        var (accessUntil, until) = (now.AddMinutes(options.Value.AccessMinutes), now.AddHours(options.Value.SessionHours));
        if (await tx.ExecuteAsync(Sql.NoteLogin, [user, now, freshHash, verifiedHash], ct) == 0)
        {
            return null;
        }

        tx.Post(Sql.Open, tx.TenantId, id, user, KeyFormat.Hash(access), accessUntil, origin.IpAddress, origin.UserAgent, now, until);
        tx.Post(Sql.FirstToken, tx.TenantId, id, user, KeyFormat.Hash(refresh), now);
        return new IssuedSession(id, tx.TenantId, user, role, access, accessUntil, refresh, until);
    }

    internal static async Task<Page<LoginSession>> ListAsync(Transaction tx, PageRequest page, CancellationToken ct) =>
        Page<LoginSession>.Cut(await tx.QueryAsync<LoginSession>(Sql.List, [tx.Actor!.UserId, page.Before, page.Fetch], ct), page, session => session.Id);

    /// <summary>Ends one of the actor's own sessions, in whichever tenant it is; ending it twice keeps the first time. 404 when it has none of this id.</summary>
    public async Task<Result<LoginSession>> EndAsync(Actor actor, Guid sessionId, string reason, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var ended = await tx.FindAsync<LoginSession>(Sql.End, [actor.UserId, sessionId, clock.GetUtcNow(), reason], ct);
        await tx.CommitAsync(ct);
        return ended.OrNotFound("session");
    }

    private sealed record Presented(
        Guid SessionId, Guid TenantId, Guid UserId, string? MemberRole, DateTimeOffset AccessExpiresAt, DateTimeOffset ExpiresAt, DateTimeOffset? EndedAt,
        bool IsActive, int Requests, DateTimeOffset WindowEnds);

    private static class Sql
    {
        internal const string Authenticate =
            """
            SELECT session_id, tenant_id, user_id, member_role, access_expires_at, expires_at, ended_at, is_active, requests, window_ends
            FROM identity.authenticate_session($1, $2, $3, $4)
            """;

        // Noted to the minute: a page is no reason to write.
        internal const string Resume =
            """
            WITH used AS (
                UPDATE identity.sessions SET last_used_at = $4
                WHERE tenant_id = $1 AND id = $2 AND user_id = $3 AND ended_at IS NULL AND last_used_at < $4::timestamptz - interval '1 minute'
            )
            SELECT tenancy.active_role(s.user_id)
            FROM identity.sessions s JOIN identity.users u ON u.id = s.user_id
            WHERE s.tenant_id = $1 AND s.id = $2 AND s.user_id = $3 AND s.ended_at IS NULL AND s.expires_at > $4 AND u.is_active
            """;

        internal const string Open =
            """
            INSERT INTO identity.sessions
                (tenant_id, id, user_id, access_hash, access_expires_at, ip_address, user_agent, created_at, last_used_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6::text::inet, left($7, 512), $8, $8, $9)
            """;

        internal const string FirstToken = "INSERT INTO identity.refresh_tokens (tenant_id, session_id, user_id, token_hash, issued_at) VALUES ($1, $2, $3, $4, $5)";

        internal const string NoteLogin =
            "UPDATE identity.credentials SET last_login_at = $2, password_hash = coalesce($3, password_hash) WHERE user_id = $1 AND password_hash = $4";

        internal const string List =
            """
            SELECT id, tenant_id, host(ip_address) AS ip_address, user_agent, created_at, last_used_at, expires_at, ended_at, end_reason
            FROM identity.sessions WHERE user_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
            """;

        internal const string End =
            """
            UPDATE identity.sessions SET ended_at = coalesce(ended_at, $3), end_reason = coalesce(end_reason, $4) WHERE user_id = $1 AND id = $2
            RETURNING id, tenant_id, host(ip_address) AS ip_address, user_agent, created_at, last_used_at, expires_at, ended_at, end_reason
            """;
    }
}
