using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows.Patterns;

namespace AgentPlatform.Tests.Workflows;

/// <summary>Patterns: who sees them, and what becomes of their blanks.</summary>
public sealed class PatternTests : IAsyncLifetime
{
    private Flows _flows = null!;

    public async Task InitializeAsync() => _flows = await Flows.StartAsync();

    public async Task DisposeAsync() => await _flows.DisposeAsync();

    [Fact]
    [Behaviour("bb-workflow-pattern-visibility")]
    public async Task The_platforms_patterns_public_ones_and_ones_own_are_seen_and_others_private_ones_are_not()
    {
        var (author, other) = (await _flows.Api.KeyAsync("member"), await _flows.Api.KeyAsync("member"));
        await CreateAsync("private", author, isPublic: false);
        await CreateAsync("public", author, isPublic: true);
        var system = await _flows.Platform.Get<PatternShelf>().CreateAsync(_flows.Actor, Json.Read<PatternBody>(Json.Of(Body("system", isPublic: false))), default);

        Assert.True(system.Value.IsSystemPattern);
        Assert.Equal(["system", "public", "private"], await SeenAsync(author));
        Assert.Equal(["system", "public"], await SeenAsync(other));
        Assert.Equal(404, (await _flows.Api.GetAsync("/api/v1/workflow-patterns/private", other)).Status);
        Assert.Equal("workflow_pattern_not_found", (await InstantiateAsync("private", new { action = "upload" }, other)).Code);
        Assert.Equal(201, (await InstantiateAsync("system", new { action = "upload" }, other)).Status);
    }

    [Fact]
    [Behaviour("bb-workflow-pattern-variables")]
    public async Task A_pattern_becomes_a_workflow_when_all_its_variables_are_given()
    {
        await CreateAsync("call", null, isPublic: true);
        Assert.Equal(["variables.action"], Errors(await InstantiateAsync("call", new { })));
        Assert.Equal(["variables.colour"], Errors(await InstantiateAsync("call", new { action = "upload", colour = "red" })));
        Assert.Equal(["$.steps[0].action"], Errors(await InstantiateAsync("call", new { action = "dance" })));
        Assert.Equal(0, await _flows.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM workflows.automation_workflows"));

        var made = await InstantiateAsync("call", new { action = "upload", wait = 7 });
        Assert.Equal((201, "pattern"), (made.Status, made.Json.GetProperty("source").GetString()));
        var steps = made.Json.GetProperty("definition").GetProperty("steps");
        Assert.Equal(("upload", "Do upload now", 7), (steps[0].GetProperty("action").GetString(), steps[0].GetProperty("name").GetString(), steps[1].GetProperty("sleep_seconds").GetInt32()));

        var run = await _flows.RunAsync("made");
        await _flows.PassAsync(run.Id);
        _flows.Depot.Refuses["upload"] = 422;
        await _flows.RunAsync("made");
        var pattern = Json.Read<WorkflowPattern>((await _flows.Api.GetAsync("/api/v1/workflow-patterns/call")).Json);
        Assert.Equal((1, 2, 0.5f), (pattern.UsageCount, pattern.RunCount, pattern.SuccessRate));
        Assert.True(pattern.AvgExecutionTime > 0);
        Assert.NotNull(pattern.LastUsedAt);
    }

    private static object Body(string id, bool isPublic) => new
    {
        pattern_id = id,
        name = id,
        is_public = isPublic,
        pattern = new { steps = new object[] { new { id = "a", action = "{{action}}", name = "Do {{action}} now" }, new { id = "b", type = "sleep", sleep_seconds = "{{wait}}" } } },
        variables = new object[] { new { name = "action" }, new { name = "wait", @default = 60 } },
    };

    private static IEnumerable<string> Errors(Api.ApiAnswer answer) => answer.Json.GetProperty("errors").EnumerateObject().Select(e => e.Name);

    private async Task CreateAsync(string id, string? key, bool isPublic)
    {
        var answer = await _flows.Api.PostAsync("/api/v1/workflow-patterns", Body(id, isPublic), key);
        Assert.True(answer.Status == 201, answer.Body);
    }

    private async Task<IEnumerable<string?>> SeenAsync(string key) =>
        (await _flows.Api.GetAsync("/api/v1/workflow-patterns", key)).Json.GetProperty("items").EnumerateArray().Select(p => p.GetProperty("pattern_id").GetString());

    private Task<Api.ApiAnswer> InstantiateAsync(string pattern, object variables, string? key = null) =>
        _flows.Api.PostAsync($"/api/v1/workflow-patterns/{pattern}/instantiate", new { workflow_id = "made", agent_id = _flows.AgentId, variables }, key);
}
