using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Workflows.Running;

/// <summary>
/// One move of an instance: locks it, decides by what is known, and does what was decided, in one transaction. Doing it again, or at the same time
/// on two hosts, changes nothing.
/// </summary>
internal sealed class AdvanceWorkflow(Database database, InstanceStore store, CarryOut carryOut, TimeProvider clock, ILogger<AdvanceWorkflow> log)
{
    /// <summary>A move that lets others begin is followed by another; more than a definition has steps would be a bug.</summary>
    private const int MostRounds = 1000;

    internal async Task<WorkflowMove> RunAsync(WorkflowRef workflow, CancellationToken ct)
    {
        var actor = Actor.System(workflow.TenantId);
        Guid session;
        await using (var tx = database.Begin(actor))
        {
            if (await store.LockAsync(tx, workflow.InstanceId, ct) is not { Instance.IsOver: false } run)
            {
                return WorkflowMove.Over;
            }

            session = run.Instance.SessionId;
            if (!Stops(run))
            {
                var move = await RunAsync(tx, run, ct);
                await tx.CommitAsync(ct);
                return move;
            }
        }

        // What ends an action locks its session, then its request, then the instance; who stops one does so in the same order.
        await using var ordered = database.Begin(actor);
        await SessionStore.LockAsync(ordered, session, ct);
        var moved = await store.LockAsync(ordered, workflow.InstanceId, ct) is { Instance.IsOver: false } again ? await RunAsync(ordered, again, ct) : WorkflowMove.Over;
        await ordered.CommitAsync(ct);
        return moved;
    }

    /// <summary>In a transaction that has locked the session, and then the instance.</summary>
    internal async Task<WorkflowMove> RunAsync(Transaction tx, RunState run, CancellationToken ct)
    {
        store.Running(tx, run.Instance.Id);
        for (var round = 0; round < MostRounds; round++)
        {
            var decision = Interpreter.Decide(run, clock.GetUtcNow(), clock.NewId);
            (run, var hasNews) = await carryOut.RunAsync(tx, run, decision, ct);
            if (run.Instance.IsOver)
            {
                log.Ended(run.Instance.WorkflowInstanceId, run.Instance.WorkflowId, run.Instance.Status);
                return WorkflowMove.Over;
            }

            if (!hasNews)
            {
                store.Save(tx, run, decision.WakeAt);
                return new(IsOver: false, decision.WakeAt);
            }
        }

        throw new InvalidOperationException($"Workflow {run.Instance.WorkflowInstanceId} never comes to rest.");
    }

    private bool Stops(RunState run) => Interpreter.Decide(run, clock.GetUtcNow(), clock.NewId).Orders.Any(order => order is Order.Stop);
}
