using AgentPlatform.Channels;
using AgentPlatform.Channels.Email;
using AgentPlatform.Identity;
using AgentPlatform.Identity.Login;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Brain.Notices;

/// <summary>
/// Mails a link that sets a password. The link is made here, so that its token is in this mail and nowhere else. A mail that surely did not leave is tried
/// again minutes later with a link of its own, and the one in it is taken back; one that may have left is not.
/// </summary>
internal sealed class TellPasswordLink(Database database, UserDirectory users, PasswordLinks links, PlatformMail mail, PublicAddress address, TimeProvider clock) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        if (!mail.IsSetUp || address.BaseUrl is not { } baseUrl)
        {
            return new WorkOutcome.Cancel("Passwords are set by mail: it needs Channels__Email__Smtp, Channels__Email__From and PublicBaseUrl.");
        }

        var notice = item.Read<PasswordNotice>();
        await using var tx = database.Begin(Actor.System(item.TenantId));
        if (await users.ReachableAsync(tx, [notice.UserId], ct) is not [var person])
        {
            return new WorkOutcome.Cancel("The account was closed, or has left.");
        }

        if (await links.IssueAsync(tx, notice, ct) is not { } link)
        {
            return new WorkOutcome.Cancel("The account has a password, or has had enough links.");
        }

        await tx.CommitAsync(ct);
        var sent = await mail.SendAsync(clock.NewId(), person.Email, person.FullName, Subject(notice), Text(notice, link, baseUrl), ct);
        return sent switch
        {
            SendOutcome.NotSent refused => await TryLaterAsync(item, notice, link, refused.Error, ct),
            SendOutcome.Rejected rejected => new WorkOutcome.Dead(rejected.Message),
            _ => new WorkOutcome.Done(),
        };
    }

    private async Task<WorkOutcome> TryLaterAsync(WorkItem item, PasswordNotice notice, PasswordLink link, string error, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        await links.TakeBackAsync(tx, notice, link, ct);
        await tx.CommitAsync(ct);
        return new WorkOutcome.Retry(error, TimeSpan.FromMinutes(item.Attempt));
    }

    /// <summary>Pure: what the mail is about.</summary>
    internal static string Subject(PasswordNotice notice) => notice.Purpose == PasswordLinks.Invitation ? "You are invited to AgentPlatform" : "Set a new password for AgentPlatform";

    /// <summary>Pure: what the mail says.</summary>
    internal static string Text(PasswordNotice notice, PasswordLink link, string baseUrl) =>
        $"""
        {(notice.Purpose == PasswordLinks.Invitation ? "You were added to a workspace. Set your password to sign in:" : "Set a new password here:")}

        {baseUrl}/console/password/{link.Token}

        The link works once, until {link.ExpiresAt:yyyy-MM-dd HH:mm} UTC.
        If you did not expect this mail, do nothing: nothing changes.
        """.ReplaceLineEndings("\n");
}
