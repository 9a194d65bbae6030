using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Workflows.Definitions;

/// <summary>Makes, changes and copies workflows for the API.</summary>
internal sealed class ManageWorkflows(Database database, WorkflowCatalogue catalogue, AgentDirectory agents)
{
    internal async Task<Result<Workflow>> CreateAsync(Actor actor, WorkflowBody body, CancellationToken ct)
    {
        if (body.ProblemAsNew is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        return await InsertAsync(tx, new Workflow
        {
            WorkflowId = body.WorkflowId!,
            AgentId = body.AgentId!.Value,
            UserId = Member(actor),
            Name = body.Name!.Trim(),
            Description = body.Description,
            Category = body.Category ?? "custom",
            Source = "api",
            IsTemplate = body.IsTemplate ?? false,
            Tags = body.Tags ?? [],
            IsActive = body.IsActive ?? true,
            TriggerEvent = body.TriggerEvent is { Length: > 0 } trigger ? trigger : null,
            TriggerWhen = body.TriggerWhen,
        }, body.Definition!.Value, ct);
    }

    internal async Task<Result<Workflow>> ChangeAsync(Actor actor, string workflowId, WorkflowBody body, IfMatch match, CancellationToken ct)
    {
        if (body.ProblemAsChange is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        if (await catalogue.LockAsync(tx, workflowId, ct) is not { } workflow)
        {
            return Problem.NotFound("workflow");
        }

        if ((match.Check(workflow.UpdatedAt) ?? workflow.RefusesChangeBy(actor)) is { } refusal)
        {
            return refusal;
        }

        var definition = await CheckAsync(tx, body.Definition ?? workflow.Definition, workflow.WorkflowId, workflow.AgentId, ct);
        if (!definition.IsOk)
        {
            return definition.Problem;
        }

        var changed = await catalogue.UpdateAsync(tx, workflow with
        {
            Name = body.Name?.Trim() ?? workflow.Name,
            Description = body.Description ?? workflow.Description,
            Category = body.Category ?? workflow.Category,
            IsTemplate = body.IsTemplate ?? workflow.IsTemplate,
            Tags = body.Tags ?? workflow.Tags,
            IsActive = body.IsActive ?? workflow.IsActive,
            TriggerEvent = body.TriggerEvent is null ? workflow.TriggerEvent : body.TriggerEvent.Length > 0 ? body.TriggerEvent : null,
            TriggerWhen = body.TriggerWhen ?? workflow.TriggerWhen,
        }, definition.Value, ct);
        await tx.CommitAsync(ct);
        return changed;
    }

    /// <summary>A workflow of one's own with another's definition, perhaps for another agent.</summary>
    internal async Task<Result<Workflow>> CopyAsync(Actor actor, string workflowId, CopyBody body, CancellationToken ct)
    {
        if (body.Problem is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        return await catalogue.FindAsync(tx, workflowId, ct) is { } original
            ? await InsertAsync(tx, original with
            {
                WorkflowId = body.WorkflowId!,
                Name = body.Name?.Trim() ?? original.Name,
                AgentId = body.AgentId ?? original.AgentId,
                UserId = Member(actor),
                Source = "copy",
                CopiedFrom = original.Id,
                MadeOf = null,
                IsTemplate = false,
                IsActive = true,
                TriggerEvent = null,
                TriggerWhen = null,
            }, original.Definition, ct)
            : Problem.NotFound("workflow");
    }

    /// <summary>Whether a definition would be accepted; nothing is kept.</summary>
    internal async Task<Result<WorkflowDefinition>> ValidateAsync(Actor actor, WorkflowBody body, CancellationToken ct)
    {
        if (new Validation().Check("agent_id", body.AgentId is not null, "Is required.").Check("definition", body.Definition is not null, "Is required.").Problem is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        return await CheckAsync(tx, body.Definition!.Value, body.WorkflowId ?? "", body.AgentId!.Value, ct);
    }

    private async Task<Result<Workflow>> InsertAsync(Transaction tx, Workflow workflow, JsonElement body, CancellationToken ct)
    {
        if (await agents.FindAsync(tx, workflow.AgentId, ct) is null)
        {
            return Problem.NotFound("agent");
        }

        var definition = await CheckAsync(tx, body, workflow.WorkflowId, workflow.AgentId, ct);
        if (!definition.IsOk)
        {
            return definition.Problem;
        }

        var inserted = await catalogue.InsertAsync(tx, workflow, definition.Value, ct);
        if (inserted.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return inserted;
    }

    /// <summary>Errors stand under their path in the request: <c>$.definition.steps[2].action</c>.</summary>
    private async Task<Result<WorkflowDefinition>> CheckAsync(Transaction tx, JsonElement body, string workflowId, Guid agentId, CancellationToken ct)
    {
        var read = DefinitionJson.Read(body);
        var checkedOne = read.IsOk ? await catalogue.CheckAsync(tx, read.Value, workflowId, agentId, ct) : read;
        return checkedOne.IsOk ? checkedOne : checkedOne.Problem with
        {
            Errors = checkedOne.Problem.Errors!.ToDictionary(error => $"$.definition{error.Key[1..]}", error => error.Value, StringComparer.Ordinal),
        };
    }

    private static Guid? Member(Actor actor) => actor.UserId == Guid.Empty ? null : actor.UserId;
}
