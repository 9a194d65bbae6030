using AgentPlatform.Actions.Checkpoints;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Contacts;
using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Actions.Execution;

/// <summary>
/// A request was cancelled whose call may have been carried out. Nobody tries it again, so nobody would ask: a work item of its own does, with
/// the action's probe. Without one, the effect stays unknown until a person settles it.
/// </summary>
internal sealed class AbandonedEffects(ActionEffects effects, ExecutionLog executions, WorkQueue work)
{
    internal const string WorkKind = "actions.abandoned_effects";

    /// <summary>In the transaction that cancels.</summary>
    internal void Leave(Transaction tx, QueuedAction cancelled)
    {
        if (cancelled.ExecutionId is not null)
        {
            executions.CloseInterrupted(tx, cancelled.QueueId);
            effects.Leave(tx, cancelled.Id);
            work.Enqueue(tx, new NewWork(WorkKind, cancelled.Id.ToString(), ActionWork.Of(cancelled)));
        }
    }
}

/// <summary>Asks what became of the calls of a cancelled request. Asks again, with the engine's backoff, while the provider cannot tell.</summary>
internal sealed class SettleAbandoned(
    Database database, ActionRegistry registry, ActionEffects effects, HttpAction http, ContactDirectory contacts, EventStore events) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem work, CancellationToken ct)
    {
        var (item, action, data, open) = await LoadAsync(work, ct);
        if (open.Count == 0 || EffectProbe.Of(action!) is not { } probe)
        {
            return new WorkOutcome.Done();
        }

        var unknown = 0;
        foreach (var effect in open)
        {
            var asked = item! with { IdempotencyKey = effect.IdempotencyKey };
            var element = StepPlan.Of(action!, item.ParamsCollected) is { } plan && effect.Step < plan.Elements.Count ? plan.Elements[effect.Step] : item.ParamsCollected;
            var found = await http.ProbeAsync(work.TenantId, action!, probe, asked, TemplateData.OfStep(data, element, effect.Step, effect.IdempotencyKey), ct);
            await SettleAsync(work, item, effect, found, ct);
            unknown += found.Effect == "unknown" ? 1 : 0;
        }

        return unknown == 0 ? new WorkOutcome.Done() : new WorkOutcome.Retry($"The provider cannot tell what became of {unknown} calls.");
    }

    private async Task SettleAsync(WorkItem work, QueuedAction item, ActionEffect effect, ActionResult found, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(work.TenantId));
        effects.SettleStep(tx, item.Id, found, effect.Step);
        if (found.Effect != "unknown")
        {
            events.Append(tx, ActionEvents.Of("action.effect_settled", item, new { effect_id = effect.Id, status = found.Effect, by = "probe" }));
        }

        await tx.CommitAsync(ct);
    }

    private async Task<(QueuedAction? Item, ActionDefinition? Action, System.Text.Json.JsonElement Data, IReadOnlyList<ActionEffect> Open)> LoadAsync(WorkItem work, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(work.TenantId));
        var item = await tx.FindAsync<QueuedAction>(Sql.Cancelled, [work.Read<ActionWork>().Id], ct);
        var action = item is null ? null : await registry.FindAsync(tx, item.AgentId, item.ActionId, ct);
        var open = action is null ? [] : (await effects.OfRequestAsync(tx, item!.Id, ct)).Where(effect => effect.IsOpen).ToList();
        var data = open.Count == 0 ? Parameters.None : TemplateData.Of(item!, await contacts.FindAsync(tx, item!.ContactId, ct));
        await tx.CommitAsync(ct);
        return (item, action, data, open);
    }

    private static class Sql
    {
        internal const string Cancelled = "SELECT * FROM actions.action_queue WHERE id = $1 AND status = 'cancelled'";
    }
}
