using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Api;
using AgentPlatform.Brain;
using AgentPlatform.Kernel;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Agents;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Tests.Workflows;
using AgentPlatform.Workflows;
using Talk = AgentPlatform.Tests.Brain.Talk;

namespace AgentPlatform.Tests.Actions;

public sealed class ToolActivationTests : IAsyncLifetime
{
    private static readonly ActionDefinition Order = new()
    {
        ActionId = "order",
        ActionName = "order a part",
        ExecutionType = "http",
        ApiMethod = "PUT",
        ApiEndpoint = "{endpoint}/orders",
        ResponseTemplate = "ordered",
        RetryPolicy = Json.Of(new { max_retries = 0 }),
    };

    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(Order, Jobs.CancelApplication);

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("ps-tool-activation-unique")]
    public async Task An_activation_is_one_row_however_often_and_by_how_many_at_once_it_is_put()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(i => PutAsync("order", enabled: i % 2 == 0)));
        Assert.Single(answers.Select(answer => answer.Value.Id).Distinct());

        await _talk.InAsync(tx => tx.ExecuteAsync("DELETE FROM actions.tool_activations", [], default));
        answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => PutAsync("order", enabled: true)));
        Assert.Single(answers.Select(answer => answer.Value.Id).Distinct());
        var twice = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => _talk.InAsync(tx => tx.ExecuteAsync(
            "INSERT INTO actions.tool_activations (tenant_id, agent_id, tool_id) SELECT tenant_id, agent_id, tool_id FROM actions.tool_activations", [], default)));
        Assert.Equal("uq_tool_activations", twice.ConstraintName);
    }

    [Fact]
    [Behaviour("ps-tool-activation-gate")]
    public async Task An_agent_is_asked_for_what_is_not_activated_in_vain_by_words_scenarios_and_rules()
    {
        _talk.Endpoint.Answers(200, "{}").Answers(200, "{}");
        await _talk.GuideAsync(Booking.Scenario with { Name = "spare parts", EntryCondition = [], Steps = [new() { Name = "go", Say = "Sure.", Action = "order" }] });
        await _talk.RuleAsync(Guiding.Rule("widget", "do", new { action = "order" }));
        Assert.Equal("ordered", await _talk.SayAsync("order a part"));

        await PutAsync("order", enabled: false);
        Assert.DoesNotContain("ordered", await _talk.SayAsync("order a part"), StringComparison.Ordinal);
        Assert.Contains("A colleague will take care of that.", await _talk.SayAsync("spare parts"), StringComparison.Ordinal);
        await _talk.MeetAsync();
        await _talk.SayAsync("a widget");
        Assert.Equal(["widget: unavailable"], await _talk.OutcomesAsync());
        Assert.Single(_talk.Endpoint.Requests);

        await PutAsync("order", enabled: true);
        Assert.Equal("ordered", await _talk.SayAsync("a widget"));
        Assert.Equal(2, _talk.Endpoint.Requests.Count);
    }

    [Fact]
    [Behaviour("ps-tool-activation-gate")]
    public async Task Without_a_row_the_tool_cannot_be_called_and_what_was_queued_before_is_not_carried_out()
    {
        await EnqueueAsync("order");
        var tools = _talk.Platform.Get<ManageTools>();

        Assert.True((await tools.DeleteAsync(_talk.Actor, _talk.AgentId, "order", IfMatch.Any, default)).IsOk);
        await _talk.Platform.DrainAsync();

        Assert.Empty(_talk.Endpoint.Requests);
        Assert.Equal(QueueStatus.Failed, Assert.Single(await _talk.QueueAsync()).Status);
        await Assert.ThrowsAsync<InvalidOperationException>(() => EnqueueAsync("order"));
        var letter = await _talk.InAsync(tx => tx.SingleAsync<string>("SELECT dlq_id FROM actions.dead_letter_queue", [], default));
        var replay = await _talk.InAsync(tx => _talk.Platform.Get<AgentPlatform.Actions.Aftermath.ReplayDeadLetter>().RunAsync(tx, letter, new Replay(null), default));
        Assert.Equal("action_not_offered", replay.Problem?.Code);
    }

    [Fact]
    [Behaviour("ps-tool-activation-gate")]
    public async Task A_workflow_fails_at_a_step_whose_tool_was_switched_off_after_it_was_defined()
    {
        await using var flows = await Flows.StartAsync();
        await flows.DefineAsync("apply", new { id = "reserve", action = "reserve" });
        await flows.Api.SendAsync(HttpMethod.Put, $"/api/v1/agents/{flows.AgentId}/tools/reserve", new { enabled = false });

        var run = await flows.RunAsync("apply");

        Assert.Equal("failed", run.Status);
        Assert.Empty(flows.Depot.Effects);
        Assert.Equal(400, (await flows.TryDefineAsync("again", new { steps = new[] { new { id = "reserve", action = "reserve" } } })).Status);
    }

    [Fact]
    [Behaviour("ps-tool-policy-overrides")]
    public async Task Overrides_take_the_place_of_the_policies_for_one_agent_only()
    {
        _talk.Endpoint.Answers(500, "{}").Answers(500, "{}").Answers(200, "{}");
        var other = (await _talk.Platform.Get<ManageAgents>().CreateAsync(_talk.Actor, new AgentInput("Other", null, null, null, true), default)).Value.Id;
        await _talk.InAsync(tx => _talk.Platform.Get<ActionRegistry>().CreateAsync(tx, other, Order with { ApiEndpoint = $"{_talk.Endpoint.Url}/orders" }, default));
        await PutAsync("order", overrides: new { timeout_seconds = 7, retry_policy = new { max_retries = 2, initial_delay_seconds = 3600, max_delay_seconds = 3600 } });

        await _talk.SayAsync("order a part");
        await _talk.InAsync(tx => _talk.Platform.Get<Chat>().StartAsync(tx, other, new StartChat(null, null, "order a part"), default));
        await _talk.Platform.DrainAsync();

        var seen = await _talk.InAsync(tx => tx.QueryAsync<Seen>("SELECT q.agent_id, q.status, q.max_retries, l.timeout_seconds FROM actions.action_queue q JOIN actions.action_execution_log l USING (queue_id)", [], default));
        Assert.Equal(new Seen(_talk.AgentId, "retrying", 2, 7), seen.Single(s => s.AgentId == _talk.AgentId));
        Assert.Equal(new Seen(other, "failed", 0, 30), seen.Single(s => s.AgentId == other));
        Assert.Equal(30, (await _talk.InAsync(tx => _talk.Platform.Get<ActionRegistry>().WrittenAsync(tx, _talk.AgentId, "order", default)))!.TimeoutSeconds);
    }

    [Fact]
    [Behaviour("ps-tool-policy-overrides")]
    public async Task An_approval_is_asked_for_or_left_out_by_an_override()
    {
        _talk.Endpoint.Answers(200, "{}");
        await PutAsync("order", overrides: new { approval = new { risk_level = "high" } });
        Assert.Contains("needs the approval of a colleague", await _talk.SayAsync("order a part"), StringComparison.Ordinal);

        await _talk.InAsync(tx => _talk.Platform.Get<ActionRegistry>().ReplaceAsync(
            tx, _talk.AgentId, Order with { ApiEndpoint = $"{_talk.Endpoint.Url}/orders", Approval = Json.Of(new { risk_level = "high" }) }, IfMatch.Any, default));
        await PutAsync("order", overrides: new { approval = (object?)null });
        Assert.Equal("ordered", await _talk.SayAsync("order a part"));
    }

    [Theory]
    [InlineData("""{"timeout_seconds":0}""", "policy_overrides.timeout_seconds")]
    [InlineData("""{"timeout_seconds":"soon"}""", "policy_overrides.timeout_seconds")]
    [InlineData("""{"retry_policy":{"max_retries":-1}}""", "policy_overrides.retry_policy")]
    [InlineData("""{"retry_policy":7}""", "policy_overrides.retry_policy")]
    [InlineData("""{"approval":{"risk_level":"odd"}}""", "policy_overrides.approval")]
    [InlineData("""{"api_endpoint":"https://x.example"}""", "policy_overrides.api_endpoint")]
    [InlineData("[]", "policy_overrides")]
    public async Task Overrides_that_make_no_whole_policy_are_refused_with_their_path(string overrides, string field)
    {
        var refused = await _talk.Platform.Get<ManageTools>().PutAsync(_talk.Actor, _talk.AgentId, "order", new(true, JsonSerializer.Deserialize<JsonElement>(overrides)), IfMatch.Any, default);
        Assert.Equal(field, Assert.Single(refused.Problem!.Errors!).Key);
    }

    [Fact]
    public async Task An_activation_is_read_put_listed_and_deleted_over_the_api()
    {
        await using var api = await TestApi.StartAsync();
        var tools = $"/api/v1/agents/{api.Tenant.AgentId}/tools";
        Assert.Equal("action_not_found", (await api.SendAsync(HttpMethod.Put, $"{tools}/order", new { enabled = true })).Code);
        Assert.Equal(201, (await api.PostAsync($"/api/v1/agents/{api.Tenant.AgentId}/actions", new { action_id = "order", action_name = "order" })).Status);

        Assert.True((await api.GetAsync($"{tools}/order")).Json.GetProperty("enabled").GetBoolean());
        Assert.Equal(200, (await api.SendAsync(HttpMethod.Put, $"{tools}/order", new { enabled = false })).Status);
        Assert.False(Assert.Single((await api.GetAsync(tools)).Json.GetProperty("items").EnumerateArray()).GetProperty("enabled").GetBoolean());
        Assert.True((await api.GetAsync($"/api/v1/agents/{api.Tenant.AgentId}/actions/order")).Json.GetProperty("is_active").GetBoolean());
        Assert.Equal(204, (await api.SendAsync(HttpMethod.Delete, $"{tools}/order")).Status);
        Assert.Equal("tool_activation_not_found", (await api.GetAsync($"{tools}/order")).Code);
    }

    private async Task<Result<ToolActivation>> PutAsync(string tool, bool? enabled = null, object? overrides = null)
    {
        var put = await _talk.Platform.Get<ManageTools>().PutAsync(_talk.Actor, _talk.AgentId, tool, new(enabled, overrides is null ? null : Json.Of(overrides)), IfMatch.Any, default);
        Assert.True(put.IsOk, Json.Text(put.Problem));
        return put;
    }

    private async Task<QueuedAction> EnqueueAsync(string tool)
    {
        var session = await _talk.SessionAsync();
        return await _talk.InAsync(async tx =>
        {
            var action = await _talk.Platform.Get<ActionRegistry>().FindAsync(tx, _talk.AgentId, tool, default);
            return await _talk.Platform.Get<ActionQueue>().EnqueueAsync(tx, new ActionRequest(action!, session.SessionId, _talk.ContactId, _talk.ConversationId, $"test:{tool}") { Context = null }, default);
        });
    }

    private sealed record Seen(Guid AgentId, string Status, int MaxRetries, int? TimeoutSeconds);
}
