using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Tenancy;

public sealed class AgentTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task An_agent_is_created_read_changed_and_configured()
    {
        var created = await _api.PostAsync("/api/v1/agents", new { name = "Jobs", description = "Finds jobs", system_prompt = "Be brief.", default_model = "small" });
        var path = created.Header("Location")!;
        await _api.SendAsync(HttpMethod.Patch, path, new { enabled = false });
        var configured = await _api.SendAsync(HttpMethod.Put, $"{path}/config", new { popular_actions = new[] { "search_jobs", "apply_job" } });

        var agent = (await _api.GetAsync(path)).Json;
        Assert.Equal(
            ("Jobs", "Finds jobs", "Be brief.", "small", false),
            (agent.GetProperty("name").GetString(), agent.GetProperty("description").GetString(), agent.GetProperty("system_prompt").GetString(),
                agent.GetProperty("default_model").GetString(), agent.GetProperty("enabled").GetBoolean()));
        Assert.Equal(["search_jobs", "apply_job"], agent.GetProperty("popular_actions").EnumerateArray().Select(a => a.GetString()));
        Assert.NotEqual(created.Header("ETag"), configured.Header("ETag"));
        Assert.False(agent.GetProperty("auto_create_tasks").GetBoolean());
        var widened = (await _api.SendAsync(HttpMethod.Put, $"{path}/config", new { auto_create_tasks = true })).Json;
        Assert.True(widened.GetProperty("auto_create_tasks").GetBoolean());
        Assert.Equal(2, widened.GetProperty("popular_actions").GetArrayLength());
        Assert.Equal(400, (await _api.SendAsync(HttpMethod.Put, $"{path}/config", new { })).Status);
        Assert.Equal(400, (await _api.SendAsync(HttpMethod.Put, $"{path}/config", new { popular_actions = new[] { "a", "a" } })).Status);
    }

    [Fact]
    [Behaviour("ps-agent-unique-live-name", "ps-agent-soft-delete", "ps-partial-unique-ddl")]
    public async Task A_name_is_unique_among_living_agents_and_free_again_after_deletion()
    {
        var path = (await _api.PostAsync("/api/v1/agents", new { name = "Jobs" })).Header("Location")!;

        Assert.Equal("agent_name_taken", (await _api.PostAsync("/api/v1/agents", new { name = "Jobs" })).Code);
        Assert.Equal("agent_name_taken", (await _api.SendAsync(HttpMethod.Patch, path, new { name = "Assistant" })).Code);
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, path)).Status);

        Assert.Equal(404, (await _api.GetAsync(path)).Status);
        Assert.Equal(404, (await _api.SendAsync(HttpMethod.Patch, path, new { name = "Back" })).Status);
        Assert.DoesNotContain((await _api.GetAsync("/api/v1/agents")).Json.GetProperty("items").EnumerateArray(), agent => agent.GetProperty("name").GetString() == "Jobs");
        Assert.Equal(201, (await _api.PostAsync("/api/v1/agents", new { name = "Jobs" })).Status);
        Assert.Equal(2L, await _api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM tenancy.agents WHERE name = 'Jobs'"));
        Assert.Equal(1L, await _api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM tenancy.agents WHERE name = 'Jobs' AND deleted_at IS NOT NULL"));
    }

    [Fact]
    [Behaviour("brain-brand-instance-hierarchy")]
    public async Task Each_agent_of_a_tenant_has_its_own_configuration_which_goes_with_it()
    {
        var jobs = (await _api.PostAsync("/api/v1/agents", new { name = "Jobs" })).Header("Location")!;
        await _api.SendAsync(HttpMethod.Put, $"{jobs}/config", new { popular_actions = new[] { "search_jobs" } });
        await _api.SendAsync(HttpMethod.Put, $"/api/v1/agents/{_api.Tenant.AgentId}/config", new { popular_actions = new[] { "help" } });

        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, $"{jobs}?purge=true")).Status);

        Assert.Equal(_api.Tenant.AgentId, await _api.Platform.Postgres.ScalarAsync<Guid>("SELECT agent_id FROM tenancy.instance_configs"));
        var left = await _api.Platform.AsAsync(Actor.System(_api.Tenant.TenantId), tx => _api.Platform.Get<AgentDirectory>().FindAsync(tx, _api.Tenant.AgentId, CancellationToken.None));
        Assert.Equal(["help"], left!.PopularActions);
    }

    /// <summary>Whatever refers to an agent must say what happens when it is deleted for good: nothing may stand in the way.</summary>
    [Fact]
    [Behaviour("brain-brand-instance-hierarchy")]
    public async Task Nothing_that_refers_to_an_agent_stands_in_the_way_of_deleting_it() =>
        Assert.Equal("", await _api.Platform.Postgres.ScalarAsync<string>(
            """
            SELECT coalesce(string_agg(conrelid::regclass::text || ' ' || conname, ', '), '')
            FROM pg_constraint WHERE contype = 'f' AND confrelid = 'tenancy.agents'::regclass AND confdeltype NOT IN ('c', 'n')
            """));
}
