using System.Text.Json;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Agents;

public sealed class ScenarioApiTests : IAsyncLifetime
{
    private static readonly (string Steps, string Field)[] Unwalkable =
    [
        ("""[]""", "steps"),
        ("""[{"name":"a"}]""", "steps[0]"),
        ("""[{"name":"a","say":"x","next":"b"}]""", "steps[0].next"),
        ("""[{"name":"a","say":"x"},{"name":"a","say":"y"}]""", "steps"),
        ("""[{"name":"a","say":"x","next":"b"},{"name":"b","say":"y","next":"a"}]""", "steps"),
        ("""[{"name":"a","say":"{{#x"}]""", "steps[0].say"),
        ("""[{"name":"a","collect":{"name":"x","type":"colour","prompt":"?"}}]""", "steps[0].collect.type"),
        ("""[{"name":"a","collect":{"name":"x","type":"choice","prompt":"?"}}]""", "steps[0].collect.choices"),
        ("""[{"name":"a","say":"x","branches":[{"when":{"path":"email","exists":true},"to":"a"}]}]""", "steps[0].branches[0].when.path"),
        ("""[{"name":null,"say":"x"}]""", "steps"),
    ];

    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("ps-scenario-version-bump")]
    public async Task A_change_makes_a_new_version_and_archives_the_one_before()
    {
        var created = await CreateAsync(Booking.Scenario);
        Assert.Equal(1, created.GetProperty("version").GetInt32());
        var id = created.GetProperty("id").GetGuid();

        var changed = await PutAsync(id, Booking.Scenario with { Name = "book a room", EntryCondition = [] });

        Assert.Equal((2, "book a room"), (changed.Json.GetProperty("version").GetInt32(), changed.Json.GetProperty("name").GetString()));
        var old = Assert.Single((await _api.GetAsync($"/api/v1/scenarios/{id}/versions")).Json.GetProperty("items").EnumerateArray());
        var data = old.GetProperty("scenario_data");
        Assert.Equal(("book a table", 1, true), (data.GetProperty("name").GetString(), data.GetProperty("version").GetInt32(), data.GetProperty("enabled").GetBoolean()));
        Assert.True(JsonElement.DeepEquals(created.GetProperty("steps"), data.GetProperty("steps")));
        Assert.Equal(["reserve a table", "table reservation"], Json.Read<string[]>(data.GetProperty("entry_condition")));
    }

    [Fact]
    [Behaviour("ps-scenario-version-bump", "ps-scenario-archive-key")]
    public async Task Changes_at_the_same_time_make_a_version_each_and_archive_each_version_once()
    {
        var id = (await CreateAsync(Booking.Scenario)).GetProperty("id").GetGuid();
        var answers = await Task.WhenAll(Enumerable.Range(0, 5).Select(i => PutAsync(id, Booking.Scenario with { Description = $"{i}" })));

        Assert.All(answers, answer => Assert.Equal(200, answer.Status));
        Assert.Equal([2, 3, 4, 5, 6], answers.Select(a => a.Json.GetProperty("version").GetInt32()).Order());
        Assert.Equal([5, 4, 3, 2, 1], (await _api.GetAsync($"/api/v1/scenarios/{id}/versions")).Json.GetProperty("items").EnumerateArray().Select(v => v.GetProperty("version").GetInt32()));
    }

    [Fact]
    [Behaviour("ps-scenario-archive-key")]
    public async Task An_archived_version_is_read_back_unchanged_and_cannot_be_written_again()
    {
        var id = (await CreateAsync(Booking.Scenario)).GetProperty("id").GetGuid();
        await PutAsync(id, Booking.Scenario);
        var first = (await _api.GetAsync($"/api/v1/scenarios/{id}/versions/1")).Json;
        await PutAsync(id, Booking.Scenario with { Description = "third" });

        Assert.True(JsonElement.DeepEquals(first, (await _api.GetAsync($"/api/v1/scenarios/{id}/versions/1")).Json));
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/scenarios/{id}/versions/3")).Status);
        var twice = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => _api.Platform.AsAsync(_api.Owner, tx => tx.ExecuteAsync(
            "INSERT INTO agents.scenario_archives SELECT * FROM agents.scenario_archives WHERE scenario_id = $1", [id], default)));
        Assert.Equal("scenario_archives_pkey", twice.ConstraintName);
        await Assert.ThrowsAsync<Npgsql.PostgresException>(() => _api.Platform.AsAsync(_api.Owner, tx => tx.ExecuteAsync("UPDATE agents.scenario_archives SET version = 9", [], default)));
    }

    [Fact]
    public async Task A_change_to_an_older_reading_is_refused()
    {
        var id = (await CreateAsync(Booking.Scenario)).GetProperty("id").GetGuid();
        Assert.Equal(412, (await _api.SendAsync(HttpMethod.Put, $"/api/v1/scenarios/{id}", Booking.Scenario, key: null, ("If-Match", "\"1\""))).Status);
        Assert.Empty((await _api.GetAsync($"/api/v1/scenarios/{id}/versions")).Json.GetProperty("items").EnumerateArray());
    }

    [Fact]
    public async Task What_cannot_be_walked_is_refused()
    {
        foreach (var (steps, field) in Unwalkable)
        {
            var answer = await _api.PostAsync($"/api/v1/agents/{_api.Tenant.AgentId}/scenarios", $$"""{"name":"x","steps":{{steps}}}""");
            Assert.Equal(400, answer.Status);
            Assert.True(answer.Json.GetProperty("errors").TryGetProperty(field, out _), answer.Body);
        }
    }

    [Fact]
    [Behaviour("ps-agent-soft-delete")]
    public async Task Deleted_it_is_gone_from_every_reading_and_of_another_tenant_it_is_not_there()
    {
        var id = (await CreateAsync(Booking.Scenario)).GetProperty("id").GetGuid();
        var other = await _api.Platform.ProvisionAsync();
        Assert.False((await _api.Platform.Get<ManageScenarios>().ChangeAsync(Actor.System(other.TenantId), id, Booking.Scenario, IfMatch.Any, default)).IsOk);

        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/scenarios/{id}")).Status);
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/scenarios/{id}")).Status);
        Assert.Equal(404, (await PutAsync(id, Booking.Scenario)).Status);
        Assert.Empty((await _api.GetAsync($"/api/v1/agents/{_api.Tenant.AgentId}/scenarios")).Json.GetProperty("items").EnumerateArray());
        Assert.Equal(1L, await _api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM agents.scenarios WHERE deleted_at IS NOT NULL"));
    }

    [Fact]
    public async Task A_migration_plan_is_drafted_read_approved_and_deployed()
    {
        var id = (await CreateAsync(Booking.Scenario)).GetProperty("id").GetGuid();
        await PutAsync(id, Booking.Scenario with { Description = "second" });
        var drafted = await _api.PostAsync($"/api/v1/scenarios/{id}/migration-plans", """{"from_version":1,"to_version":2,"transformation_map":{"ask_room":"ask_guests"},"scope_filter":{"channels":["sms"]}}""");
        Assert.True(drafted.Status == 201, drafted.Body);
        var plan = $"/api/v1/migration-plans/{drafted.Json.GetProperty("id").GetGuid()}";

        Assert.Equal(409, (await _api.PostAsync($"{plan}/deploy", null)).Status);
        Assert.Equal(412, (await _api.SendAsync(HttpMethod.Post, $"{plan}/approve", body: null, key: null, ("If-Match", "\"1\""))).Status);
        Assert.Equal(200, (await _api.PostAsync($"{plan}/approve", null)).Status);
        Assert.Equal(0, (await _api.PostAsync($"{plan}/deploy", null)).Json.GetProperty("sessions_marked").GetInt32());
        Assert.Equal("DEPLOYED", (await _api.GetAsync(plan)).Json.GetProperty("status").GetString());
        Assert.Equal("DEPLOYED", Assert.Single((await _api.GetAsync($"/api/v1/scenarios/{id}/migration-plans")).Json.GetProperty("items").EnumerateArray()).GetProperty("status").GetString());
        Assert.Equal(409, (await _api.PostAsync($"{plan}/reject", null)).Status);
    }

    private async Task<JsonElement> CreateAsync(ScenarioInput input)
    {
        var answer = await _api.PostAsync($"/api/v1/agents/{_api.Tenant.AgentId}/scenarios", input);
        Assert.True(answer.Status == 201, answer.Body);
        return answer.Json;
    }

    private Task<ApiAnswer> PutAsync(Guid id, ScenarioInput input) => _api.SendAsync(HttpMethod.Put, $"/api/v1/scenarios/{id}", input);
}
