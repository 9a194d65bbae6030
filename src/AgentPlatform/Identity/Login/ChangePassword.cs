using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Identity.Login;

public sealed record PasswordChange(string? CurrentPassword, string? NewPassword);

/// <summary>
/// Changes the caller's own password, by the one before it: an API key or a stolen session is not enough, and the first one comes by a link to the mailbox.
/// Other sessions end, and open links.
/// </summary>
internal sealed class ChangePassword(Database database, Passwords passwords, TimeProvider clock)
{
    internal async Task<Result<Guid>> ChangeAsync(Caller caller, PasswordChange change, CancellationToken ct)
    {
        if ((passwords.Check(change.NewPassword) ?? new Validation().Text("current_password", change.CurrentPassword, 1000, required: true).Problem) is { } invalid)
        {
            return invalid;
        }

        string? before;
        await using (var look = database.Begin(caller.Actor))
        {
            before = await look.FindAsync<string>(Sql.Find, [caller.Actor.UserId], ct);
        }

        if (before is null)
        {
            return Problem.Conflict("password_not_set", "The account has no password yet.", "Ask for a link with POST /api/v1/auth/password-resets.");
        }

        if (!await passwords.MatchesAsync(change.CurrentPassword!, before, ct))
        {
            return Problem.Invalid("current_password", "Is wrong.");
        }

        var (hash, now, user) = (await passwords.HashAsync(change.NewPassword!, ct), clock.GetUtcNow(), caller.Actor.UserId);
        await using var tx = database.Begin(caller.Actor);
        if (await tx.ExecuteAsync(Sql.Change, [user, before, hash, now], ct) == 0)
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
        internal const string Find = "SELECT password_hash FROM identity.credentials WHERE user_id = $1";

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
