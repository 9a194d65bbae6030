using System.Security.Cryptography;
using System.Text;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Actions.Approvals;

/// <summary>
/// Lets a member answer an approval by replying to the message that asked them. What counts is the address a reply comes from and the code
/// that was sent there; neither alone decides anything. Nothing can be edited this way.
/// </summary>
public sealed class ApprovalCodes
{
    /// <summary>From an address that named so many wrong codes no reply counts any more: whoever only pretends to write from it may be guessing.</summary>
    internal const int MostWrongAnswers = 5;

    private readonly DecideApproval _approvals;
    private readonly TimeProvider _clock;

    internal ApprovalCodes(DecideApproval approvals, TimeProvider clock) => (_approvals, _clock) = (approvals, clock);

    /// <summary>The approval, if its question is still open to this member.</summary>
    public async Task<ActionApproval?> OpenAsync(Transaction tx, Guid approvalId, Guid userId, CancellationToken ct) =>
        await _approvals.FindAsync(tx, approvalId, ct) is { } approval && approval.Refuses(userId, _clock.GetUtcNow()) is null
            && await _approvals.RefusesAsync(tx, userId, ct) is null ? approval : null;

    /// <summary>A code for this member at this address; null when they have one already. It is shown this once.</summary>
    public async Task<string?> IssueAsync(Transaction tx, Guid approvalId, Guid userId, string channel, string address, CancellationToken ct)
    {
        var code = RandomNumberGenerator.GetInt32(1_000_000).ToString("D6", System.Globalization.CultureInfo.InvariantCulture);
        return await tx.ExecuteAsync(Sql.Issue, [tx.TenantId, _clock.NewId(), approvalId, userId, channel, address, Hash(tx.TenantId, code), _clock.GetUtcNow()], ct) == 1 ? code : null;
    }

    /// <summary>What to say to the sender, in whose answer's transaction everything happens; null when the text answers no approval.</summary>
    public async Task<string?> AnswerAsync(Transaction tx, ChannelAddress from, string text, CancellationToken ct)
    {
        if (ApprovalReply.Read(text) is not { } reply || !ContactDirectory.TryNormalize(from, out var at))
        {
            return null;
        }

        var found = await tx.QueryAsync<Row>(Sql.Find, [at.Channel, at.Address, Hash(tx.TenantId, reply.Code)], ct);
        var own = found.Where(row => row.IsTheirs).ToList();
        if (own.Exists(row => row.IsOpen && row.WrongAnswers >= MostWrongAnswers))
        {
            return "I am sorry, too many wrong codes came from here. Please answer in the console, or by your link.";
        }

        if (own.Find(row => row.IsNamed) is { } named)
        {
            return await DecideAsync(tx, named, reply, ct);
        }

        if (own.Exists(row => row.IsOpen))
        {
            tx.Post(Sql.Wrong, at.Channel, at.Address);
            return $"I am sorry, I do not know an approval with the code {reply.Code}.";
        }

        // Of others' codes only those count that are open: to a customer six digits are a number like any other.
        return found.Any(row => row.IsNamed && row.IsOpen) ? "I am sorry, this approval cannot be answered from here." : null;
    }

    private async Task<string> DecideAsync(Transaction tx, Row code, ApprovalReply reply, CancellationToken ct)
    {
        var who = new Approver(code.UserId, "reply");
        var decided = reply.Approves
            ? await _approvals.ApproveAsync(tx, code.ApprovalId, who, edits: null, ct)
            : await _approvals.RejectAsync(tx, code.ApprovalId, who, reply.Reason ?? "Refused by reply, without a reason.", ct);
        if (!decided.IsOk)
        {
            return $"I am sorry, nothing has changed. {decided.Problem.Title}";
        }

        tx.Post(Sql.Answered, code.Id, _clock.GetUtcNow());
        var approval = decided.Value;
        return approval.Status switch
        {
            "approved" => $"Thank you. {approval.ActionType} is approved and will run.",
            "rejected" => $"Thank you. {approval.ActionType} is refused and will not run.",
            _ => $"Thank you. Your yes to {approval.ActionType} is noted; {approval.Quorum} are needed.",
        };
    }

    // Six digits are soon tried out by whoever holds the table; it keeps the code out of lists and dumps all the same.
    private static string Hash(Guid tenantId, string code) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{tenantId}/{code}")));

    private sealed record Row(Guid Id, Guid ApprovalId, Guid UserId, bool IsTheirs, bool IsNamed, bool IsOpen, int WrongAnswers);

    private static class Sql
    {
        internal const string Issue =
            """
            INSERT INTO actions.approval_codes (tenant_id, id, approval_id, user_id, channel, address, code_hash, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT ON CONSTRAINT approval_codes_once DO NOTHING
            """;

        // The sender's own codes, whichever was named, and the named one, whoever's it is. Old questions are not opened again by a number.
        internal const string Find =
            """
            SELECT c.id, c.approval_id, c.user_id, c.channel = $1 AND c.address = $2 AS is_theirs, c.code_hash = $3 AS is_named,
                   a.status = 'pending' AS is_open, c.wrong_answers
            FROM actions.approval_codes c JOIN actions.action_approvals a ON a.tenant_id = c.tenant_id AND a.id = c.approval_id
            WHERE (c.channel = $1 AND c.address = $2 AND a.created_at > now() - interval '30 days') OR (c.code_hash = $3 AND a.status = 'pending')
            ORDER BY c.id DESC
            """;

        internal const string Wrong =
            "UPDATE actions.approval_codes SET wrong_answers = wrong_answers + 1 WHERE channel = $1 AND address = $2 AND answered_at IS NULL";

        internal const string Answered = "UPDATE actions.approval_codes SET answered_at = $2 WHERE id = $1";
    }
}
