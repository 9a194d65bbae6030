using System.Text.Json;
using System.Text.Json.Serialization;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Approvals;

/// <summary>The question whether an action may run: a row of <c>action_approvals</c> with its answers, as the API shows it.</summary>
public sealed record ActionApproval
{
    public static readonly string[] Statuses = ["pending", "approved", "rejected", "expired", "cancelled"];

    public Guid Id { get; init; }

    /// <summary>The id of the queued action that waits for the answer.</summary>
    public Guid ActionQueueId { get; init; }
    public string ActionType { get; init; } = "";
    public string ActionDescription { get; init; } = "";

    /// <summary>Exactly what runs when the answer is yes.</summary>
    public JsonElement ActionParams { get; init; }
    public string[] EditableFields { get; init; } = [];

    /// <summary><c>low</c>, <c>medium</c>, <c>high</c> or <c>critical</c>.</summary>
    public string RiskLevel { get; init; } = "";
    public JsonElement RiskFactors { get; init; }
    public string? ScreenshotUrl { get; init; }

    /// <summary>How many members must agree.</summary>
    public int Quorum { get; init; }

    /// <summary><c>pending</c>, <c>approved</c>, <c>rejected</c>, <c>expired</c> (the time-out decided) or <c>cancelled</c> (with its request).</summary>
    public string Status { get; init; } = "";
    public DateTimeOffset? ApprovedAt { get; init; }
    public DateTimeOffset? RejectedAt { get; init; }
    public string? RejectionReason { get; init; }
    public DateTimeOffset ExpiresAt { get; init; }

    /// <summary><c>reject</c> or <c>approve</c>: what happens at <see cref="ExpiresAt"/> without an answer.</summary>
    public string TimeoutAction { get; init; } = "";
    public JsonElement Decisions { get; init; }
    public JsonElement Delegations { get; init; }

    /// <summary>Who was asked to reply, and over which channel.</summary>
    public JsonElement Told { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    [JsonIgnore]
    public IReadOnlyList<ApprovalVote> Votes => Json.Read<ApprovalVote[]>(Decisions);

    [JsonIgnore]
    public IReadOnlyList<ApprovalDelegation> Passed => Json.Read<ApprovalDelegation[]>(Delegations);

    /// <summary>Why this member can no longer answer, or null when the question is open to them.</summary>
    internal Problem? Refuses(Guid userId, DateTimeOffset now) =>
        Status == "expired" || (Status == "pending" && ExpiresAt <= now) ? Problem.Gone("approval_expired", "The time to answer is over.")
        : Status == "cancelled" ? Problem.Conflict("approval_cancelled", "The request was cancelled; there is nothing to decide.")
        : Status != "pending" ? Problem.Conflict("approval_decided", $"The request has been {Status} before.")
        : Votes.Any(vote => vote.UserId == userId) ? Problem.Conflict("approval_decided", "You have answered before.")
        : Passed.Any(passed => passed.FromUser == userId) ? Problem.Conflict("approval_delegated", "You have passed this question on to another member.")
        : null;

    /// <summary>True when one more yes reaches the quorum.</summary>
    internal bool NeedsOneMore => Votes.Count(vote => vote.Decision == "approve") + 1 >= Quorum;
}

/// <summary>Decision: <c>approve</c> or <c>reject</c>. Via: how it came, see <see cref="Approver"/>.</summary>
public sealed record ApprovalVote(Guid UserId, string Decision, string Via, string? Reason, DateTimeOffset DecidedAt);

public sealed record ApprovalDelegation(Guid FromUser, Guid ToUser);

/// <summary>Who answers, and how the answer came: <c>api</c>, <c>console</c>, <c>link</c> or <c>reply</c>.</summary>
internal sealed record Approver(Guid UserId, string Via);
