using System.Text.Json;
using AgentPlatform.Agents.Prompts;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Agents;

public sealed class TemplateSetTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("brain-templates")]
    public async Task Other_parts_make_a_new_version_and_the_earlier_ones_stay_even_when_the_set_is_deleted()
    {
        var set = await CreateAsync("house", new { guard = "One." }, inUse: true);
        var id = set.GetProperty("id").GetGuid();
        Assert.Equal(1, set.GetProperty("version").GetInt32());
        Assert.Equal(1, (await PutAsync(id, "renamed", new { guard = "One." })).Json.GetProperty("version").GetInt32());
        var changed = await PutAsync(id, "renamed", new { guard = "Two.", duties = "" });
        Assert.Equal((2, "Two."), (changed.Json.GetProperty("version").GetInt32(), changed.Json.GetProperty("parts").GetProperty("guard").GetString()));
        Assert.Equal(412, (await _api.SendAsync(HttpMethod.Put, $"/api/v1/template-sets/{id}", Body("x", new { }), null, ("If-Match", "\"old\""))).Status);

        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/template-sets/{id}")).Status);

        Assert.Equal(404, (await _api.GetAsync($"/api/v1/template-sets/{id}")).Status);
        Assert.Equal([2, 1], (await _api.GetAsync($"/api/v1/template-sets/{id}/versions")).Json.GetProperty("items").EnumerateArray().Select(v => v.GetProperty("version").GetInt32()));
        Assert.Equal("One.", (await _api.GetAsync($"/api/v1/template-sets/{id}/versions/1")).Json.GetProperty("parts").GetProperty("guard").GetString());
        Assert.Equal("template_set_version_not_found", (await _api.GetAsync($"/api/v1/template-sets/{id}/versions/3")).Code);
        var refused = await Assert.ThrowsAsync<Npgsql.PostgresException>(() =>
            _api.Platform.AsAsync(_api.Owner, tx => tx.ExecuteAsync("UPDATE agents.template_set_versions SET parts = '{}'", [], default)));
        Assert.Equal("42501", refused.SqlState);
    }

    [Fact]
    public async Task One_set_of_an_agent_is_in_use_and_names_are_taken_once()
    {
        var first = (await CreateAsync("first", new { }, inUse: true)).GetProperty("id").GetGuid();
        await CreateAsync("second", new { }, inUse: true);

        Assert.False((await _api.GetAsync($"/api/v1/template-sets/{first}")).Json.GetProperty("in_use").GetBoolean());
        Assert.Equal([("second", true), ("first", false)], (await _api.GetAsync($"{Own}?limit=5")).Json.GetProperty("items").EnumerateArray()
            .Select(s => (s.GetProperty("name").GetString()!, s.GetProperty("in_use").GetBoolean())));
        Assert.Equal("template_set_name_taken", (await _api.PostAsync(Own, Body("first", new { }))).Code);
        Assert.Equal("agent_not_found", (await _api.PostAsync($"/api/v1/agents/{first}/template-sets", Body("x", new { }))).Code);
    }

    [Theory]
    [InlineData("greeting", "Hello.", "There is no such part")]
    [InlineData("contact", "Hi {{contact.frist_name}}", "There is no variable {{contact.frist_name}} here.")]
    [InlineData("contact", "{{variables.tier}}", "There is no variable {{variables.tier}} here.")]
    [InlineData("guard", "{{wrong}}", "There is no variable {{wrong}} here.")]
    [InlineData("actions", "{{#each actions}}{{shape}}{{/each}}", "There is no variable {{shape}} here.")]
    [InlineData("actions", "{{#each deeds}}x{{/each}}", "There is no list {{deeds}} here.")]
    [InlineData("summary", "{{#if sumary}}x{{/if}}", "There is no variable {{sumary}} here.")]
    [InlineData("summary", "{{#with contact}}x{{/with}}", "Cannot use #with")]
    [InlineData("summary", "{{#if summary}}x", "")]
    [InlineData("summary", "{{{summary}}}", "")]
    public async Task A_part_or_a_variable_that_does_not_exist_is_a_problem_that_names_its_place(string part, string template, string complaint)
    {
        var refused = await _api.PostAsync(Own, Body("odd", new Dictionary<string, string> { [part] = template }));

        Assert.Equal((400, "validation_failed"), (refused.Status, refused.Code));
        var error = Assert.Single(refused.Json.GetProperty("errors").EnumerateObject());
        Assert.Equal($"parts.{part}", error.Name);
        Assert.StartsWith(complaint, error.Value[0].GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_variables_of_the_agents_talks_may_be_used_and_so_may_every_built_in_part()
    {
        Assert.Equal(201, (await _api.PostAsync($"/api/v1/agents/{_api.Tenant.AgentId}/variables", new { name = "tier" })).Status);
        await CreateAsync("with variables", new { contact = "{{#if variables.tier}}Tier: {{variables.tier}}{{else}}No tier.{{/if}}", actions = "{{#each actions}}{{@index}} {{id}} {{this.title}}\n{{/each}}" });

        var parts = (await _api.GetAsync("/api/v1/prompt-parts")).Json.GetProperty("items").EnumerateArray().ToDictionary(p => p.GetProperty("name").GetString()!, p => p.GetProperty("template").GetString()!);

        Assert.Equal(PromptParts.All.Select(p => p.Name), parts.Keys);
        await CreateAsync("the built-in wording", parts);
    }

    [Fact]
    public async Task Nobody_sees_another_tenants_sets_and_only_who_may_write_changes_them()
    {
        var id = (await CreateAsync("house", new { })).GetProperty("id").GetGuid();
        var stranger = await _api.Platform.ProvisionAsync();

        Assert.Equal(404, (await _api.GetAsync($"/api/v1/template-sets/{id}", stranger.ApiKey)).Status);
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/template-sets/{id}/versions", stranger.ApiKey)).Status);
        Assert.Equal(403, (await _api.PostAsync(Own, Body("x", new { }), await _api.KeyAsync("viewer", "agents:read"))).Status);
    }

    private string Own => $"/api/v1/agents/{_api.Tenant.AgentId}/template-sets";

    private static object Body(string name, object parts, bool inUse = false) => new { name, parts, in_use = inUse };

    private async Task<JsonElement> CreateAsync(string name, object parts, bool inUse = false)
    {
        var created = await _api.PostAsync(Own, Body(name, parts, inUse));
        Assert.True(created.Status == 201, created.Body);
        return created.Json;
    }

    private Task<ApiAnswer> PutAsync(Guid id, string name, object parts) => _api.SendAsync(HttpMethod.Put, $"/api/v1/template-sets/{id}", Body(name, parts));
}
