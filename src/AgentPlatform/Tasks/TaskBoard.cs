using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Channels;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Tasks;

/// <summary>A task to put up. What the fields mean is said at <see cref="AgencyTask"/>.</summary>
public sealed record NewAgencyTask(string Title, string TaskType)
{
    public Guid? UserId { get; init; }
    public string SourceType { get; init; } = "api";
    public Guid? SourceWebhookId { get; init; }
    public Guid? SourceMessageId { get; init; }
    public Guid? ConversationId { get; init; }
    public string? Description { get; init; }
    public string? OriginalMessage { get; init; }
    public string Category { get; init; } = "general";
    public string Priority { get; init; } = "medium";
    public string Urgency { get; init; } = "normal";
    public bool AssignedToBot { get; init; } = true;
    public bool RequiresHumanReview { get; init; }
    public string ExecutionType { get; init; } = "automatic";
    public JsonElement? ExecutionConfig { get; init; }
    public DateTimeOffset? ScheduledFor { get; init; }
    public DateTimeOffset? Deadline { get; init; }
    public IReadOnlyList<Guid> DependsOn { get; init; } = [];
    public Guid? BlockedBy { get; init; }
    public int MaxRetries { get; init; } = 3;
    public bool NotifyOnComplete { get; init; } = true;
    public bool NotifyOnFailure { get; init; } = true;
    public IReadOnlyList<string> Tags { get; init; } = [];
    public JsonElement? Metadata { get; init; }
}

/// <summary>What a person asked for in a conversation, and the inbound message they did it with (none in the web chat).</summary>
public sealed record TaskRequest(string Text, Guid? SourceMessageId);

/// <summary>Puts tasks on the board and reads them. What stands in no task's way is queued in the same transaction.</summary>
public sealed class TaskBoard
{
    /// <summary>The type of what people ask for and no action can do: a person's to do.</summary>
    public const string Request = "request";

    private const string OrderPrefix = "task:";
    internal const string RunKind = "tasks.run";
    internal const string DeadlineKind = "tasks.deadline";
    private const int MaxTitle = 120;

    private readonly TaskGates _gates;
    private readonly TaskAttempts _attempts;
    private readonly InboundMessages _inbound;
    private readonly WorkQueue _work;
    private readonly EventStore _events;
    private readonly TimeProvider _clock;

    internal TaskBoard(TaskGates gates, TaskAttempts attempts, InboundMessages inbound, WorkQueue work, EventStore events, TimeProvider clock) =>
        (_gates, _attempts, _inbound, _work, _events, _clock) = (gates, attempts, inbound, work, events, clock);

    /// <summary>Problem <c>validation_failed</c> when it waits for a task that is not there.</summary>
    public async Task<Result<AgencyTask>> CreateAsync(Transaction tx, NewAgencyTask task, CancellationToken ct)
    {
        if (await _gates.HoldAsync(tx, task.DependsOn, task.BlockedBy, ct) is { } missing)
        {
            return missing;
        }

        var id = _clock.NewId();
        tx.Post(
            Sql.Insert, tx.TenantId, id, task.UserId, task.SourceType, task.SourceWebhookId, task.SourceMessageId, task.ConversationId, task.Title, task.Description,
            task.OriginalMessage, task.Category, task.TaskType, task.Priority, task.Urgency, task.AssignedToBot, task.RequiresHumanReview, task.ExecutionType,
            Json.Param(task.ExecutionConfig ?? Json.Of(new { })), task.ScheduledFor?.ToUniversalTime(), task.Deadline?.ToUniversalTime(), task.DependsOn.Distinct().ToArray(),
            task.BlockedBy, task.MaxRetries, task.NotifyOnComplete, task.NotifyOnFailure, task.Tags.Distinct(StringComparer.Ordinal).ToArray(),
            Json.Param(task.Metadata ?? Json.Of(new { })), _clock.GetUtcNow());
        Watch(tx, id, task.Deadline);
        _events.Append(tx, new NewEvent("agency_task.created", "agency_task", id, new { title = task.Title, task_type = task.TaskType, priority = task.Priority, conversation_id = task.ConversationId }));
        var trigger = task.ScheduledFor > _clock.GetUtcNow() ? TaskTrigger.Schedule : TaskTrigger.Created;
        return (await _gates.OpenAsync(tx, [id], trigger, ct))[0];
    }

    /// <summary>
    /// What somebody asked for and no action can do becomes a person's task, which carries where it came from. The person is told when it is done.
    /// </summary>
    public async Task<AgencyTask> RequestAsync(Transaction tx, Conversation conversation, TaskRequest request, CancellationToken ct)
    {
        var title = request.Text.ReplaceLineEndings(" ").Trim();
        var created = await CreateAsync(tx, new NewAgencyTask(title.Clip(MaxTitle, "…"), Request)
        {
            SourceType = "conversation",
            SourceWebhookId = conversation.WebhookId,
            SourceMessageId = request.SourceMessageId,
            ConversationId = conversation.Id,
            OriginalMessage = request.Text,
            AssignedToBot = false,
        }, ct);
        if (request.SourceMessageId is { } message)
        {
            _inbound.BecameTask(tx, message, created.Value.Id);
        }

        return created.Value;
    }

    /// <summary>True when the action was ordered by a task.</summary>
    public static bool Ordered(QueuedAction item) => item.IdempotencyKey.StartsWith(OrderPrefix, StringComparison.Ordinal);

    /// <summary>The key under which an attempt orders its action.</summary>
    internal static string OrderKey(TaskRun run) => $"{OrderPrefix}{run.ExecutionId:n}";

    public Task<AgencyTask?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<AgencyTask>(Sql.Find, [id], ct);

    /// <summary>The latest attempts at a task, latest first.</summary>
    public async Task<IReadOnlyList<TaskExecution>> AttemptsAsync(Transaction tx, Guid id, CancellationToken ct) =>
        (await _attempts.ListAsync(tx, id, new PageRequest(PageRequest.MaxLimit, null), ct)).Items;

    internal Task<AgencyTask?> LockAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<AgencyTask>(Sql.Lock, [id], ct);

    internal async Task<Page<AgencyTask>> ListAsync(Transaction tx, BoardFilter filter, PageRequest page, CancellationToken ct) =>
        Page<AgencyTask>.Cut(
            await tx.QueryAsync<AgencyTask>(
                Sql.List,
                [filter.Status, filter.Priority, filter.Urgency, filter.TaskType, filter.AssignedToBot, filter.ConversationId, filter.UserId, filter.Tag, page.Before, page.Fetch], ct),
            page, task => task.Id);

    /// <summary>When the deadline passes the task is looked at. A deadline that was moved leaves a look behind that finds nothing to do.</summary>
    internal void Watch(Transaction tx, Guid id, DateTimeOffset? deadline)
    {
        if (deadline is { } at)
        {
            _work.Enqueue(tx, new NewWork(DeadlineKind, $"{id}@{at.UtcTicks / TimeSpan.TicksPerMicrosecond}", new TaskDue(id)) { RunAt = at, Priority = 10 });
        }
    }

    private static class Sql
    {
        internal const string Insert =
            """
            INSERT INTO tasks.agency_tasks (tenant_id, id, user_id, source_type, source_webhook_id, source_message_id, conversation_id, title, description,
                original_message, category, task_type, priority, urgency, assigned_to_bot, requires_human_review, execution_type, execution_config,
                scheduled_for, deadline, depends_on, blocked_by, max_retries, notify_on_complete, notify_on_failure, tags, metadata, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28)
            """;

        internal const string Find = "SELECT * FROM tasks.agency_tasks WHERE id = $1 AND (conversation_id IS NULL OR conversations.is_visible(tenant_id, conversation_id))";

        internal const string Lock = "SELECT * FROM tasks.agency_tasks WHERE id = $1 AND (conversation_id IS NULL OR conversations.is_visible(tenant_id, conversation_id)) FOR NO KEY UPDATE";

        internal const string List =
            """
            SELECT * FROM tasks.agency_tasks
            WHERE ($1::text IS NULL OR status = $1)
              AND ($2::text IS NULL OR priority = $2)
              AND ($3::text IS NULL OR urgency = $3)
              AND ($4::text IS NULL OR task_type = $4)
              AND ($5::boolean IS NULL OR assigned_to_bot = $5)
              AND ($6::uuid IS NULL OR conversation_id = $6)
              AND ($7::uuid IS NULL OR user_id = $7)
              AND ($8::text IS NULL OR $8 = ANY (tags))
              AND ($9::uuid IS NULL OR id < $9) AND (conversation_id IS NULL OR conversations.is_visible(tenant_id, conversation_id))
            ORDER BY id DESC LIMIT $10
            """;
    }
}

/// <summary>Which tasks to list; null does not narrow.</summary>
internal sealed record BoardFilter(
    string? Status = null, string? Priority = null, string? Urgency = null, string? TaskType = null, bool? AssignedToBot = null, Guid? ConversationId = null,
    Guid? UserId = null, string? Tag = null);
