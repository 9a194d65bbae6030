using AgentPlatform.Actions;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Brain;

namespace AgentPlatform.Tests.Actions;

public sealed class RegistryTests : IAsyncLifetime
{
    private TestApi _api = null!;

    private string Path => $"/api/v1/agents/{_api.Tenant.AgentId}/actions";

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("brain-registry-unique")]
    public async Task An_action_id_is_taken_once_per_agent()
    {
        var other = (await _api.PostAsync("/api/v1/agents", new { name = "Other" })).Json.GetProperty("id").GetGuid();

        Assert.Equal(201, (await _api.PostAsync(Path, new { action_id = "ping", action_name = "ping" })).Status);
        Assert.Equal((409, "action_exists"), Of(await _api.PostAsync(Path, new { action_id = "ping", action_name = "ping" })));
        Assert.Equal(201, (await _api.PostAsync($"/api/v1/agents/{other}/actions", new { action_id = "ping", action_name = "ping" })).Status);
    }

    [Fact]
    public async Task An_entry_is_validated_versioned_listed_and_deleted()
    {
        var refused = await _api.PostAsync(Path, new { action_id = "ping", action_name = "ping", execution_type = "http", api_method = "GET", api_endpoint = "https://{{host}}/" });
        Assert.Equal(400, refused.Status);
        Assert.True(refused.Json.GetProperty("errors").TryGetProperty("api_endpoint", out _));

        var created = await _api.PostAsync(Path, new { action_id = "ping", action_name = "ping", synonyms = new[] { "pong" } });
        var etag = created.Header("ETag")!;
        var changed = await _api.SendAsync(HttpMethod.Put, $"{Path}/ping", new { action_name = "ping twice", priority = "critical" }, null, ("If-Match", etag));
        Assert.Equal(("ping twice", "critical"), (changed.Json.GetProperty("action_name").GetString(), changed.Json.GetProperty("priority").GetString()));
        Assert.Equal(412, (await _api.SendAsync(HttpMethod.Put, $"{Path}/ping", new { action_name = "late" }, null, ("If-Match", etag))).Status);
        Assert.Single((await _api.GetAsync(Path)).Json.GetProperty("items").EnumerateArray());
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, $"{Path}/ping")).Status);
        Assert.Equal((404, "action_not_found"), Of(await _api.GetAsync($"{Path}/ping")));
    }

    [Fact]
    [Behaviour("brain-registry-active-only", "brain-intent-match-type")]
    public async Task Only_active_actions_are_matched()
    {
        await _api.PostAsync(Path, new { action_id = "ping", action_name = "ping the server" });
        var match = await _api.PostAsync($"/api/v1/agents/{_api.Tenant.AgentId}/match", new { text = "please ping the server" });
        Assert.Equal(("exact", "ping"), (match.Json.GetProperty("match_type").GetString(), match.Json.GetProperty("action_id").GetString()));
        Assert.True(match.Json.GetProperty("confidence").GetDecimal() > 0.9m);

        await _api.SendAsync(HttpMethod.Put, $"{Path}/ping", new { action_name = "ping the server", is_active = false });
        match = await _api.PostAsync($"/api/v1/agents/{_api.Tenant.AgentId}/match", new { text = "please ping the server" });
        Assert.Equal("not_found", match.Json.GetProperty("match_type").GetString());
    }

    [Fact]
    public async Task A_talk_over_the_API_shows_up_in_every_list()
    {
        await _api.PostAsync(Path, new { action_id = "ping", action_name = "ping the server", response_template = "pong" });
        var started = await _api.PostAsync($"/api/v1/agents/{_api.Tenant.AgentId}/conversations", new { text = "ping the server" });
        Assert.Equal(201, started.Status);
        var conversation = started.Json.GetProperty("conversation_id").GetGuid();
        await _api.Platform.DrainAsync();
        Assert.Equal(202, (await _api.PostAsync($"/api/v1/conversations/{conversation}/messages", new { text = "sing me a song" })).Status);
        await _api.Platform.DrainAsync();

        var intents = (await _api.GetAsync($"/api/v1/intents?conversation_id={conversation}")).Json.GetProperty("items");
        Assert.Equal(["action_not_found", "completed"], intents.EnumerateArray().Select(i => i.GetProperty("status").GetString()));
        var done = intents[1].GetProperty("intent_id").GetString();
        Assert.Equal("ping", (await _api.GetAsync($"/api/v1/intents/{done}")).Json.GetProperty("canonical_intent").GetString());
        Assert.Equal((409, "not_cancellable"), Of(await _api.PostAsync($"/api/v1/intents/{done}/cancel", null)));
        Assert.Equal("ping", (await _api.GetAsync("/api/v1/actions/queue?status=completed")).Json.GetProperty("items")[0].GetProperty("action_id").GetString());
        Assert.Equal("completed", (await _api.GetAsync($"/api/v1/actions/executions?intent_id={done}")).Json.GetProperty("items")[0].GetProperty("status").GetString());
        Assert.Empty((await _api.GetAsync("/api/v1/actions/dead-letters?resolved=false")).Json.GetProperty("items").EnumerateArray());
        Assert.Equal(2, (await _api.GetAsync("/api/v1/intents/statistics")).Json.GetProperty("items").GetArrayLength());
        Assert.Equal((400, "validation_failed"), Of(await _api.PostAsync($"/api/v1/conversations/{conversation}/messages", new { text = " " })));
    }

    [Fact]
    [Behaviour("brain-brand-isolation", "brain-brand-instance-hierarchy")]
    public async Task Another_brand_sees_nothing_of_it_and_a_deleted_agent_takes_its_rows_along()
    {
        await _api.PostAsync(Path, new { action_id = "ping", action_name = "ping the server", params_required = new[] { "x" } });
        await _api.PostAsync($"/api/v1/agents/{_api.Tenant.AgentId}/conversations", new { text = "ping the server" });
        await _api.Platform.DrainAsync();
        var stranger = await _api.Platform.ProvisionAsync("Globex");

        foreach (var list in new[] { "/api/v1/intents", "/api/v1/actions/queue", "/api/v1/actions/executions", "/api/v1/actions/dead-letters" })
        {
            Assert.Empty((await _api.GetAsync(list, stranger.ApiKey)).Json.GetProperty("items").EnumerateArray());
        }

        Assert.Equal((404, "agent_not_found"), Of(await _api.GetAsync(Path, stranger.ApiKey)));
        Assert.Single((await _api.GetAsync("/api/v1/actions/queue")).Json.GetProperty("items").EnumerateArray());
        var left = await _api.Platform.AsAsync(Actor.System(_api.Tenant.TenantId), async tx =>
        {
            await tx.ExecuteAsync("DELETE FROM tenancy.agents WHERE id = $1", [_api.Tenant.AgentId], default);
            return await tx.SingleAsync<long>("SELECT (SELECT count(*) FROM actions.action_registry) + (SELECT count(*) FROM actions.action_queue) + (SELECT count(*) FROM brain.intent_ledger)", [], default);
        });
        Assert.Equal(0, left);
    }

    private static (int, string?) Of(ApiAnswer answer) => (answer.Status, answer.Code);
}
