using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows.Definitions;
using AgentPlatform.Workflows.Sops.Drafting;

namespace AgentPlatform.Workflows.Sops;

/// <summary>An execution to begin. The same key begins one, however often it is said.</summary>
internal sealed record SopStart(Guid SopId, string Key)
{
    /// <summary>Null: as the SOP's automation level says.</summary>
    internal string? ExecutorType { get; init; }
    internal Guid? ConversationId { get; init; }
    internal JsonElement? Context { get; init; }
}

/// <summary>
/// Begins an execution of the version in force, or leaves it waiting for an approval. Problems: <c>sop_not_found</c>, <c>sop_not_published</c>,
/// <c>sop_archived</c>, <c>sop_ai_disabled</c>, <c>sop_prerequisites_unmet</c>, <c>sop_needs_a_person</c>, <c>sop_needs_a_conversation</c>,
/// <c>conversation_not_found</c>, <c>sop_action_not_offered</c>.
/// </summary>
internal sealed class StartSop(SopShelf shelf, SopExecutionStore store, RunSop run, ConversationLog conversations, ActionRegistry registry, EventStore events, TimeProvider clock)
{
    internal const string PrerequisitesUnmet = "sop_prerequisites_unmet";

    internal async Task<Result<SopExecution>> RunAsync(Transaction tx, SopStart start, CancellationToken ct)
    {
        if (await shelf.FindAsync(tx, start.SopId, ct) is not { } sop)
        {
            return Problem.NotFound("sop");
        }

        var executor = start.ExecutorType ?? sop.UsualExecutor;
        if ((Refusal(sop, executor, start.Context ?? Json.Of(new { })) ?? await StepsRefusalAsync(tx, sop, executor, start.ConversationId, ct)) is { } refusal)
        {
            return refusal;
        }

        var (user, now) = (tx.Actor!.UserId, clock.GetUtcNow());
        var execution = await store.InsertAsync(tx, new SopExecution
        {
            Id = clock.NewId(),
            SopId = sop.Id,
            Version = sop.PublishedVersion!.Value,
            UserId = user == Guid.Empty ? null : user,
            ExecutorType = executor,
            ConversationId = start.ConversationId,
            Context = start.Context ?? Json.Of(new { }),
            StartedAt = now,
            ApprovalDueAt = sop.HumanApprovalRequired ? now.AddSeconds(sop.ApprovalTimeout) : null,
        }, start.Key, ct);
        if (execution is null)
        {
            return await store.OfKeyAsync(tx, start.Key, ct);
        }

        if (execution.ApprovalDueAt is { } due)
        {
            events.Append(tx, SopEvents.Of("sop.approval_requested", execution, new { sop.Title, executor, execution.ApprovalDueAt }));
            run.AwaitApproval(tx, execution.Id, due);
            return execution;
        }

        return await run.BeginAsync(tx, execution, ct);
    }

    private static Problem? Refusal(Sop sop, string executor, JsonElement context) =>
        sop.Status == "archived" ? Problem.Conflict("sop_archived", "The SOP is archived.")
        : sop.PublishedVersion is null ? Problem.Conflict("sop_not_published", "No version of the SOP is published.")
        : executor != "human" && !sop.AiEnabled ? Problem.Conflict("sop_ai_disabled", "The SOP is not executed by an agent.")
        : sop.Prerequisites is { } needed && !Condition.Holds(needed, Json.Of(new { input = context })) ? Problem.Conflict(PrerequisitesUnmet, "The context is not what the SOP's prerequisites ask for.")
        : null;

    /// <summary>Whether the executor can do all steps, as far as can be told now.</summary>
    private async Task<Problem?> StepsRefusalAsync(Transaction tx, Sop sop, string executor, Guid? conversationId, CancellationToken ct)
    {
        var conversation = conversationId is { } id ? await conversations.FindAsync(tx, id, ct) : null;
        if (conversationId is not null && conversation is null)
        {
            return Problem.NotFound("conversation");
        }

        var steps = executor == "human" ? [] : await shelf.StepsAsync(tx, sop.Id, sop.PublishedVersion!.Value, ct);
        if (executor == "ai_agent" && steps.FirstOrDefault(step => step.ActionType == "manual") is { } manual)
        {
            return Problem.Conflict("sop_needs_a_person", "An agent cannot do every step.", $"Step {manual.StepNumber} is manual: execute it as hybrid.");
        }

        var wanted = steps.Select(step => step.Action?.ActionId).OfType<string>().ToArray();
        if (wanted.Length == 0)
        {
            return null;
        }

        if (conversation is not { ContactId: not null, AgentId: { } agent })
        {
            return Problem.Conflict("sop_needs_a_conversation", "Actions are carried out for the contact of a conversation, by its agent.");
        }

        var offered = (await registry.ActiveAsync(tx, agent, ct)).Select(action => action.ActionId).ToHashSet(StringComparer.Ordinal);
        return wanted.FirstOrDefault(action => !offered.Contains(action)) is { } missing
            ? Problem.Conflict("sop_action_not_offered", "The conversation's agent cannot do every step.", $"It offers no action '{missing}'.")
            : null;
    }
}
