using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows.Definitions;
using AgentPlatform.Workflows.Running;
using AgentPlatform.Workflows.Starting;

namespace AgentPlatform.Workflows.Forks;

/// <summary>From which step (the one that failed when null), in which version (its own when null), with which input (the same when null).</summary>
public sealed record WorkflowFork(string? FromStep = null, int? Version = null, JsonElement? Input = null);

/// <summary>
/// A new run out of one that is over, with the same history up to a step: what was done before it stands and is not done again. What was undone is
/// done again, too, for nothing of it is left.
/// </summary>
internal sealed class ForkInstance(InstanceStore store, WorkflowCatalogue catalogue, StartWorkflow starts, TimeProvider clock)
{
    /// <summary>Problems: <c>workflow_instance_not_over</c>, <c>fork_repeats_final</c>, <c>workflow_version_not_found</c>. The same key forks once.</summary>
    internal async Task<Result<WorkflowInstance>> RunAsync(Transaction tx, Guid id, WorkflowFork fork, string key, CancellationToken ct)
    {
        if (await store.LockAsync(tx, id, ct) is not { } source)
        {
            return Problem.NotFound("workflow_instance");
        }

        if (await store.FindByStartKeyAsync(tx, key, ct) is { } forked)
        {
            return forked;
        }

        var version = fork.Version ?? source.Instance.WorkflowVersion;
        if (await catalogue.DefinitionAsync(tx, source.Instance.Workflow, version, ct) is not { } definition)
        {
            return Problem.NotFound("workflow_version");
        }

        var from = fork.FromStep ?? source.Instance.ErrorStep;
        var history = History(source, definition, from);
        return history.IsOk ? await StartAsync(tx, source.Instance, fork with { FromStep = from, Version = version }, definition, history.Value, key, ct) : history.Problem;
    }

    /// <summary>Pure: the rows that the new run begins with.</summary>
    internal static Result<IReadOnlyList<WorkflowStep>> History(RunState source, WorkflowDefinition definition, string? from)
    {
        if (!source.Instance.IsOver)
        {
            return Problem.Conflict("workflow_instance_not_over", "The workflow is still running.");
        }

        if (from is null || definition.Steps.All(step => step.Id != from))
        {
            return Problem.Invalid("from_step", from is null ? "Is required: the workflow did not fail at a step." : $"There is no step '{from}'.");
        }

        var again = new StepGraph(definition.Steps).From(from);
        var kept = new HashSet<string>(StringComparer.Ordinal);
        while (definition.Steps.FirstOrDefault(step => !again.Contains(step.Id) && !kept.Contains(step.Id) && Stands(source, step) && step.After!.All(kept.Contains)) is { } next)
        {
            kept.Add(next.Id);
        }

        var repeated = source.Doings.FirstOrDefault(row => source.Definition.Step(row.StepId).IsFinal && !kept.Contains(row.StepId) && (row.Status == "completed" || row.MayHaveHappened));
        return repeated is null
            ? source.Rows.Where(row => !row.IsUndo && kept.Contains(row.StepId)).ToList()
            : Problem.Conflict("fork_repeats_final", $"The final step '{repeated.StepId}' has happened, or may have, and would be done again.");
    }

    /// <summary>The step was done, is still the same kind of step, and nothing of it was undone.</summary>
    private static bool Stands(RunState source, StepDefinition step) =>
        source.Row(step.Id) is { IsDone: true } row && row.Type == step.Type && source.Definition.Step(step.Id).ForEach is null == step.ForEach is null
        && !source.Rows.Any(other => other.IsUndo && other.StepId == step.Id);

    private async Task<Result<WorkflowInstance>> StartAsync(
        Transaction tx, WorkflowInstance source, WorkflowFork fork, WorkflowDefinition definition, IReadOnlyList<WorkflowStep> history, string key, CancellationToken ct)
    {
        var started = await starts.RunAsync(tx, new WorkflowStart(source.WorkflowId, source.ConversationId, "fork", key)
        {
            Input = fork.Input ?? source.Input,
            IntentId = source.IntentId,
            Version = fork.Version,
            ForkedFrom = source.Id,
            Chain = source.StartChain,
            ForkedAtStep = fork.FromStep,
            EvenIfInactive = true,
        }, ct);
        if (!started.IsOk)
        {
            return started;
        }

        // The request stays with the run that made it.
        var rows = history.Select(row => row with { Id = clock.NewId(), InstanceId = started.Value.Id, ActionQueueId = null }).ToList();
        var run = new RunState(started.Value, definition, rows, []);
        foreach (var row in rows.OrderBy(row => row.CompletedAt))
        {
            store.Insert(tx, row);
            store.Record(tx, run, row);
        }

        store.Save(tx, run, started.Value.WakeAt);
        return (await store.FindAsync(tx, started.Value.Id, ct))!;
    }
}
