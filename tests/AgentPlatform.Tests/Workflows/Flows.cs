using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using AgentPlatform.Workflows;
using AgentPlatform.Workflows.Definitions;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Workflows;

/// <summary>Workflows behind the API, a conversation to run them for, and a depot that their actions call. A wake-up moves the instance at once.</summary>
internal sealed class Flows : IAsyncDisposable
{
    private Flows(TestApi api, Depot depot, Guid conversationId) => (Api, Depot, ConversationId) = (api, depot, conversationId);

    internal TestApi Api { get; }

    internal TestPlatform Platform => Api.Platform;

    internal Depot Depot { get; }

    internal Guid ConversationId { get; }

    internal Guid AgentId => Api.Tenant.AgentId;

    internal Actor Actor => Actor.System(Api.Tenant.TenantId);

    internal static async Task<Flows> StartAsync(params ActionDefinition[] more)
    {
        var api = await TestApi.StartAsync(services => services.AddSingleton<IWorkflowRuntime>(p => new Direct(p)), ("Actions:AllowPrivateTargets", "true"));
        var depot = await Depot.StartAsync();
        var conversation = await OpenAsync(api, api.Tenant.AgentId, "+14155550100");
        var flows = new Flows(api, depot, conversation);
        await flows.OfferAsync(
        [
            Act("reserve") with { RollbackPossible = true, RollbackActionId = "release", EstimatedDurationSeconds = 10 }, Act("release"),
            Act("upload") with { EstimatedDurationSeconds = 20 }, Act("remove"), Act("submit") with { EstimatedDurationSeconds = 30 }, Act("notify"), .. more,
        ]);
        await api.Platform.DrainAsync();
        return flows;
    }

    /// <summary>An action that calls the depot by its own name; one try unless told.</summary>
    internal static ActionDefinition Act(string name) => new()
    {
        ActionId = name,
        ActionName = name,
        DisplayName = name,
        ParamsOptional = Json.Of(new[] { "ref", "n" }),
        ExecutionType = "http",
        ApiMethod = "POST",
        ApiEndpoint = $"{{depot}}/{name}",
        ApiIdempotent = true,
        ApiBody = Json.Of(new { @ref = "{{ref}}", n = "{{n}}" }),
        ResponseType = "none",
        RetryPolicy = Json.Of(new { max_retries = 1, initial_delay_seconds = 0 }),
    };

    internal Task OfferAsync(params ActionDefinition[] actions) => OfferAsync(AgentId, actions);

    internal Task OfferAsync(Guid agentId, params ActionDefinition[] actions) => Platform.AsAsync(Actor, async tx =>
    {
        foreach (var action in actions)
        {
            var made = await Platform.Get<ActionRegistry>().CreateAsync(tx, agentId, action with { ApiEndpoint = action.ApiEndpoint?.Replace("{depot}", Depot.Url, StringComparison.Ordinal) }, default);
            Assert.True(made.IsOk, made.Problem?.ToString());
        }
    });

    /// <summary>A text conversation with a contact of that number.</summary>
    internal static Task<Guid> OpenAsync(TestApi api, Guid agentId, string number) => api.Platform.AsAsync(Actor.System(api.Tenant.TenantId), async tx =>
    {
        var contact = await api.Platform.Get<ContactDirectory>().GetOrCreateAsync(tx, new ChannelAddress("sms", number), null, default);
        return (await api.Platform.Get<ConversationLog>().OpenAsync(tx, new OpenConversation(contact.Id, agentId, "sms", number, null), default)).Id;
    });

    internal Task<ApiAnswer> TryDefineAsync(string id, object definition, string? key = null, object? more = null)
    {
        var body = JsonSerializer.SerializeToNode(more ?? new { }, Json.Options)!.AsObject();
        body["workflow_id"] = id;
        body["name"] ??= id;
        body["agent_id"] ??= AgentId;
        body["definition"] = JsonSerializer.SerializeToNode(definition, Json.Options);
        return Api.PostAsync("/api/v1/workflows", body.ToJsonString(), key);
    }

    internal async Task<Workflow> DefineWholeAsync(string id, object definition, string? key = null, object? more = null)
    {
        var answer = await TryDefineAsync(id, definition, key, more);
        Assert.True(answer.Status == 201, answer.Body);
        return Json.Read<Workflow>(answer.Json);
    }

    internal Task<Workflow> DefineAsync(string id, params object[] steps) => DefineWholeAsync(id, new { steps });

    /// <summary>Starts through the API; nothing has run yet.</summary>
    internal async Task<Guid> BeginAsync(string id, object? input = null)
    {
        var answer = await Api.PostAsync($"/api/v1/workflows/{id}/start", new { conversation_id = ConversationId, input = input ?? new { } });
        Assert.True(answer.Status == 201, answer.Body);
        return answer.Json.GetProperty("id").GetGuid();
    }

    /// <summary>Starts, and does all that can be done now.</summary>
    internal async Task<WorkflowInstance> RunAsync(string id, object? input = null)
    {
        var instance = await BeginAsync(id, input);
        await DrainAsync();
        return await ReadAsync(instance);
    }

    internal Task<int> DrainAsync() => Platform.DrainWithEventsAsync();

    internal async Task<WorkflowInstance> ReadAsync(Guid id) => Json.Read<WorkflowInstance>((await Api.GetAsync($"/api/v1/workflow-instances/{id}")).Json);

    internal async Task<IReadOnlyList<GraphNode>> StepsAsync(Guid id) => Json.Read<InstanceGraph>((await Api.GetAsync($"/api/v1/workflow-instances/{id}/steps")).Json).Steps;

    internal Task<ApiAnswer> MoveAsync(Guid id, string move, object? body = null) => Api.PostAsync($"/api/v1/workflow-instances/{id}/{move}", body);

    internal Task<int> ChangeAsync(string sql, params object?[] args) => Platform.AsAsync(Actor, tx => tx.ExecuteAsync(sql, args, default));

    /// <summary>As if the time for which the instance waits had come.</summary>
    internal async Task PassAsync(Guid id, string column = "due_at")
    {
        await ChangeAsync(column == "due_at"
            ? "UPDATE workflows.workflow_steps SET due_at = now() - interval '1 second' WHERE instance_id = $1 AND due_at IS NOT NULL"
            : "UPDATE workflows.workflow_instances SET timeout_at = now() - interval '1 second' WHERE id = $1", id);
        await ChangeAsync("UPDATE workflows.workflow_instances SET wake_at = now() - interval '1 minute' WHERE id = $1", id);
        Assert.Equal(1, await Platform.Get<AgentPlatform.Workflows.Running.WorkflowSweep>().RunAsync(default));
        await DrainAsync();
    }

    internal Task<IReadOnlyList<string>> EventsAsync(Guid id) => Platform.AsAsync(Actor, tx =>
        tx.QueryAsync<string>("SELECT event_type FROM events.events WHERE aggregate_id = $1 ORDER BY version", [id], default));

    public async ValueTask DisposeAsync()
    {
        await Depot.DisposeAsync();
        await Api.DisposeAsync();
    }

    /// <summary>The runtime without its timers.</summary>
    internal sealed class Direct(IServiceProvider services) : IWorkflowRuntime
    {
        public Task WakeAsync(WorkflowRef workflow, CancellationToken ct) => services.GetRequiredService<WorkflowEngine>().AdvanceAsync(workflow, ct);
    }
}
