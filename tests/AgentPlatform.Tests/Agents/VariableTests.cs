using System.Text.Json;
using AgentPlatform.Agents.Variables;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Brain;

namespace AgentPlatform.Tests.Agents;

public sealed class VariableTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(TestApi.AddWebHost);

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    private ManageVariables Manage => _talk.Platform.Get<ManageVariables>();

    [Fact]
    [Behaviour("ps-variable-unique", "ps-partial-unique-ddl")]
    public async Task A_name_is_declared_once_an_agent_until_it_is_deleted()
    {
        var first = await DeclareAsync("guests");
        Assert.Equal("variable_name_taken", (await Manage.DeclareAsync(_talk.Actor, _talk.AgentId, new("guests", null, null, null), default)).Problem?.Code);
        await _talk.InAsync(tx => tx.ExecuteAsync("INSERT INTO tenancy.agents (tenant_id, id, name) VALUES (kernel.current_tenant_id(), $1, 'Other')", [first.Id], default));
        Assert.True((await Manage.DeclareAsync(_talk.Actor, first.Id, new("guests", null, null, null), default)).IsOk);

        Assert.True((await Manage.DeleteAsync(_talk.Actor, first.Id, IfMatch.Any, default)).IsOk);
        Assert.NotEqual(first.Id, (await DeclareAsync("guests")).Id);
    }

    [Fact]
    [Behaviour("ps-variable-update-policy")]
    public async Task Only_the_three_policies_are_known_and_replace_is_the_default()
    {
        Assert.Equal("REPLACE", (await DeclareAsync("plain")).UpdatePolicy);
        Assert.Equal("validation_failed", (await Manage.DeclareAsync(_talk.Actor, _talk.AgentId, new("odd", null, null, "KEEP"), default)).Problem?.Code);
        var refused = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => _talk.InAsync(tx => tx.ExecuteAsync("UPDATE agents.variables SET update_policy = 'KEEP'", [], default)));
        Assert.Equal("chk_variables_policy", refused.ConstraintName);
    }

    [Fact]
    [Behaviour("ps-variable-update-policy", "ps-session-variables")]
    public async Task Values_from_outside_meet_the_old_ones_by_their_variables_policies()
    {
        await DeclareAsync("visits", "APPEND");
        await DeclareAsync("address", "MERGE");
        await _talk.SayAsync("hello");
        await SetAsync("""{"tier":"silver","visits":1,"address":{"city":"Bonn","zip":"53111"}}""");

        var set = await SetAsync("""{"tier":"gold","visits":2,"address":{"city":"Berlin"}}""");

        var expected = Json.Of(JsonSerializer.Deserialize<JsonElement>("""{"tier":"gold","visits":[1,2],"address":{"city":"Berlin","zip":"53111"}}"""));
        Assert.True(JsonElement.DeepEquals(expected, Json.Of(set)));
        Assert.True(JsonElement.DeepEquals(expected, Json.Of((await _talk.SessionAsync()).Variables)));
        Assert.Equal("validation_failed", (await Manage.SetAsync(_talk.Actor, (await _talk.SessionAsync()).SessionId, Read("""{"No Name":1}"""), default)).Problem?.Code);
        Assert.Equal("session_not_found", (await Manage.SetAsync(_talk.Actor, TimeProvider.System.NewId(), Read("{}"), default)).Problem?.Code);
    }

    [Fact]
    [Behaviour("ps-variable-update-policy", "ps-session-variables")]
    public async Task One_that_is_put_meets_the_old_value_as_those_that_are_posted_do()
    {
        await DeclareAsync("guests", "APPEND");
        await _talk.SayAsync("hello");
        await using var api = await TestApi.OverAsync(_talk.Platform, _talk.Tenant);
        var at = $"/api/v1/sessions/{(await _talk.SessionAsync()).SessionId}/variables";
        await api.PostAsync(at, new { guests = 1 });

        var put = await api.SendAsync(HttpMethod.Put, $"{at}/guests", new { value = 2 });
        Assert.Equal([1, 2], Json.Read<int[]>(put.Json.GetProperty("variables").GetProperty("guests")));
        Assert.Equal("validation_failed", (await api.SendAsync(HttpMethod.Put, $"{at}/No-Name", new { value = 2 })).Code);
        Assert.Equal("validation_failed", (await api.SendAsync(HttpMethod.Put, $"{at}/guests", new { })).Code);
        Assert.Equal(200, (await api.SendAsync(HttpMethod.Put, $"{at}/tier", new { value = (string?)null })).Status);

        await api.PostAsync(at, Enumerable.Range(0, 198).ToDictionary(i => $"v{i}", i => i));
        Assert.Equal("validation_failed", (await api.SendAsync(HttpMethod.Put, $"{at}/one_more", new { value = 2 })).Code);
        Assert.Equal(200, (await _talk.SessionAsync()).Variables.Count);
    }

    [Fact]
    [Behaviour("ps-session-variables")]
    public async Task What_a_scenario_collects_changes_the_variable_by_its_policy()
    {
        await DeclareAsync("guests", "APPEND");
        await _talk.GuideAsync();
        foreach (var guests in new[] { "4", "2" })
        {
            await _talk.SayAsync("book a table");
            await _talk.SayAsync("ada@example.com");
            await _talk.SayAsync(guests);
            await _talk.SayAsync("bar");
        }

        var variables = (await _talk.SessionAsync()).Variables;
        Assert.Equal([4, 2], Json.Read<int[]>(variables["guests"]));
        Assert.Equal("Bar", variables["room"].GetString());
    }

    [Fact]
    public async Task A_variable_without_a_value_is_its_default()
    {
        await DeclareAsync("city", defaultValue: "Bonn");
        await _talk.GuideAsync(Booking.Scenario with
        {
            Steps =
            [
                Booking.AskEmail with { Collect = Booking.AskEmail.Collect! with { Prompt = "We are in {{city}}. What is your e-mail?" }, Next = null, Branches = [new(Json.Of(new { path = "$.city", equals = "Bonn" }), "bonn")] },
                new() { Name = "bonn", Say = "See you in {{city}}!" },
            ],
        });

        Assert.Equal("We are in Bonn. What is your e-mail?", await _talk.SayAsync("book a table"));
        Assert.Equal("See you in Bonn!", await _talk.SayAsync("ada@example.com"));
        Assert.False((await _talk.SessionAsync()).Variables.ContainsKey("city"));

        await SetAsync("""{"city":"Berlin"}""");
        Assert.Equal("We are in Berlin. What is your e-mail?", await _talk.SayAsync("book a table"));
    }

    [Fact]
    public async Task The_api_declares_changes_lists_and_deletes()
    {
        await using var api = await TestApi.StartAsync();
        var own = $"/api/v1/agents/{api.Tenant.AgentId}/variables";
        var declared = await api.PostAsync(own, """{"name":"city","default_value":"Bonn"}""");
        Assert.True(declared.Status == 201, declared.Body);
        var one = $"/api/v1/variables/{declared.Json.GetProperty("id").GetGuid()}";

        Assert.Equal(409, (await api.PostAsync(own, """{"name":"city"}""")).Status);
        Assert.Equal(400, (await api.PostAsync(own, """{"name":"The City"}""")).Status);
        var changed = await api.SendAsync(HttpMethod.Patch, one, """{"update_policy":"APPEND"}""");
        Assert.Equal(("Bonn", "APPEND"), (changed.Json.GetProperty("default_value").GetString(), changed.Json.GetProperty("update_policy").GetString()));
        Assert.Single((await api.GetAsync(own)).Json.GetProperty("items").EnumerateArray());
        Assert.Equal(404, (await api.PostAsync($"/api/v1/sessions/{TimeProvider.System.NewId()}/variables", """{"city":"Bonn"}""")).Status);
        Assert.Equal(204, (await api.SendAsync(HttpMethod.Delete, one)).Status);
        Assert.Equal(404, (await api.GetAsync(one)).Status);
    }

    private async Task<Variable> DeclareAsync(string name, string? policy = null, string? defaultValue = null)
    {
        var declared = await Manage.DeclareAsync(_talk.Actor, _talk.AgentId, new(name, null, defaultValue, policy), default);
        Assert.True(declared.IsOk, Json.Text(declared.Problem));
        return declared.Value;
    }

    private async Task<IReadOnlyDictionary<string, JsonElement>> SetAsync(string values) =>
        (await Manage.SetAsync(_talk.Actor, (await _talk.SessionAsync()).SessionId, Read(values), default)).Value.Variables;

    private static Dictionary<string, JsonElement> Read(string values) => JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(values)!;
}
