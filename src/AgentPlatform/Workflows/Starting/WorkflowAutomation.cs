using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules.Automations;
using AgentPlatform.Workflows.Definitions;
using AgentPlatform.Workflows.Running;

namespace AgentPlatform.Workflows.Starting;

/// <summary>
/// Runs a workflow at the times of a scheduled task of type <c>workflow</c> and follows it to its end. The configuration is
/// <c>{"workflow_id": "…", "conversation_id": "…", "input": {…}}</c>.
/// </summary>
internal sealed class WorkflowAutomation(StartWorkflow starts, InstanceStore store, ControlInstance control, WorkflowCatalogue catalogue) : IAutomation
{
    public string Type => "workflow";

    public async Task<Problem?> CheckAsync(Transaction tx, JsonElement config, CancellationToken ct) =>
        Read(config) is not { WorkflowId: { } id, ConversationId: not null } read ? Problem.Invalid("automation_config", "Must name workflow_id and conversation_id.")
        : read.Input is { ValueKind: not JsonValueKind.Object } ? Problem.Invalid("automation_config.input", "Must be an object.")
        : await catalogue.FindAsync(tx, id, ct) is null ? Problem.Invalid("automation_config.workflow_id", $"There is no workflow '{id}'.")
        : null;

    public async Task<AutomationOutcome> MoveAsync(Transaction tx, AutomationRun run, CancellationToken ct)
    {
        if (await store.FindByStartKeyAsync(tx, Key(run), ct) is { } known)
        {
            return known.Status switch
            {
                "in_progress" => new AutomationOutcome.UnderWay(),
                "completed" => new AutomationOutcome.Succeeded(new { known.WorkflowInstanceId, known.Output }),
                _ => new AutomationOutcome.Failed($"The workflow is {known.Status}: {known.Error ?? known.ControlReason}"),
            };
        }

        if (Read(run.Config) is not { WorkflowId: { } id, ConversationId: { } conversation } config)
        {
            return new AutomationOutcome.Impossible("The configuration names no workflow_id and conversation_id.");
        }

        var started = await starts.RunAsync(tx, new WorkflowStart(id, conversation, "schedule", Key(run)) { Input = config.Input }, ct);
        return started.IsOk ? new AutomationOutcome.UnderWay()
            : started.Problem.Status == 404 ? new AutomationOutcome.Impossible($"{started.Problem.Code}: {started.Problem.Title}")
            : new AutomationOutcome.Failed($"{started.Problem.Code}: {started.Problem.Title}");
    }

    public async Task StopAsync(Transaction tx, AutomationRun run, string reason, CancellationToken ct)
    {
        // One that is over meanwhile, or is being undone, comes to its end by itself.
        if (await store.FindByStartKeyAsync(tx, Key(run), ct) is { IsOver: false } instance)
        {
            _ = await control.CancelAsync(tx, instance.Id, reason, ct);
        }
    }

    private static string Key(AutomationRun run) => $"scheduled:{run.ExecutionId:n}";

    private static Config? Read(JsonElement config)
    {
        try
        {
            return Json.Read<Config>(config);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private sealed record Config(string? WorkflowId, Guid? ConversationId, JsonElement? Input);
}
