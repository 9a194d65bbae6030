using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows.Definitions;

namespace AgentPlatform.Workflows.Sops;

/// <summary>Asks the queue of actions to do a step for the contact of the execution's conversation.</summary>
internal sealed class RequestSopAction(SessionStore sessions, ActionRegistry registry, ActionQueue queue)
{
    internal const string TimedOut = "step_timeout";
    private const string KeyPrefix = "sop:";

    /// <summary>True when the action was requested by an SOP.</summary>
    internal static bool Requested(QueuedAction item) => item.IdempotencyKey.StartsWith(KeyPrefix, StringComparison.Ordinal);

    /// <summary>The execution with the request it waits for; or how the step has ended already.</summary>
    internal async Task<(SopExecution Execution, StepEnd? End)> RunAsync(Transaction tx, SopExecution execution, SopStep step, Conversation? conversation, JsonElement scope, CancellationToken ct)
    {
        var wanted = step.Action!;
        if (conversation is not { ContactId: { } contact, AgentId: { } agent })
        {
            return (execution, Failed("no_contact", "There is no conversation with a contact and an agent any more."));
        }

        if (await registry.FindAsync(tx, agent, wanted.ActionId, ct) is not { IsActive: true } action)
        {
            return (execution, Failed("action_not_offered", $"The agent no longer offers '{wanted.ActionId}'."));
        }

        var session = await sessions.LoadOrStartAsync(tx, conversation.Id, agent, contact, new ChannelAddress(conversation.Channel, conversation.ParticipantIdentifier), ct);
        var item = await queue.EnqueueAsync(tx, new ActionRequest(action, session.SessionId, contact, conversation.Id, Key(execution, step))
        {
            Context = null,
            Params = wanted.Params is { } values ? Mapping.Apply(values, scope) ?? Parameters.None : Parameters.None,
            NeedsApproval = true,
            TraceId = execution.Id.ToString("n"),
        }, ct);
        execution = execution with { AgentSessionId = session.SessionId };
        if (item.Status == QueueStatus.Pending)
        {
            await queue.CancelAsync(tx, item.Id, "params_invalid", ct);
            return (execution, Failed("params_invalid", $"Missing {item.ParamsMissing.GetRawText()}, wrong {item.ParamsValidationErrors.GetRawText()}."));
        }

        return EndOf(new ActionChange(item, action)) is { } end ? (execution, end) : (execution with { ActionQueueId = item.Id }, null);
    }

    /// <summary>Pure: how an action that is over ends the step; null while it goes on.</summary>
    internal static StepEnd? EndOf(ActionChange change) => change.Item switch
    {
        { Status: QueueStatus.Completed } done => new StepEnd("ai_agent", null, done.Result ?? Parameters.None),
        { Status: QueueStatus.Failed } => StepEnd.Failed("ai_agent", $"action_{change.Failure?.Kind ?? "failed"}", change.Failure?.Message ?? "The action failed.") with
        {
            IsFinal = change.Failure?.MayHaveHappened ?? true,
        },
        // An approval that was refused, or somebody who cancelled the request.
        { Status: QueueStatus.Cancelled } => Failed("action_cancelled", "Its action was not allowed, or cancelled."),
        _ => null,
    };

    /// <summary>A try after a time-out waits for the same request again, for a second one might act twice.</summary>
    private static string Key(SopExecution execution, SopStep step)
    {
        var before = execution.Results.Count(result => result.StepNumber == step.StepNumber && result is not { ErrorCode: TimedOut, Next: "retry" });
        return $"{KeyPrefix}{execution.Id:n}:{step.StepNumber}:{before}";
    }

    private static StepEnd Failed(string code, string error) => StepEnd.Failed("ai_agent", code, error) with { IsFinal = true };
}
