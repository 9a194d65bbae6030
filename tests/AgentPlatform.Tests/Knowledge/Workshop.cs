using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tasks;
using AgentPlatform.Tests.Actions;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Tasks;
using AgentPlatform.Tests.Workflows;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Knowledge;

/// <summary>The API, a conversation with an agent that has one action, <c>order</c>, and a processor of tasks of type <c>probe</c>.</summary>
internal sealed class Workshop : IAsyncDisposable
{
    private Workshop(TestApi api, FakeEndpoint endpoint, Board.Probe probe, Guid conversationId) => (Api, Endpoint, Probe, ConversationId) = (api, endpoint, probe, conversationId);

    internal TestApi Api { get; }

    internal FakeEndpoint Endpoint { get; }

    internal Board.Probe Probe { get; }

    internal Guid ConversationId { get; }

    internal Actor System => Actor.System(Api.Tenant.TenantId);

    internal static async Task<Workshop> StartAsync()
    {
        var probe = new Board.Probe();
        var api = await TestApi.StartAsync(services => services.AddSingleton<IAgencyTaskProcessor>(probe), ("Actions:AllowPrivateTargets", "true"), ("Tasks:RetrySeconds", "0.01"));
        var endpoint = await FakeEndpoint.StartAsync();
        var conversation = await Flows.OpenAsync(api, api.Tenant.AgentId, "+14155550100");
        var workshop = new Workshop(api, endpoint, probe, conversation);
        await workshop.OfferAsync("order", maxRetries: 2);
        await api.Platform.DrainAsync();
        return workshop;
    }

    internal Task OfferAsync(string name, int maxRetries) => Api.Platform.AsAsync(System, async tx =>
    {
        var made = await Api.Platform.Get<ActionRegistry>().CreateAsync(tx, Api.Tenant.AgentId, new ActionDefinition
        {
            ActionId = name,
            ActionName = name,
            DisplayName = name,
            ParamsOptional = Json.Of(new[] { "known_steps" }),
            ParamValidation = Json.Of(new { known_steps = new { type = "array" } }),
            ExecutionType = "http",
            ApiMethod = "POST",
            ApiEndpoint = $"{Endpoint.Url}/{name}",
            ApiIdempotent = true,
            ResponseType = "none",
            RetryPolicy = Json.Of(new { max_retries = maxRetries, initial_delay_seconds = 0 }),
        }, default);
        Assert.True(made.IsOk, made.Problem?.ToString());
    });

    /// <summary>An operator orders the action, and all that follows happens.</summary>
    internal async Task<QueuedAction> OrderAsync(string name = "order")
    {
        var ordered = await Api.Platform.AsAsync(System, async tx =>
        {
            var action = await Api.Platform.Get<ActionRegistry>().FindAsync(tx, Api.Tenant.AgentId, name, default);
            var conversation = await Api.Platform.Get<ConversationLog>().FindAsync(tx, ConversationId, default);
            var session = await Api.Platform.Get<SessionStore>().LoadOrStartAsync(tx, ConversationId, Api.Tenant.AgentId, conversation!.ContactId!.Value, new ChannelAddress("sms", "+14155550100"), default);
            return await Api.Platform.Get<ActionQueue>().EnqueueAsync(
                tx, new ActionRequest(action!, session.SessionId, conversation.ContactId.Value, ConversationId, $"test:{TimeProvider.System.NewId()}") { Context = null }, default);
        });
        await DrainAsync();
        return ordered;
    }

    /// <summary>Puts a task on the board through the API, and all that follows happens; returns its attempts, latest first.</summary>
    internal async Task<TaskExecution[]> DoTaskAsync(object body, string? key = null)
    {
        var put = await Api.PostAsync("/api/v1/agency-tasks", body, key);
        Assert.True(put.Status == 201, put.Body);
        await DrainAsync();
        return await AttemptsAsync(put.Json.GetProperty("id").GetGuid());
    }

    internal async Task<TaskExecution[]> AttemptsAsync(Guid task) => Json.Read<TaskExecution[]>((await Api.GetAsync($"/api/v1/agency-tasks/{task}/executions")).Json.GetProperty("items"));

    /// <summary>Everything that is due or waits for a retry, and what events make due.</summary>
    internal async Task DrainAsync()
    {
        for (var ran = 1; ran > 0;)
        {
            ran = await Api.Platform.DrainWithEventsAsync();
            await Api.Platform.AsAsync(System, tx =>
            {
                tx.Post("UPDATE actions.action_queue SET next_retry_at = now() - interval '1 second' WHERE status = 'retrying'");
                tx.Post("UPDATE work.items SET run_at = now() - interval '1 second' WHERE state = 'ready' AND kind IN ('actions.execute', 'tasks.run')");
                return Task.CompletedTask;
            });
            ran += await Api.Platform.DrainWithEventsAsync();
        }
    }

    internal async Task<JsonElement> CreateAsync(string path, object body, string? key = null)
    {
        var made = await Api.PostAsync($"/api/v1/{path}", body, key);
        Assert.True(made.Status == 201, made.Body);
        return made.Json;
    }

    internal async Task<JsonElement> PostAsync(string path, object body, string? key = null)
    {
        var answer = await Api.PostAsync($"/api/v1/{path}", body, key);
        Assert.True(answer.Status == 200, answer.Body);
        return answer.Json;
    }

    internal async Task<JsonElement> GetAsync(string path, string? key = null)
    {
        var answer = await Api.GetAsync($"/api/v1/{path}", key);
        Assert.True(answer.Status == 200, answer.Body);
        return answer.Json;
    }

    internal async Task<JsonElement[]> ItemsAsync(string path, string? key = null) => [.. (await GetAsync(path, key)).GetProperty("items").EnumerateArray()];

    public async ValueTask DisposeAsync()
    {
        await Endpoint.DisposeAsync();
        await Api.DisposeAsync();
    }
}

internal static class Reading
{
    internal static int Int(this JsonElement json, string name) => json.GetProperty(name).GetInt32();

    internal static string? Text(this JsonElement json, string name) => json.GetProperty(name).GetString();

    internal static double Number(this JsonElement json, string name) => json.GetProperty(name).GetDouble();

    internal static Guid Id(this JsonElement json) => json.GetProperty("id").GetGuid();

    internal static bool IsNull(this JsonElement json, string name) => json.GetProperty(name).ValueKind == JsonValueKind.Null;
}
