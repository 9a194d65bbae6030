using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Actions.Checkpoints;

/// <summary>Checkpoints and effects as a client of the API meets them.</summary>
public sealed class CheckpointApiTests : IAsyncLifetime
{
    private readonly Lazy<Task<FakeEndpoint>> _endpoint = new(FakeEndpoint.StartAsync);
    private TestApi _api = null!;
    private string _path = "";

    public async Task InitializeAsync()
    {
        _api = await TestApi.StartAsync(null, ("Actions:AllowPrivateTargets", "true"));
        var endpoint = await _endpoint.Value;
        endpoint.Answers(200, """{"id":1}""").Answers(422, "{}").Answers(200, "{}");
        var action = Invitations.Invite with { ApiEndpoint = $"{endpoint.Url}/invitations/{{{{step}}}}", ParamsRequired = Json.Of(new[] { "guests" }) };
        await _api.Platform.AsAsync(_api.Owner, async tx =>
        {
            Assert.True((await _api.Platform.Get<ActionRegistry>().CreateAsync(tx, _api.Tenant.AgentId, action, default)).IsOk);
            Assert.True((await _api.Platform.Get<Chat>().StartAsync(tx, _api.Tenant.AgentId, new StartChat(null, null, "invite the guests"), default)).IsOk);
        });
        await _api.Platform.DrainAsync();
        var waiting = await _api.Platform.AsAsync(_api.Owner, tx => tx.SingleAsync<QueuedAction>("SELECT * FROM actions.action_queue", [], default));
        await _api.Platform.AsAsync(_api.Owner, tx => _api.Platform.Get<ActionQueue>().SupplyAsync(
            tx, waiting.Id, Json.Of(new { guests = "ann, bob" }), new EligibilityContext([], false, Parameters.None), default));
        await _api.Platform.DrainAsync();
        _path = $"/api/v1/executions/{waiting.Id}";
    }

    public async Task DisposeAsync()
    {
        await _api.DisposeAsync();
        await (await _endpoint.Value).DisposeAsync();
    }

    [Fact]
    [Behaviour("bb-checkpoint-resume")]
    public async Task An_operator_sees_writes_and_resumes_from_checkpoints()
    {
        var reader = await _api.KeyAsync("member", "actions:read");
        var listed = (await _api.GetAsync($"{_path}/checkpoints", reader)).Json.GetProperty("items");
        Assert.Equal(("error", 1), (listed[0].GetProperty("checkpoint_reason").GetString(), listed[0].GetProperty("step_index").GetInt32()));

        Assert.Equal(403, (await _api.PostAsync($"{_path}/checkpoints", new { }, reader)).Status);
        Assert.Equal(403, (await _api.PostAsync($"{_path}/resume", new { }, reader)).Status);
        Assert.Equal(400, (await _api.PostAsync($"{_path}/checkpoints", new { session_state = 7, expires_in_seconds = 0 })).Status);
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/executions/{Guid.Empty}/checkpoints")).Status);
        Assert.Equal(404, (await _api.PostAsync($"/api/v1/executions/{Guid.Empty}/resume", new { })).Status);
        Assert.Equal(404, (await _api.PostAsync($"/api/v1/executions/{Guid.Empty}/checkpoints", new { })).Status);
        var closed = await _api.PostAsync($"{_path}/checkpoints", new { can_resume = false });
        Assert.Equal((201, "manual"), (closed.Status, closed.Json.GetProperty("checkpoint_reason").GetString()));
        Assert.Equal("checkpoint_not_resumable", (await _api.PostAsync($"{_path}/resume", new { })).Code);

        var resumed = await _api.PostAsync($"{_path}/resume", new { checkpoint_id = listed[0].GetProperty("checkpoint_id").GetString() });
        Assert.Equal((202, "ready"), (resumed.Status, resumed.Json.GetProperty("status").GetString()));
        await _api.Platform.DrainAsync();

        Assert.Equal(["/invitations/0", "/invitations/1", "/invitations/1"], (await _endpoint.Value).Requests.Select(r => r.Target));
        Assert.Equal("execution_not_failed", (await _api.PostAsync($"{_path}/resume", null)).Code);
    }

    [Fact]
    public async Task An_effect_is_settled_once_by_whoever_asked_the_provider()
    {
        var effect = (await _api.GetAsync("/api/v1/actions/effects?status=not_happened")).Json.GetProperty("items")[0].GetProperty("id").GetGuid();
        await _api.Platform.AsAsync(_api.Owner, tx => tx.ExecuteAsync("UPDATE actions.effects SET status = 'unknown', settled_at = NULL WHERE id = $1", [effect], default));
        var path = $"/api/v1/actions/effects/{effect}/settle";

        Assert.Equal(400, (await _api.PostAsync(path, new { })).Status);
        Assert.Equal(403, (await _api.PostAsync(path, new { happened = true }, await _api.KeyAsync("member", "actions:read"))).Status);
        Assert.Equal("happened", (await _api.PostAsync(path, new { happened = true, note = "called them" })).Json.GetProperty("status").GetString());
        Assert.Equal("effect_settled", (await _api.PostAsync(path, new { happened = false })).Code);
    }
}
