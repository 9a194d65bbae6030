using System.Text.Json;
using System.Text.Json.Nodes;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Api;
using AgentPlatform.Workflows.Sops;

namespace AgentPlatform.Tests.Workflows.Sops;

/// <summary>SOPs behind the API, over a depot that their actions call.</summary>
internal sealed class Procedures(Flows flows) : IAsyncDisposable
{
    internal Flows Flows { get; } = flows;

    internal static async Task<Procedures> StartAsync() => new(await Flows.StartAsync());

    /// <summary>A step that a person does.</summary>
    internal static JsonObject Manual(int number, object? more = null) =>
        With(new { step_number = number, title = $"Step {number}", instructions = $"Do {number}." }, more ?? new { });

    /// <summary>A step that an action of the depot does.</summary>
    internal static JsonObject Action(int number, string action, object? more = null) =>
        With(new { step_number = number, title = action, instructions = $"Do {action}.", action_type = "action", action_config = new { action_id = action } }, more ?? new { });

    internal Task<ApiAnswer> TryDraftAsync(object more, params JsonObject[] steps) =>
        Flows.Api.PostAsync("/api/v1/sops", With(new { title = "Refund", steps }, more).ToJsonString());

    internal async Task<Sop> DraftAsync(object more, params JsonObject[] steps)
    {
        var answer = await TryDraftAsync(more, steps);
        Assert.True(answer.Status == 201, answer.Body);
        return Json.Read<Sop>(answer.Json);
    }

    internal async Task<Guid> PublishedAsync(object more, params JsonObject[] steps)
    {
        var sop = await DraftAsync(more, steps);
        Assert.Equal(200, (await MoveAsync(sop.Id, "publish")).Status);
        return sop.Id;
    }

    internal Task<ApiAnswer> MoveAsync(Guid sop, string move, object? body = null, string? key = null) => Flows.Api.PostAsync($"/api/v1/sops/{sop}/{move}", body, key);

    internal Task<ApiAnswer> ChangeAsync(Guid sop, object body, string? key = null) => Flows.Api.SendAsync(HttpMethod.Patch, $"/api/v1/sops/{sop}", body, key);

    internal async Task<Sop> SopAsync(Guid id) => Json.Read<Sop>((await Flows.Api.GetAsync($"/api/v1/sops/{id}")).Json);

    internal Task<ApiAnswer> TryExecuteAsync(Guid sop, string? executor = null, object? context = null, bool inConversation = true) =>
        MoveAsync(sop, "execute", new { executor_type = executor, context, conversation_id = inConversation ? Flows.ConversationId : (Guid?)null });

    /// <summary>Begins an execution, and does all that can be done now.</summary>
    internal async Task<SopExecution> ExecuteAsync(Guid sop, string? executor = null, object? context = null)
    {
        var answer = await TryExecuteAsync(sop, executor, context);
        Assert.True(answer.Status == 201, answer.Body);
        await Flows.DrainAsync();
        return await ReadAsync(answer.Json.GetProperty("id").GetGuid());
    }

    internal async Task<SopExecution> ReadAsync(Guid id) => Json.Read<SopExecution>((await Flows.Api.GetAsync($"/api/v1/sop-executions/{id}")).Json);

    internal Task<ApiAnswer> SteerAsync(Guid id, string move, object? body = null, string? key = null) => Flows.Api.PostAsync($"/api/v1/sop-executions/{id}/{move}", body, key);

    internal Task<ApiAnswer> TryDoAsync(Guid id, int step, object? result = null) => SteerAsync(id, $"steps/{step}/result", new { status = "completed", result });

    /// <summary>A person has done the step, and all that follows at once is done.</summary>
    internal async Task<SopExecution> DoAsync(Guid id, int step, object? result = null)
    {
        var answer = await TryDoAsync(id, step, result);
        Assert.True(answer.Status == 200, answer.Body);
        await Flows.DrainAsync();
        return await ReadAsync(id);
    }

    /// <summary>A person could not do the step.</summary>
    internal async Task<SopExecution> FailAsync(Guid id, int step)
    {
        var answer = await SteerAsync(id, $"steps/{step}/result", new { status = "failed", error = "The till is closed." });
        Assert.True(answer.Status == 200, answer.Body);
        await Flows.DrainAsync();
        return await ReadAsync(id);
    }

    /// <summary>As if the time of the step under way had passed.</summary>
    internal async Task<SopExecution> PassAsync(Guid id)
    {
        await Flows.ChangeAsync("UPDATE workflows.sop_executions SET step_due_at = now() - interval '1 second' WHERE id = $1 AND step_due_at IS NOT NULL", id);
        await Flows.ChangeAsync("UPDATE work.items SET run_at = now() - interval '1 second' WHERE kind = 'workflows.sop_step_due' AND state = 'ready'");
        await Flows.DrainAsync();
        return await ReadAsync(id);
    }

    /// <summary>The execution's way: <c>1 completed step</c> is a step's number, what became of it, and what followed.</summary>
    internal static string[] WayOf(SopExecution execution) => [.. Json.Read<SopStepResult[]>(execution.StepResults).Select(r => $"{r.StepNumber} {r.Status} {r.Next}")];

    internal static SopIssue[] IssuesOf(SopExecution execution) => Json.Read<SopIssue[]>(execution.Issues);

    public ValueTask DisposeAsync() => Flows.DisposeAsync();

    private static JsonObject With(object all, object more)
    {
        var made = JsonSerializer.SerializeToNode(all, Json.Options)!.AsObject();
        foreach (var (name, value) in JsonSerializer.SerializeToNode(more, Json.Options)!.AsObject())
        {
            made[name] = value?.DeepClone();
        }

        return made;
    }
}
