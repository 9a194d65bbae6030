using System.Text.Json;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Api;
using static AgentPlatform.Tests.Agents.Guiding;

namespace AgentPlatform.Tests.Agents;

public sealed class RuleApiTests : IAsyncLifetime
{
    private static readonly (string? Action, string Config, string Field)[] Impossible =
    [
        (null, "{}", "action_type"),
        ("shout", "{}", "action_type"),
        ("say", "[]", "action_config"),
        ("say", "{}", "action_config.text"),
        ("say", """{"text":"Hi {{contact.first_name"}""", "action_config.text"),
        ("say", """{"text":"Hi {{shout 'x'}}"}""", "action_config.text"),
        ("say", """{"text":"Hi","volume":3}""", "action_config.volume"),
        ("ask", """{"text":"Hm?","on_yes":"fly"}""", "action_config.on_yes"),
        ("do", """{"action":"fly"}""", "action_config.action"),
        ("do", """{"action":"fly","params":{"to":["{{x"]}}""", "action_config.params.to[0]"),
        ("enter_scenario", """{"scenario_id":"x"}""", "action_config.scenario_id"),
        ("enter_scenario", """{"scenario_id":"0198c1a0-0000-7000-8000-000000000001"}""", "action_config.scenario_id"),
        ("set_variable", """{"name":"No Name","value":1}""", "action_config.name"),
        ("set_variable", """{"name":"x"}""", "action_config.value"),
    ];

    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("ps-rule-scope-values")]
    public async Task Only_the_three_scopes_are_known_and_global_is_the_default()
    {
        Assert.Equal("GLOBAL", (await CreateAsync(Says("a", "b"))).GetProperty("scope").GetString());
        Assert.Equal("scope", await FieldAsync(Says("a", "b") with { Scope = "WORLD" }));
        var refused = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => _api.Platform.AsAsync(_api.Owner, tx => tx.ExecuteAsync("UPDATE agents.rules SET scope = 'WORLD'", [], default)));
        Assert.Equal("chk_rules_scope", refused.ConstraintName);
    }

    [Fact]
    [Behaviour("ps-rule-scope-target")]
    public async Task A_scenario_or_step_rule_names_one_of_the_agent_and_a_global_rule_none()
    {
        var scenario = (await _api.PostAsync($"/api/v1/agents/{_api.Tenant.AgentId}/scenarios", Booking.Scenario)).Json.GetProperty("id").GetGuid();
        foreach (var (scope, id) in new (string, Guid?)[] { ("SCENARIO", null), ("STEP", null), ("SCENARIO", _api.Tenant.AgentId), ("STEP", scenario), ("GLOBAL", scenario) })
        {
            Assert.Equal("scope_id", await FieldAsync(Says("a", "b") with { Scope = scope, ScopeId = id }));
        }

        await CreateAsync(Says("a", "b") with { Scope = "SCENARIO", ScopeId = scenario });
        await CreateAsync(Says("a", "b") with { Scope = "STEP", ScopeId = Scenario.StepId(scenario, "ask_guests") });
    }

    [Fact]
    [Behaviour("ps-rule-action-config")]
    public async Task An_action_that_cannot_be_done_is_refused_with_its_path()
    {
        foreach (var (action, config, field) in Impossible)
        {
            Assert.Equal(field, await FieldAsync(Says("a", "b") with { ActionType = action, ActionConfig = JsonSerializer.Deserialize<JsonElement>(config) }));
        }
    }

    [Theory]
    [InlineData("phrases", "!?", "condition_text")]
    [InlineData("pattern", "(", "condition_text")]
    [InlineData("pattern", "a*", "condition_text")]
    [InlineData("expression", "{", "condition_text")]
    [InlineData("expression", """{"path":"$.weather","equals":"fine"}""", "condition_text.path")]
    [InlineData("expression", """{"any":[{"path":"$.turn","greater_than":"3"}]}""", "condition_text.any[0].greater_than")]
    [InlineData("mood", "x", "condition_kind")]
    public async Task A_condition_that_cannot_be_read_is_refused_with_its_path(string kind, string text, string field)
    {
        Assert.Equal(field, await FieldAsync(Says("a", "b") with { ConditionKind = kind, ConditionText = text }));
    }

    [Fact]
    public async Task Relations_in_which_a_rule_would_wait_for_itself_are_refused()
    {
        var first = (await CreateAsync(Says("a", "1", "first"))).GetProperty("id").GetGuid();
        var second = (await CreateAsync(Says("a", "2", "second") with { Requires = [first] })).GetProperty("id").GetGuid();
        var third = (await CreateAsync(Says("a", "3", "third") with { Requires = [second] })).GetProperty("id").GetGuid();

        Assert.Equal("rule_cycle", (await PutAsync(first, Says("a", "1", "first") with { Requires = [third] })).Code);
        // Overridden by what itself waits for it; and excluded, by its lower priority, by what it is required for.
        Assert.Equal("rule_cycle", (await PutAsync(third, Says("a", "3", "third") with { Requires = [second], Overrides = [first] })).Code);
        Assert.Equal("rule_cycle", (await PutAsync(third, Says("a", "3", "third") with { Requires = [second], Excludes = [first], Priority = 3 })).Code);
        Assert.Equal(200, (await PutAsync(third, Says("a", "3", "third") with { Overrides = [first, second] })).Status);
        Assert.Equal("requires", await FieldAsync(Says("a", "b") with { Requires = [_api.Tenant.AgentId] }));
        Assert.Equal(400, (await PutAsync(first, Says("a", "1") with { Excludes = [first] })).Status);
    }

    [Fact]
    public async Task Changes_at_the_same_time_cannot_make_a_cycle_together()
    {
        var ids = new List<Guid>();
        for (var i = 0; i < 4; i++)
        {
            ids.Add((await CreateAsync(Says("a", $"{i}", $"rule {i}"))).GetProperty("id").GetGuid());
        }

        var answers = await Task.WhenAll(ids.Select((id, i) => PutAsync(id, Says("a", $"{i}", $"rule {i}") with { Requires = [ids[(i + 1) % ids.Count]] })));

        Assert.Equal("rule_cycle", Assert.Single(answers, answer => answer.Status != 200).Code);
    }

    [Fact]
    public async Task A_rule_is_read_changed_listed_and_deleted_unless_another_requires_it()
    {
        var first = (await CreateAsync(Says("a", "1", "first"))).GetProperty("id").GetGuid();
        var second = (await CreateAsync(Says("a", "2", "second") with { Requires = [first], Excludes = [first] })).GetProperty("id").GetGuid();
        Assert.Equal([first], Json.Read<Guid[]>((await _api.GetAsync($"/api/v1/rules/{second}")).Json.GetProperty("requires")));
        Assert.Equal([second, first], (await _api.GetAsync($"/api/v1/agents/{_api.Tenant.AgentId}/rules")).Json.GetProperty("items").EnumerateArray().Select(r => r.GetProperty("id").GetGuid()));

        Assert.Equal("rule_is_required", (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/rules/{first}")).Code);
        Assert.Equal(200, (await PutAsync(second, Says("a", "2", "second") with { Excludes = [first] })).Status);
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/rules/{first}")).Status);
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/rules/{first}")).Status);
        Assert.Empty((await _api.GetAsync($"/api/v1/rules/{second}")).Json.GetProperty("excludes").EnumerateArray());
    }

    private async Task<JsonElement> CreateAsync(RuleInput input)
    {
        var answer = await _api.PostAsync($"/api/v1/agents/{_api.Tenant.AgentId}/rules", input);
        Assert.True(answer.Status == 201, answer.Json.ToString());
        return answer.Json;
    }

    private async Task<string> FieldAsync(RuleInput input)
    {
        var answer = await _api.PostAsync($"/api/v1/agents/{_api.Tenant.AgentId}/rules", input);
        Assert.Equal(400, answer.Status);
        return Assert.Single(answer.Json.GetProperty("errors").EnumerateObject()).Name;
    }

    private Task<ApiAnswer> PutAsync(Guid id, RuleInput input) => _api.SendAsync(HttpMethod.Put, $"/api/v1/rules/{id}", input);
}
