using AgentPlatform.Audit;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Identity.Login;

/// <summary>
/// An attempt to sign in. FailureReason: <c>unknown_account</c>, <c>no_password</c>, <c>wrong_password</c>, <c>closed_account</c>, <c>no_tenant</c> (suspended,
/// or no member of the one that was asked for), <c>choose_tenant</c>, <c>locked_out</c>, or <c>interrupted</c>; null when it succeeded.
/// </summary>
public sealed record LoginAttempt(
    Guid Id, Guid? TenantId, Guid? UserId, string Email, string IpAddress, string? UserAgent, bool Success, string? FailureReason, DateTimeOffset AttemptedAt);

/// <summary>Which attempts; null asks for all.</summary>
public sealed record AttemptFilter(string? Email, bool? Success);

/// <summary>What an attempt is measured against. PasswordHash: null without an account or a password.</summary>
internal sealed record BegunLogin(Guid Id, string Email, Guid? UserId, string? PasswordHash, bool IsActive);

/// <summary>
/// Every attempt to sign in, and the limits on them. An attempt is noted as a failure before anything is compared, so that many at once are counted
/// like many in turn, and what a crash interrupts counts, too. Known and unknown addresses are blocked alike.
/// </summary>
internal sealed class LoginAttempts(Database database, ThreatLog threats, IOptions<LoginOptions> options, TimeProvider clock, ILogger<LoginAttempts> log)
{
    private const string NoIp = "unknown";

    /// <summary>The attempt, or 429 when there were too many failures before it.</summary>
    internal async Task<Result<BegunLogin>> BeginAsync(string email, Origin origin, CancellationToken ct)
    {
        var (id, now, window) = (clock.NewId(), clock.GetUtcNow(), TimeSpan.FromMinutes(options.Value.LockoutMinutes));
        await using var tx = database.BeginGateway(email);
        var found = await tx.SingleAsync<Found>(
            Sql.Begin,
            [
                id, email, origin.IpAddress ?? NoIp, origin.UserAgent, now, now - window, options.Value.FailuresPerEmail,
                origin.IpAddress is null ? int.MaxValue : options.Value.FailuresPerIp,
            ],
            ct);
        if (found.BlockedSince is not { } since)
        {
            await tx.CommitAsync(ct);
            return new BegunLogin(id, email, found.UserId, found.PasswordHash, found.IsActive);
        }

        var concerned = await TenantsAsync(tx, found.UserId, ct);
        await tx.CommitAsync(ct);
        Report(found.UserId, concerned, origin);
        return new Problem("login_blocked", 429, "Too many attempts to sign in have failed.", "Try again later, or reset the password.") { RetryAfter = since + window - now };
    }

    /// <summary>Writes how it ended; in the transaction of its consequences, before that enters a tenant.</summary>
    internal static void Settle(Transaction tx, BegunLogin login, string? failure, Guid? tenantId = null) => tx.Post(Sql.Settle, login.Id, failure, tenantId);

    internal async Task FailAsync(BegunLogin login, string reason, CancellationToken ct)
    {
        await using var tx = database.BeginGateway(login.Email);
        Settle(tx, login, reason);
        await tx.CommitAsync(ct);
    }

    /// <summary>Where an account is suspended, the oldest membership first.</summary>
    internal static Task<IReadOnlyList<TenantChoice>> SuspensionsAsync(Transaction tx, Guid? userId, CancellationToken ct) =>
        tx.QueryAsync<TenantChoice>(Sql.Suspensions, [userId], ct);

    /// <summary>Where an account may sign in, the oldest membership first.</summary>
    internal static Task<IReadOnlyList<TenantChoice>> TenantsAsync(Transaction tx, Guid? userId, CancellationToken ct) =>
        tx.QueryAsync<TenantChoice>(Sql.Choices, [userId], ct);

    internal static async Task<Page<LoginAttempt>> ListAsync(Transaction tx, AttemptFilter filter, PageRequest page, CancellationToken ct) =>
        Page<LoginAttempt>.Cut(
            await tx.QueryAsync<LoginAttempt>(Sql.List, [tx.TenantId, filter.Email?.Trim().ToLowerInvariant(), filter.Success, page.Before, page.Fetch], ct), page, attempt => attempt.Id);

    /// <summary>A threat to each tenant the account could be used in. An address that is nobody's concerns no tenant, but the platform.</summary>
    private void Report(Guid? userId, IReadOnlyList<TenantChoice> concerned, Origin origin)
    {
        if (userId is not { } known)
        {
            log.StrangersLockedOut();
            return;
        }

        foreach (var tenant in concerned)
        {
            threats.Report(new Threat(tenant.Id, "login_lockout", "user", known, "Sign-ins to an account are blocked after repeated failures.")
            {
                Severity = "medium",
                UserId = known,
                Origin = origin,
            });
        }
    }

    private sealed record Found(Guid? UserId, string? PasswordHash, bool IsActive, DateTimeOffset? BlockedSince);

    private static class Sql
    {
        internal const string Begin = "SELECT user_id, password_hash, is_active, blocked_since FROM identity.begin_login($1, $2, $3, $4, $5, $6, $7, $8)";

        internal const string Settle = "UPDATE identity.login_attempts SET success = $2::text IS NULL, failure_reason = $2, tenant_id = $3 WHERE id = $1";

        internal const string Choices = "SELECT tenant_id AS id, name, slug, role FROM identity.login_choices($1)";

        internal const string Suspensions = "SELECT tenant_id AS id, name, slug, role FROM identity.login_suspensions($1)";

        // Each half ends at an index after a page: the tenant's own, and those of each member that meant no tenant. The policy decides which of these are told.
        internal const string List =
            """
            SELECT id, tenant_id, user_id, email, ip_address, user_agent, success, failure_reason, attempted_at
            FROM (
                (SELECT id, tenant_id, user_id, email, ip_address, user_agent, success, failure_reason, attempted_at
                 FROM identity.login_attempts
                 WHERE tenant_id = $1 AND ($2::text IS NULL OR email = $2) AND ($3::boolean IS NULL OR success = $3) AND ($4::uuid IS NULL OR id < $4)
                 ORDER BY id DESC LIMIT $5)
                UNION ALL
                (SELECT a.id, a.tenant_id, a.user_id, a.email, a.ip_address, a.user_agent, a.success, a.failure_reason, a.attempted_at
                 FROM identity.login_members() AS m
                 CROSS JOIN LATERAL (
                     SELECT id, tenant_id, user_id, email, ip_address, user_agent, success, failure_reason, attempted_at
                     FROM identity.login_attempts
                     WHERE user_id = m.user_id AND tenant_id IS NULL AND attempted_at >= m.joined_at
                       AND ($2::text IS NULL OR email = $2) AND ($3::boolean IS NULL OR success = $3) AND ($4::uuid IS NULL OR id < $4)
                     ORDER BY id DESC LIMIT $5
                 ) AS a
                 ORDER BY a.id DESC LIMIT $5)
            ) AS attempts
            ORDER BY id DESC LIMIT $5
            """;
    }
}
