using AgentPlatform.Audit;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Identity.Login;

/// <summary>Whose password is to be reset.</summary>
public sealed record ResetRequest(string? Email);

/// <summary>The token of a link, and the password to be.</summary>
public sealed record NewPassword(string? Token, string? Password);

/// <summary>
/// Sets a password by a link that was mailed. Who asks for one is told the same, and as late, whether there is an account or not. Using it ends all other
/// links and every session of the account.
/// </summary>
public sealed class ResetPassword
{
    /// <summary>What an answer takes at least: finding an account, or not, takes a hundredth of it.</summary>
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(150);

    private readonly Database _database;
    private readonly PasswordLinks _links;
    private readonly Passwords _passwords;
    private readonly SecurityLog _log;
    private readonly TimeProvider _clock;

    internal ResetPassword(Database database, PasswordLinks links, Passwords passwords, SecurityLog log, TimeProvider clock)
    {
        _database = database;
        _links = links;
        _passwords = passwords;
        _log = log;
        _clock = clock;
    }

    /// <summary>Null when it is taken; what becomes of it only the mailbox tells.</summary>
    public async Task<Problem?> RequestAsync(ResetRequest request, CancellationToken ct)
    {
        if (!UserDirectory.IsEmail(request.Email?.Trim()))
        {
            return Problem.Invalid("email", "Is not an e-mail address.");
        }

        var began = _clock.GetTimestamp();
        await AskAsync(request.Email!.Trim().ToLowerInvariant(), ct);
        if (Pace - _clock.GetElapsedTime(began) is { Ticks: > 0 } rest)
        {
            await Task.Delay(rest, _clock, ct);
        }

        return null;
    }

    /// <summary>Whether a token could be used now; for a page that asks for the password.</summary>
    public async Task<bool> IsOpenAsync(string token, CancellationToken ct)
    {
        var hash = KeyFormat.Hash(token);
        await using var tx = _database.BeginGateway(hash);
        return await tx.SingleAsync<bool>(Sql.IsOpen, [hash, _clock.GetUtcNow()], ct);
    }

    /// <summary>Sets the password; the account's id. An expired, used or unknown token is a 410, whichever it is.</summary>
    public async Task<Result<Guid>> CompleteAsync(NewPassword request, Origin origin, CancellationToken ct)
    {
        if (_passwords.Check(request.Password) is { } invalid)
        {
            return invalid;
        }

        // Hashing is dear: nobody has it done with a token he made up.
        if (request.Token is not { Length: > 0 and <= 200 } token || !await IsOpenAsync(token, ct))
        {
            return Over;
        }

        var (presented, hash) = (KeyFormat.Hash(token), await _passwords.HashAsync(request.Password!, ct));
        await using var tx = _database.BeginGateway(presented);
        if (await tx.SingleAsync<Guid?>(Sql.Reset, [presented, hash, _clock.GetUtcNow()], ct) is not { } user)
        {
            return Over;
        }

        var tenants = await LoginAttempts.TenantsAsync(tx, user, ct);
        await tx.CommitAsync(ct);
        foreach (var tenant in tenants)
        {
            await _log.WriteAsync(new SensitiveOperation(tenant.Id, user, "password.reset", "user", user.ToString(), null) { Origin = origin }, ct);
        }

        return user;
    }

    private static Problem Over => Problem.Gone("reset_token_over", "This link is over: it was used, has expired, or never was.");

    private async Task AskAsync(string email, CancellationToken ct)
    {
        await using var tx = _database.BeginGateway(email);
        var user = await tx.FindAsync<Guid?>(Sql.FindUser, [email], ct);
        if (await LoginAttempts.TenantsAsync(tx, user, ct) is [var home, ..])
        {
            tx.Enter(Actor.System(home.Id));
            _links.Ask(tx, user!.Value, PasswordLinks.Reset);
            await tx.CommitAsync(ct);
        }
    }

    private static class Sql
    {
        internal const string FindUser = "SELECT id FROM identity.users WHERE email = $1 AND is_active";

        internal const string IsOpen =
            """
            SELECT EXISTS (SELECT FROM identity.password_reset_tokens WHERE token_hash = $1 AND used_at IS NULL AND invalidated_at IS NULL AND expires_at > $2)
            """;

        internal const string Reset = "SELECT identity.reset_password($1, $2, $3)";
    }
}
