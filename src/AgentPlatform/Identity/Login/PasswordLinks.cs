using System.Security.Cryptography;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Identity.Login;

/// <summary>A link is to be sent. Purpose: <see cref="PasswordLinks.Reset"/> or <see cref="PasswordLinks.Invitation"/>.</summary>
public sealed record PasswordNotice(Guid UserId, string Purpose);

/// <summary>A link that sets a password, until then. The token is told this once.</summary>
public sealed record PasswordLink(string Token, DateTimeOffset ExpiresAt);

/// <summary>Links by which a person sets a password. They are made where they are sent: no queue and no log ever holds a token.</summary>
public sealed class PasswordLinks(WorkQueue work, IOptions<LoginOptions> options, TimeProvider clock)
{
    /// <summary>The kind of work that sends one.</summary>
    public const string NoticeKind = "identity.password_link";

    public const string Reset = "reset", Invitation = "invitation";

    /// <summary>More in an hour are not made: nobody's mailbox is filled by asking.</summary>
    internal const int MostAnHour = 3;

    /// <summary>Asks for one in the transaction's tenant; within a minute it is asked for once.</summary>
    public void Ask(Transaction tx, Guid userId, string purpose) =>
        work.Enqueue(tx, new NewWork(NoticeKind, $"{userId:n}:{purpose}:{clock.GetUtcNow():yyyyMMddHHmm}", new PasswordNotice(userId, purpose)));

    /// <summary>Makes one; null when the account has had enough of them, or is invited and has a password.</summary>
    public async Task<PasswordLink?> IssueAsync(Transaction tx, PasswordNotice notice, CancellationToken ct)
    {
        var (token, now, first) = (Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)), clock.GetUtcNow(), notice.Purpose == Invitation);
        var until = first ? now.AddHours(options.Value.InvitationHours) : now.AddMinutes(options.Value.ResetMinutes);
        return await tx.SingleAsync<bool>(Sql.Issue, [clock.NewId(), notice.UserId, KeyFormat.Hash(token), now, until, MostAnHour, first], ct) ? new PasswordLink(token, until) : null;
    }

    /// <summary>Its mail did not leave: nobody has the link, and it is none of those that the account may have.</summary>
    public async Task TakeBackAsync(Transaction tx, PasswordNotice notice, PasswordLink link, CancellationToken ct) =>
        await tx.ExecuteAsync(Sql.TakeBack, [notice.UserId, KeyFormat.Hash(link.Token)], ct);

    private static class Sql
    {
        internal const string TakeBack = "SELECT identity.take_back_reset_token($1, $2)";

        internal const string Issue = "SELECT identity.issue_reset_token($1, $2, $3, $4, $5, $6, $7)";
    }
}
