using System.Text.Json;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Tenancy;

public sealed class InstanceApiTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("yp-agent-instances")]
    public async Task An_instance_is_deployed_changed_and_terminated()
    {
        var deployed = await _api.PostAsync(Own, new { agent_type = "concierge", name = "B", weight = 50, config_json = new { default_model = "main" } });
        Assert.True(deployed.Status == 201, deployed.Body);
        var at = $"/api/v1/agent-instances/{deployed.Json.GetProperty("id").GetGuid()}";
        Assert.Equal("agent_instance_name_taken", (await _api.PostAsync(Own, new { agent_type = "concierge", name = "B" })).Code);
        Assert.Equal(201, (await _api.PostAsync(Own, new { agent_type = "bouncer", name = "B" })).Status);
        Assert.Equal(412, (await _api.SendAsync(HttpMethod.Patch, at, new { weight = 1 }, null, ("If-Match", "\"old\""))).Status);
        Assert.Equal(10, (await _api.SendAsync(HttpMethod.Patch, at, new { weight = 10 })).Json.GetProperty("weight").GetInt32());

        var ended = await _api.PostAsync($"{at}/terminate", null);

        Assert.Equal(("terminated", "main"), (ended.Json.GetProperty("status").GetString(), ended.Json.GetProperty("config_json").GetProperty("default_model").GetString()));
        Assert.Equal("agent_instance_terminated", (await _api.PostAsync($"{at}/terminate", null)).Code);
        Assert.Equal(2, (await _api.GetAsync(Own)).Json.GetProperty("items").GetArrayLength());
        Assert.Equal(0, (await _api.GetAsync($"{Own}/comparison?days=7")).Json.GetProperty("items")[1].GetProperty("turns").GetInt32());
    }

    [Theory]
    [InlineData("agent_type", """{"agent_type":"butler","name":"B"}""")]
    [InlineData("name", """{"agent_type":"agent"}""")]
    [InlineData("weight", """{"agent_type":"agent","name":"B","weight":1001}""")]
    [InlineData("config_json", """{"agent_type":"agent","name":"B","config_json":[]}""")]
    [InlineData("config_json", """{"agent_type":"agent","name":"B","config_json":{"fallback_models":"main"}}""")]
    [InlineData("config_json.mood", """{"agent_type":"agent","name":"B","config_json":{"mood":"good"}}""")]
    [InlineData("config_json.model_use", """{"agent_type":"agent","name":"B","config_json":{"model_use":"often"}}""")]
    [InlineData("prompt_version", """{"agent_type":"agent","name":"B","prompt_version":1}""")]
    [InlineData("template_set_id", """{"agent_type":"agent","name":"B","template_set_id":"0198c1a0-0000-7000-8000-000000000001"}""")]
    public async Task What_cannot_run_is_a_problem_that_names_its_place(string field, string body)
    {
        var refused = await _api.SendAsync(HttpMethod.Post, Own, body);

        Assert.Equal((400, "validation_failed"), (refused.Status, refused.Code));
        Assert.Equal(field, Assert.Single(refused.Json.GetProperty("errors").EnumerateObject()).Name);
    }

    [Fact]
    public async Task A_version_that_the_set_does_not_have_and_a_set_of_another_agent_are_refused()
    {
        var set = (await _api.PostAsync($"/api/v1/agents/{_api.Tenant.AgentId}/template-sets", new { name = "words", parts = new { } })).Json.GetProperty("id").GetGuid();
        var other = (await _api.PostAsync("/api/v1/agents", new { name = "Other" })).Json.GetProperty("id").GetGuid();

        Assert.Equal("prompt_version", Field(await _api.PostAsync(Own, new { agent_type = "agent", name = "B", template_set_id = set, prompt_version = 2 })));
        Assert.Equal("template_set_id", Field(await _api.PostAsync($"/api/v1/agents/{other}/instances", new { agent_type = "agent", name = "B", template_set_id = set })));
        Assert.Equal(201, (await _api.PostAsync(Own, new { agent_type = "agent", name = "B", template_set_id = set, prompt_version = 1 })).Status);
    }

    [Fact]
    public async Task Nobody_sees_another_tenants_instances_and_a_contact_is_put_only_with_one_that_there_is()
    {
        var id = (await _api.PostAsync(Own, new { agent_type = "agent", name = "B" })).Json.GetProperty("id").GetGuid();
        var stranger = await _api.Platform.ProvisionAsync();

        Assert.Equal(404, (await _api.GetAsync($"/api/v1/agent-instances/{id}", stranger.ApiKey)).Status);
        Assert.Equal("agent_instance_not_found", (await _api.PostAsync($"/api/v1/agent-instances/{id}/terminate", null, stranger.ApiKey)).Code);
        Assert.Equal("poc_instance_id", Field(await _api.PostAsync("/api/v1/contacts", new { poc_instance_id = _api.Tenant.AgentId })));
        Assert.Equal(id, (await _api.PostAsync("/api/v1/contacts", new { poc_instance_id = id })).Json.GetProperty("poc_instance_id").GetGuid());
    }

    private string Own => $"/api/v1/agents/{_api.Tenant.AgentId}/instances";

    private static string Field(ApiAnswer refused) => Assert.Single(refused.Json.GetProperty("errors").EnumerateObject()).Name;
}
