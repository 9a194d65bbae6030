using System.Text.Json;
using System.Text.Json.Nodes;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Checkpoints;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Tasks.Processors;

/// <summary>
/// Task <c>run_action</c>: runs an action of the registry for the task's conversation, through the queue of actions and with all it offers.
/// Config: <c>action_id</c>, and <c>params</c>. Where the action declares an array <c>known_steps</c>, it is told the steps that worked best.
/// An action that a person must allow runs only from a task that somebody other than its maker has reviewed: the review is the permission.
/// </summary>
internal sealed class RunAction(ConversationLog conversations, SessionStore sessions, ActionRegistry registry, ActionQueue queue, ActionEffects effects, TaskAttempts attempts) : IAgencyTaskProcessor
{
    internal const string TaskType = "run_action";
    private const string KnownSteps = "known_steps";

    public bool Knows(string taskType) => taskType == TaskType;

    public string? Refuses(AgencyTask task) =>
        task.ConversationId is null ? "An action is run for a conversation; the task has none."
        : ActionIdOf(task) is null ? "execution_config.action_id must name an action."
        : JsonPath.Find(task.ExecutionConfig, "params") is { ValueKind: not JsonValueKind.Object } ? "execution_config.params must be an object."
        : null;

    internal static string? ActionIdOf(AgencyTask task) => JsonPath.Find(task.ExecutionConfig, "action_id") is { ValueKind: JsonValueKind.String } id ? id.GetString() : null;

    public IReadOnlyList<TaskStep> StepsOf(string taskType) => [new("request_action", RequestAsync), new("await_outcome", Elsewhere)];

    private async Task<StepOutcome> RequestAsync(TaskRun run, Transaction tx, CancellationToken ct)
    {
        var config = run.Task.ExecutionConfig;
        var actionId = ActionIdOf(run.Task)!;
        if (await conversations.FindAsync(tx, run.Task.ConversationId!.Value, ct) is not { ContactId: { } contactId, AgentId: { } agentId } conversation)
        {
            return Failed("no_contact", "The conversation has no contact or no agent to act for.");
        }

        if (await registry.FindAsync(tx, agentId, actionId, ct) is not { IsActive: true } action)
        {
            return Failed("unknown_action", $"The agent offers no action '{actionId}'.");
        }

        if (action.Approval is { ValueKind: JsonValueKind.Object } && (run.Task.HumanReviewedBy is not { } by || by == run.Task.UserId))
        {
            return Failed("needs_review", $"A person must allow '{actionId}': set requires_human_review, and let somebody else review the task.");
        }

        var address = new ChannelAddress(conversation.Channel, conversation.ParticipantIdentifier);
        var session = await sessions.LoadOrStartAsync(tx, conversation.Id, agentId, contactId, address, ct);
        var item = await queue.EnqueueAsync(tx, new ActionRequest(action, session.SessionId, contactId, conversation.Id, TaskBoard.OrderKey(run))
        {
            Context = null,
            Params = Guided(action, JsonPath.Find(config, "params") ?? Parameters.None, run.Guide),
        }, ct);
        await GoOnAsync(tx, run, action, item, ct);
        return item.Status == QueueStatus.Pending
            ? Failed("params_invalid", $"The action's parameters are missing or wrong: missing {item.ParamsMissing.GetRawText()}, wrong {item.ParamsValidationErrors.GetRawText()}.")
            : new StepOutcome.AwaitAction(item.Id);
    }

    /// <summary>A call of the attempt before that may have been carried out is the same call now: it goes out under the same key, or is asked about first.</summary>
    private async Task GoOnAsync(Transaction tx, TaskRun run, ActionDefinition action, QueuedAction item, CancellationToken ct)
    {
        if (await attempts.LastActionAsync(tx, run, ct) is { } before && (await effects.OfRequestAsync(tx, before, ct)).Where(effect => effect.IsOpen).ToList() is { Count: > 0 } open)
        {
            effects.Continue(tx, open, item, StepPlan.Of(action, item.ParamsCollected) is { } plan ? Json.Of(plan.Elements) : null);
        }
    }

    /// <summary>The action is carried out by its own queue, and <see cref="ActionOutcome"/> hears of its end.</summary>
    private static Task<StepOutcome> Elsewhere(TaskRun run, Transaction tx, CancellationToken ct) =>
        throw new InvalidOperationException("The step before this one hands the task over.");

    private static JsonElement Guided(ActionDefinition action, JsonElement given, TaskGuide? guide)
    {
        if (guide is null || action.Rule(KnownSteps).Type != "array" || given.TryGetProperty(KnownSteps, out _))
        {
            return given;
        }

        var guided = JsonObject.Create(given)!;
        guided[KnownSteps] = JsonNode.Parse(guide.Steps.GetRawText());
        return Json.Of(guided);
    }

    private static StepOutcome.Failed Failed(string code, string message) => new(new TaskFailure(code, message), Again: false);
}

/// <summary>
/// How an action ended that a task waits for. Failures the action's own retries could not mend may still pass; others will not, and a call that may have
/// happened is only made again where that is the same call.
/// </summary>
internal sealed class ActionOutcome(TaskBoard board, TaskAttempts attempts, SettleTask settle) : IActionListener
{
    public async Task ChangedAsync(Transaction tx, ActionChange change, CancellationToken ct)
    {
        var item = change.Item;
        if (!TaskBoard.Ordered(item) || item.Status is not (QueueStatus.Completed or QueueStatus.Failed or QueueStatus.Cancelled)
            || await attempts.AwaitingAsync(tx, item.Id, ct) is not { } attempt || await board.FindAsync(tx, attempt.TaskId, ct) is not { } task)
        {
            return;
        }

        switch (item.Status)
        {
            case QueueStatus.Completed:
                await settle.CompleteAsync(tx, task, attempt.Id, item.Result ?? Parameters.None, null, ct);
                break;
            case QueueStatus.Cancelled:
                await settle.CancelAsync(tx, task, "Its action was cancelled.", ct);
                break;
            default:
                var kind = change.Failure?.Kind ?? "failed";
                var failure = new TaskFailure($"action_{kind}", change.Failure?.Message ?? "The action failed.") { Stack = change.Failure?.StackTrace };
                await settle.FailAsync(tx, task, attempt.Id, failure, again: ErrorKind.Transient.Contains(kind) && MayRepeat(change), ct);
                break;
        }
    }

    private static bool MayRepeat(ActionChange change) => change.Failure?.MayHaveHappened != true || (change.Definition is { } action && EffectRules.CanResolve(action));
}
