using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows.Definitions;

namespace AgentPlatform.Workflows.Starting;

/// <summary>
/// A workflow that is only said in the registry: the actions of a <c>workflow_id</c> in the order of their <c>sequence_id</c>, those of one number side
/// by side. Each takes its parameters from the input. When the registry has changed, there is a new version.
/// </summary>
internal sealed class RegistrySequence(ActionRegistry registry, WorkflowCatalogue catalogue)
{
    /// <summary>Null when there is a workflow of that id to run, now at the latest; else why not.</summary>
    internal async Task<Problem?> EnsureAsync(Transaction tx, Guid agentId, string workflowId, CancellationToken ct)
    {
        var known = await catalogue.FindAsync(tx, workflowId, ct);
        if (known is { Source: not "registry" })
        {
            return null;
        }

        if (Of(await registry.ActiveAsync(tx, agentId, ct), workflowId) is not { } written)
        {
            return known is null ? Problem.NotFound("workflow") : null;
        }

        var definition = await catalogue.CheckAsync(tx, written, workflowId, agentId, ct);
        if (!definition.IsOk)
        {
            return definition.Problem;
        }

        if (known is not null)
        {
            // Read again under the lock: another turn may have made the new version meanwhile.
            await catalogue.UpdateAsync(tx, (await catalogue.LockAsync(tx, workflowId, ct))!, definition.Value, ct);
            return null;
        }

        var workflow = new Workflow { WorkflowId = workflowId, AgentId = agentId, Name = workflowId.Replace('_', ' '), Category = "registry", Source = "registry", IsActive = true };
        // Somebody else's turn may have made it at this moment.
        return (await catalogue.InsertAsync(tx, workflow, definition.Value, ct)).Problem is { Code: not "workflow_exists" } problem ? problem : null;
    }

    /// <summary>Pure: the definition that a registry says; null when it says none.</summary>
    internal static WorkflowDefinition? Of(IReadOnlyList<ActionDefinition> actions, string workflowId)
    {
        var sequence = actions.Where(a => a.WorkflowId == workflowId && a is { SequenceId: not null, TriggersWorkflow: false }).GroupBy(a => a.SequenceId).OrderBy(g => g.Key).ToList();
        var steps = new List<StepDefinition>();
        string[] before = [];
        foreach (var place in sequence)
        {
            var beside = place.Select(action => Step(action, before)).ToList();
            steps.AddRange(beside);
            before = [.. beside.Select(step => step.Id)];
        }

        return steps.Count == 0 ? null : new WorkflowDefinition { Steps = steps };
    }

    private static StepDefinition Step(ActionDefinition action, string[] after) => new()
    {
        Id = action.ActionId,
        Action = action.ActionId,
        After = after,
        Input = Json.Of(action.Required.Concat(action.Optional).Distinct(StringComparer.Ordinal).ToDictionary(name => name, name => $"$.input.{name}", StringComparer.Ordinal)),
    };
}
