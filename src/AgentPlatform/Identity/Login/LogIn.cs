using System.Text.Json.Serialization;
using AgentPlatform.Api;
using AgentPlatform.Audit;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Identity.Login;

/// <summary>Who signs in. Tenant: the slug or the id of the one meant, for who is a member of several.</summary>
public sealed record LoginRequest(string? Email, string? Password, string? Tenant);

/// <summary>A tenant one may sign in to, and as what.</summary>
public sealed record TenantChoice(Guid Id, string Name, string Slug, string Role);

/// <summary>A session that was opened or refreshed, with its tokens: the only time they are shown. The access token goes where an API key would.</summary>
public sealed record IssuedSession(
    Guid SessionId, Guid TenantId, Guid UserId, string Role, string AccessToken, DateTimeOffset AccessExpiresAt, string RefreshToken, DateTimeOffset ExpiresAt)
{
    public string TokenType => "Bearer";
}

/// <summary>Status: <c>signed_in</c>, with the session; or <c>choose_tenant</c>: the password was right, and one of the tenants has to be named with it.</summary>
public sealed record LoginAnswer(string Status, IssuedSession? Session, IReadOnlyList<TenantChoice> Tenants)
{
    [JsonIgnore]
    public bool IsSignedIn => Session is not null;
}

/// <summary>
/// Opens a session for an address and its password. Whatever is wrong with them, the answer is the same, and takes as long: nobody learns who has an
/// account, or that one is closed or suspended.
/// </summary>
public sealed class LogIn
{
    private const int LongestPassword = 1000;

    private readonly Database _database;
    private readonly LoginAttempts _attempts;
    private readonly LoginSessions _sessions;
    private readonly Passwords _passwords;
    private readonly SecurityLog _log;

    internal LogIn(Database database, LoginAttempts attempts, LoginSessions sessions, Passwords passwords, SecurityLog log)
    {
        _database = database;
        _attempts = attempts;
        _sessions = sessions;
        _passwords = passwords;
        _log = log;
    }

    private static Problem Refused => Problem.Unauthorized("invalid_credentials", "The e-mail address or the password is wrong.");

    public async Task<Result<LoginAnswer>> SignInAsync(LoginRequest request, Origin origin, CancellationToken ct)
    {
        if (Check(request) is { } invalid)
        {
            return invalid;
        }

        var begun = await _attempts.BeginAsync(request.Email!.Trim().ToLowerInvariant(), origin, ct);
        if (!begun.IsOk)
        {
            return begun.Problem;
        }

        var login = begun.Value;
        var matches = await _passwords.MatchesAsync(request.Password!, login.PasswordHash, ct);
        if (Fault(login, matches) is { } fault)
        {
            await _attempts.FailAsync(login, fault, ct);
            return Refused;
        }

        var fresh = _passwords.IsDated(login.PasswordHash!) ? await _passwords.HashAsync(request.Password!, ct) : null;
        return await EnterAsync(login, request.Tenant?.Trim(), fresh, origin, ct) ?? await EnterAnewAsync(login, request, origin, ct);
    }

    /// <summary>The hash was replaced meanwhile: by another sign-in with the same password, then this one goes on with what that has written; or by another password.</summary>
    private async Task<Result<LoginAnswer>> EnterAnewAsync(BegunLogin login, LoginRequest request, Origin origin, CancellationToken ct)
    {
        var now = login with { PasswordHash = await HashNowAsync(login, ct) };
        if (!await _passwords.MatchesAsync(request.Password!, now.PasswordHash, ct))
        {
            await _attempts.FailAsync(now, "wrong_password", ct);
            return Refused;
        }

        return await EnterAsync(now, request.Tenant?.Trim(), freshHash: null, origin, ct) ?? Refused;
    }

    private async Task<string?> HashNowAsync(BegunLogin login, CancellationToken ct)
    {
        await using var tx = _database.BeginGateway(login.Email);
        tx.Enter(new Actor(Guid.Empty, login.UserId!.Value, "viewer"));
        return await tx.FindAsync<string>(Sql.HashNow, [login.UserId], ct);
    }

    /// <summary>Pure: the tenants that are meant. An id names one, also where another's slug looks like it.</summary>
    private static TenantChoice[] Meant(IReadOnlyList<TenantChoice> tenants, string? wanted) =>
        string.IsNullOrEmpty(wanted) ? [.. tenants]
        : tenants.FirstOrDefault(t => t.Id.ToString() == wanted) is { } named ? [named]
        : [.. tenants.Where(t => t.Slug == wanted)];

    /// <summary>Pure: why an attempt fails; null when it does not.</summary>
    private static string? Fault(BegunLogin login, bool matches) => login switch
    {
        { UserId: null } => "unknown_account",
        { PasswordHash: null } => "no_password",
        _ when !matches => "wrong_password",
        { IsActive: false } => "closed_account",
        _ => null,
    };

    /// <summary>Null when the hash that the password was compared with is no longer the account's.</summary>
    private async Task<Result<LoginAnswer>?> EnterAsync(BegunLogin login, string? wanted, string? freshHash, Origin origin, CancellationToken ct)
    {
        IssuedSession? session;
        IReadOnlyList<TenantChoice> tenants;
        await using (var tx = _database.BeginGateway(login.Email))
        {
            tenants = await LoginAttempts.TenantsAsync(tx, login.UserId, ct);
            var meant = Meant(tenants, wanted);
            var concerned = meant.Length == 0 ? Meant(await LoginAttempts.SuspensionsAsync(tx, login.UserId, ct), wanted) : meant;
            LoginAttempts.Settle(tx, login, meant.Length switch { 0 => "no_tenant", 1 => null, _ => "choose_tenant" }, concerned is [var only] ? only.Id : null);
            if (meant is not [var tenant])
            {
                await tx.CommitAsync(ct);
                return meant.Length == 0 ? (Result<LoginAnswer>)Refused : new LoginAnswer("choose_tenant", null, meant);
            }

            tx.Enter(new Actor(tenant.Id, login.UserId!.Value, tenant.Role));
            session = await _sessions.OpenAsync(tx, tenant.Role, origin, login.PasswordHash!, freshHash, ct);
            if (session is null)
            {
                return null;
            }

            await tx.CommitAsync(ct);
        }

        await _log.WriteAsync(new SensitiveOperation(session.TenantId, session.UserId, "sign_in", "session", session.SessionId.ToString(), null) { Origin = origin }, ct);
        return new LoginAnswer("signed_in", session, tenants);
    }

    private static Problem? Check(LoginRequest request) =>
        new Validation()
            .Check("email", UserDirectory.IsEmail(request.Email?.Trim()), "Is not an e-mail address.")
            .Check("password", request.Password is { Length: > 0 and <= LongestPassword }, "Is required.")
            .Text("tenant", request.Tenant, 100)
            .Problem;

    private static class Sql
    {
        internal const string HashNow = "SELECT password_hash FROM identity.credentials WHERE user_id = $1";
    }
}
