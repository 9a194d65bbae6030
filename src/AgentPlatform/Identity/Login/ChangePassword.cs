using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Identity.Login;

public sealed record PasswordChange(string? CurrentPassword, string? NewPassword);

/// <summary>
/// Changes the caller's own password, by the one before it: an API key or a stolen session is not enough, and the first one comes by a link to the mailbox.
/// Guessing it here is an attempt to sign in like any other. Other sessions end, and open links.
/// </summary>
internal sealed class ChangePassword(Database database, UserDirectory users, LoginAttempts attempts, Passwords passwords, TimeProvider clock)
{
    internal async Task<Result<Guid>> ChangeAsync(Caller caller, PasswordChange change, CancellationToken ct)
    {
        if ((passwords.Check(change.NewPassword) ?? new Validation().Text("current_password", change.CurrentPassword, 1000, required: true).Problem) is { } invalid)
        {
            return invalid;
        }

        if (await AddressAsync(caller.Actor, ct) is not { } address)
        {
            return Problem.Conflict("password_not_set", "The account has no password yet.", "Ask for a link with POST /api/v1/auth/password-resets.");
        }

        var begun = await attempts.BeginAsync(address, caller.Actor.Origin ?? new Origin(null, null), ct);
        return begun.IsOk ? await ChangeAsync(caller, begun.Value, change, ct) : begun.Problem;
    }

    /// <summary>The address of an account that has a password.</summary>
    private async Task<string?> AddressAsync(Actor actor, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await tx.SingleAsync<bool>(Sql.HasPassword, [actor.UserId], ct) ? (await users.FindAsync(tx, actor.UserId, ct))?.Email : null;
    }

    private async Task<Result<Guid>> ChangeAsync(Caller caller, BegunLogin login, PasswordChange change, CancellationToken ct)
    {
        if (!await passwords.MatchesAsync(change.CurrentPassword!, login.PasswordHash, ct))
        {
            await attempts.FailAsync(login, "wrong_password", ct);
            return Problem.Invalid("current_password", "Is wrong.");
        }

        var (hash, now, user) = (await passwords.HashAsync(change.NewPassword!, ct), clock.GetUtcNow(), caller.Actor.UserId);
        await using var tx = database.BeginGateway(login.Email);
        LoginAttempts.Settle(tx, login, failure: null, caller.Actor.TenantId);
        tx.Enter(caller.Actor);
        if (await tx.ExecuteAsync(Sql.Change, [user, login.PasswordHash, hash, now], ct) == 0)
        {
            return Problem.Conflict("password_changed", "The password was changed in the meantime.");
        }

        tx.Post(Sql.EndOthers, user, caller.SessionId, now);
        tx.Post(Sql.CloseLinks, user, now);
        await tx.CommitAsync(ct);
        return user;
    }

    private static class Sql
    {
        internal const string HasPassword = "SELECT EXISTS (SELECT FROM identity.credentials WHERE user_id = $1)";

        internal const string Change = "UPDATE identity.credentials SET password_hash = $3, password_changed_at = $4 WHERE user_id = $1 AND password_hash = $2";

        internal const string EndOthers =
            """
            UPDATE identity.sessions SET ended_at = $3, end_reason = 'password_changed'
            WHERE user_id = $1 AND id IS DISTINCT FROM $2::uuid AND ended_at IS NULL
            """;

        internal const string CloseLinks =
            "UPDATE identity.password_reset_tokens SET invalidated_at = $2 WHERE user_id = $1 AND used_at IS NULL AND invalidated_at IS NULL";
    }
}
