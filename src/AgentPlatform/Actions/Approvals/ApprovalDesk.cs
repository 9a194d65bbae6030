using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Actions.Approvals;

/// <summary>
/// An approval for who looks at it on a page. WhyNot: why this member cannot answer, null when they can. Members: who has answered, who was passed the
/// question, and whom it may be passed on to.
/// </summary>
public sealed record ApprovalSheet(ActionApproval Approval, string? WhyNot, IReadOnlyList<ReachableMember> Members);

/// <summary>Approvals for pages: the list and the answers of <c>/api/v1/approvals</c>, and those of the links.</summary>
public sealed class ApprovalDesk
{
    private readonly Database _database;
    private readonly DecideApproval _approvals;
    private readonly ApprovalLinks _links;
    private readonly MemberDirectory _members;
    private readonly TimeProvider _clock;

    internal ApprovalDesk(Database database, DecideApproval approvals, ApprovalLinks links, MemberDirectory members, TimeProvider clock) =>
        (_database, _approvals, _links, _members, _clock) = (database, approvals, links, members, clock);

    public async Task<Page<ActionApproval>> ListAsync(Actor actor, string? status, PageRequest page, CancellationToken ct)
    {
        await using var tx = _database.Begin(actor);
        return await _approvals.ListAsync(tx, status, page, ct);
    }

    public async Task<ApprovalSheet?> ReadAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = _database.Begin(actor);
        if (await _approvals.FindAsync(tx, id, ct) is not { } approval)
        {
            return null;
        }

        Guid[] named = [.. approval.Votes.Select(vote => vote.UserId), .. approval.Passed.SelectMany(passed => new[] { passed.FromUser, passed.ToUser })];
        var involved = named.Length == 0 ? [] : await _members.ReachableAsync(tx, named, ct);
        var leading = await _members.ReachableAsync(tx, named: null, ct);
        var refusal = approval.Refuses(actor.UserId, _clock.GetUtcNow()) ?? await _approvals.RefusesAsync(tx, actor.UserId, ct);
        return new(approval, refusal?.Title, [.. involved.UnionBy(leading, member => member.UserId)]);
    }

    /// <summary>A yes, with corrected fields if there are any; or a no, which says why.</summary>
    public Task<Result<ActionApproval>> AnswerAsync(Actor actor, Guid id, string? decision, JsonElement? edits, string? reason, CancellationToken ct)
    {
        var who = new Approver(actor.UserId, "console");
        return new LinkAnswer(decision, edits, reason).Problem is { } problem ? Task.FromResult<Result<ActionApproval>>(problem)
            : decision == "approve" ? ActAsync(actor, tx => _approvals.ApproveAsync(tx, id, who, edits, ct), ct)
            : ActAsync(actor, tx => _approvals.RejectAsync(tx, id, who, reason!, ct), ct);
    }

    public Task<Result<ActionApproval>> DelegateAsync(Actor actor, Guid id, Guid to, CancellationToken ct) =>
        ActAsync(actor, tx => _approvals.DelegateAsync(tx, id, actor.UserId, to, ct), ct);

    /// <summary>What a link asks. It decides nothing: mail scanners and previews follow links too.</summary>
    public Task<Result<ActionApproval>> ShowLinkAsync(string token, CancellationToken ct) => _links.ShowAsync(token, ct);

    public Task<Result<ActionApproval>> AnswerLinkAsync(string token, string? decision, JsonElement? edits, string? reason, CancellationToken ct) =>
        new LinkAnswer(decision, edits, reason) is var answer && answer.Problem is { } problem ? Task.FromResult<Result<ActionApproval>>(problem) : _links.AnswerAsync(token, answer, ct);

    /// <summary>A refusal commits nothing.</summary>
    private async Task<Result<ActionApproval>> ActAsync(Actor actor, Func<Transaction, Task<Result<ActionApproval>>> act, CancellationToken ct)
    {
        await using var tx = _database.Begin(actor);
        var acted = await act(tx);
        if (acted.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return acted;
    }
}
