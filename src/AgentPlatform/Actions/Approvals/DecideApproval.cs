using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;
using Npgsql;

namespace AgentPlatform.Actions.Approvals;

/// <summary>
/// Answers approvals. Every change of an approval happens under the lock of its queue row, so an answer, a second one, a cancellation
/// and the time-out come one after the other.
/// </summary>
internal sealed class DecideApproval(
    ActionQueue queue, ActionRegistry registry, RequestApproval requests, MemberDirectory members, WorkQueue work, EventStore events, TimeProvider clock)
{
    internal Task<ActionApproval?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<ActionApproval>(Sql.ById, [id], ct);

    /// <summary>The open question about a queued action; null when there is none.</summary>
    internal Task<Guid?> OfRequestAsync(Transaction tx, Guid actionQueueId, CancellationToken ct) => tx.FindAsync<Guid?>(Sql.OfRequest, [actionQueueId], ct);

    internal async Task<Page<ActionApproval>> ListAsync(Transaction tx, string? status, PageRequest page, CancellationToken ct) =>
        Page<ActionApproval>.Cut(await tx.QueryAsync<ActionApproval>(Sql.List, [status, page.Before, page.Fetch], ct), page, row => row.Id);

    /// <summary>Why this user may answer nothing now, whichever way they were asked: links and codes outlive a role.</summary>
    internal async Task<Problem?> RefusesAsync(Transaction tx, Guid userId, CancellationToken ct) =>
        await members.MayActAsync(tx, userId, ct) ? null : Problem.Forbidden("not_an_approver", "Only members may answer; viewers and closed accounts may not.");

    /// <summary>
    /// One member's yes, with corrections of the editable fields if there are any. The action runs once the quorum is reached. What
    /// others have agreed to can no longer be corrected.
    /// </summary>
    internal async Task<Result<ActionApproval>> ApproveAsync(Transaction tx, Guid id, Approver who, JsonElement? edits, CancellationToken ct)
    {
        var open = await OpenAsync(tx, id, who.UserId, ct);
        if (!open.IsOk)
        {
            return open.Problem;
        }

        var (approval, item) = open.Value;
        if (await registry.FindAsync(tx, item.AgentId, item.ActionId, ct) is not { IsActive: true } action)
        {
            return Problem.Conflict("action_not_offered", "The agent no longer offers this action.");
        }

        var corrected = Correct(approval, action, edits);
        if (!corrected.IsOk)
        {
            return corrected.Problem;
        }

        await VoteAsync(tx, approval, who, "approve", edits, null, ct);
        if (!JsonElement.DeepEquals(corrected.Value, approval.ActionParams))
        {
            // Whoever was shown the parameters of before is asked anew.
            tx.Post(Sql.Correct, id, corrected.Value);
            tx.Post(Sql.ForgetCodes, id);
            requests.NotifyAgain(tx, id, item.AgentId, action.ApprovalPolicy?.Approvers);
        }

        Announce(tx, "approval.voted", item, new { approval_id = id, user_id = who.UserId, via = who.Via, edited = edits is not null });
        if (approval.NeedsOneMore)
        {
            await AllowAsync(tx, approval with { ActionParams = corrected.Value }, item, action, "approved", ct);
        }

        return (await FindAsync(tx, id, ct))!;
    }

    /// <summary>One member's no ends it: the request is cancelled.</summary>
    internal async Task<Result<ActionApproval>> RejectAsync(Transaction tx, Guid id, Approver who, string reason, CancellationToken ct)
    {
        var open = await OpenAsync(tx, id, who.UserId, ct);
        if (!open.IsOk)
        {
            return open.Problem;
        }

        await VoteAsync(tx, open.Value.Approval, who, "reject", null, reason, ct);
        await RefuseAsync(tx, open.Value.Approval, open.Value.Item, "rejected", reason, ct);
        return (await FindAsync(tx, id, ct))!;
    }

    /// <summary>A member passes their say on to another, and no longer has it. It adds no vote: members count once.</summary>
    internal async Task<Result<ActionApproval>> DelegateAsync(Transaction tx, Guid id, Guid from, Guid to, CancellationToken ct)
    {
        var open = await OpenAsync(tx, id, from, ct);
        if (!open.IsOk || open.Value.Approval.Refuses(to, clock.GetUtcNow()) is not null || from == to)
        {
            return open.Problem ?? Problem.Conflict("not_delegable", "This member cannot answer: they have answered, have passed the question on, or are yourself.");
        }

        if (await RefusesAsync(tx, to, ct) is not null)
        {
            return Problem.Conflict("not_delegable", "Only members may answer; viewers and closed accounts may not.");
        }

        try
        {
            await tx.ExecuteAsync(Sql.Delegate, [tx.TenantId, id, from, to, clock.GetUtcNow()], ct);
        }
        catch (PostgresException e) when (e.ConstraintName == "approval_delegations_to_member")
        {
            return Problem.NotFound("member");
        }

        requests.Notify(tx, id, open.Value.Item.AgentId, [to]);
        Announce(tx, "approval.delegated", open.Value.Item, new { approval_id = id, from_user = from, to_user = to });
        return (await FindAsync(tx, id, ct))!;
    }

    /// <summary>Nobody answered in time. False when there is nothing left to decide.</summary>
    internal async Task<bool> ExpireAsync(Transaction tx, Guid id, CancellationToken ct)
    {
        if (await LockAsync(tx, id, ct) is not ({ Status: "pending" } approval, var item))
        {
            return false;
        }

        if (approval.TimeoutAction == "approve" && await registry.FindAsync(tx, item.AgentId, item.ActionId, ct) is { IsActive: true } action)
        {
            await AllowAsync(tx, approval, item, action, "expired", ct);
        }
        else
        {
            await RefuseAsync(tx, approval, item, "expired", "Nobody answered in time.", ct);
        }

        return true;
    }

    /// <summary>Pure: the parameters that would run, or why a correction is not accepted.</summary>
    internal static Result<JsonElement> Correct(ActionApproval approval, ActionDefinition action, JsonElement? edits)
    {
        if (edits is not { ValueKind: JsonValueKind.Object } fields || !fields.EnumerateObject().Any())
        {
            return approval.ActionParams;
        }

        if (approval.Votes.Count > 0)
        {
            return Problem.Conflict("approval_voted", "Others have agreed to these parameters; they can no longer be edited.");
        }

        var merged = Parameters.Merge(action, Without(approval.ActionParams, fields), fields);
        var check = Parameters.Check(action, merged);
        var errors = fields.EnumerateObject().Where(f => !approval.EditableFields.Contains(f.Name, StringComparer.Ordinal))
            .Select(f => KeyValuePair.Create($"edits.{f.Name}", "May not be edited."))
            .Concat(check.Errors.Select(e => KeyValuePair.Create($"edits.{e.Key}", e.Value)))
            .Concat(check.Missing.Where(name => fields.TryGetProperty(name, out _)).Select(name => KeyValuePair.Create($"edits.{name}", "Is required.")))
            .DistinctBy(e => e.Key, StringComparer.Ordinal)
            .ToDictionary(e => e.Key, e => new[] { e.Value }, StringComparer.Ordinal);
        return errors.Count > 0 ? Problem.Invalid(errors) : merged;
    }

    /// <summary>A field that is edited is what it was edited to, if that is nothing, too.</summary>
    private static JsonElement Without(JsonElement values, JsonElement edited) =>
        Json.Of(values.EnumerateObject().Where(p => !edited.TryGetProperty(p.Name, out _)).ToDictionary(p => p.Name, p => p.Value, StringComparer.Ordinal));

    private async Task<Result<(ActionApproval Approval, QueuedAction Item)>> OpenAsync(Transaction tx, Guid id, Guid userId, CancellationToken ct) =>
        await LockAsync(tx, id, ct) is not { } locked ? Problem.NotFound("approval")
            : (locked.Approval.Refuses(userId, clock.GetUtcNow()) ?? await RefusesAsync(tx, userId, ct)) is { } problem ? problem
            : locked;

    /// <summary>The request first, as everyone does who touches either; the approval is read after it, when the lock is held.</summary>
    private async Task<(ActionApproval Approval, QueuedAction Item)?> LockAsync(Transaction tx, Guid id, CancellationToken ct) =>
        await tx.FindAsync<Guid?>(Sql.RequestOf, [id], ct) is { } request && await RequestLock.TakeAsync(tx, request, ct) is { } item ? ((await FindAsync(tx, id, ct))!, item) : null;

    private Task<int> VoteAsync(Transaction tx, ActionApproval approval, Approver who, string decision, JsonElement? edits, string? reason, CancellationToken ct) =>
        tx.ExecuteAsync(Sql.Vote, [tx.TenantId, approval.Id, who.UserId, decision, who.Via, Json.Param(edits), reason, clock.GetUtcNow()], ct);

    private async Task AllowAsync(Transaction tx, ActionApproval approval, QueuedAction item, ActionDefinition action, string status, CancellationToken ct)
    {
        await EndAsync(tx, approval, status, "approve", null, ct);
        Announce(tx, $"approval.{status}", item, new { approval_id = approval.Id, runs = true });
        await queue.ReleaseAsync(tx, item, action, approval.ActionParams, ct);
    }

    private async Task RefuseAsync(Transaction tx, ActionApproval approval, QueuedAction item, string status, string reason, CancellationToken ct)
    {
        await EndAsync(tx, approval, status, "reject", reason, ct);
        Announce(tx, $"approval.{status}", item, new { approval_id = approval.Id, runs = false, reason });
        await queue.CancelAsync(tx, item.Id, $"approval {status}", ct);
    }

    private async Task EndAsync(Transaction tx, ActionApproval approval, string status, string verdict, string? reason, CancellationToken ct)
    {
        tx.Post(Sql.End, approval.Id, status, verdict, clock.GetUtcNow(), reason);
        await work.CancelAsync(tx, RequestApproval.TimeoutKind, approval.Id.ToString(), status, ct);
    }

    private void Announce(Transaction tx, string type, QueuedAction item, object details) =>
        events.Append(tx, ActionEvents.Of(type, item, details));

    private static class Sql
    {
        internal const string ById = "SELECT * FROM actions.approvals WHERE id = $1";

        internal const string OfRequest = "SELECT id FROM actions.action_approvals WHERE action_queue_id = $1 AND status = 'pending'";

        internal const string List =
            """
            SELECT * FROM actions.approvals
            WHERE ($1::text IS NULL OR status = $1) AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3
            """;

        internal const string RequestOf = "SELECT action_queue_id FROM actions.action_approvals WHERE id = $1";

        internal const string Vote =
            """
            INSERT INTO actions.approval_decisions (tenant_id, approval_id, user_id, decision, via, edits, reason, decided_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """;

        internal const string Correct = "UPDATE actions.action_approvals SET action_params = $2 WHERE id = $1";

        internal const string ForgetCodes = "DELETE FROM actions.approval_codes WHERE approval_id = $1 AND answered_at IS NULL";

        internal const string Delegate =
            """
            INSERT INTO actions.approval_delegations (tenant_id, approval_id, from_user, to_user, delegated_at)
            VALUES ($1, $2, $3, $4, $5)
            """;

        internal const string End =
            """
            UPDATE actions.action_approvals
            SET status = $2, approved_at = CASE WHEN $3 = 'approve' THEN $4::timestamptz END,
                rejected_at = CASE WHEN $3 = 'reject' THEN $4::timestamptz END, rejection_reason = $5
            WHERE id = $1 AND status = 'pending'
            """;
    }
}
