using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Workflows.Definitions;

namespace AgentPlatform.Tests.Workflows;

/// <summary>Definitions: what is refused and where, versions, templates.</summary>
public sealed class DefinitionTests : IAsyncLifetime
{
    private static readonly (string Steps, string[] Paths)[] Wrong =
    [
        ("""[{"id":"a","action":"dance"}]""", ["$.definition.steps[0].action"]),
        ("""[{"id":"a","action":"upload","input":{"colour":"red"}}]""", ["$.definition.steps[0].input.colour"]),
        ("""[{"id":"a","action":"upload","input":{"n":"$.steps.b.ref"}},{"id":"b","action":"upload"}]""", ["$.definition.steps[0].input.n"]),
        ("""[{"id":"a","action":"upload","input":{"n":"$.item.name"}}]""", ["$.definition.steps[0].input.n"]),
        ("""[{"id":"a","action":"upload","input":{"n":"$input"}}]""", ["$.definition.steps[0].input.n"]),
        ("""[{"id":"a","action":"upload","after":["b"]},{"id":"b","action":"upload","after":["a"]}]""", ["$.definition.steps[0].after", "$.definition.steps[1].after"]),
        ("""[{"id":"a","action":"upload","after":["a"]},{"id":"b","action":"upload"}]""", ["$.definition.steps[0].after", "$.definition.steps[1].after"]),
        ("""[{"id":"a","action":"upload","after":["x"]}]""", ["$.definition.steps[0].after[0]", "$.definition.steps[0].after"]),
        ("""[{"id":"a","action":"upload","when":false}]""", ["$.definition.steps[0].when"]),
        ("""[{"id":"a","action":"upload","when":{"path":"$.input.x","resembles":1}}]""", ["$.definition.steps[0].when.resembles"]),
        ("""[{"id":"a","action":"submit","reversibility":"final"},{"id":"b","action":"reserve"}]""", ["$.definition.steps[1].after"]),
        ("""[{"id":"a","action":"submit","reversibility":"final"},{"id":"b","action":"upload","undo":{"action":"remove"}}]""", ["$.definition.steps[1].after"]),
        ("""[{"id":"a","action":"reserve"},{"id":"b","action":"submit","reversibility":"final","after":[]}]""", ["$.definition.steps[1].after"]),
        ("""[{"id":"a","action":"upload","reversibility":"compensable"}]""", ["$.definition.steps[0].undo"]),
        ("""[{"id":"a","action":"upload","undo":{"action":"unlearn"}}]""", ["$.definition.steps[0].undo.action"]),
        ("""[{"id":"a","action":"upload","undo":{"action":"remove","input":{"ref":"$.step.output"}}}]""", ["$.definition.steps[0].undo.input.ref"]),
        ("""[{"id":"a","action":"upload"},{"id":"a","action":"upload"}]""", ["$.definition.steps[0].id", "$.definition.steps[1].id"]),
        ("""[{"id":"a","type":"workflow","workflow":"nowhere"}]""", ["$.definition.steps[0].workflow"]),
        ("""[{"id":"a","type":"workflow","workflow":"wrong"}]""", ["$.definition.steps[0].workflow"]),
        ("""[{"id":"a","type":"approval","action":"upload"}]""", ["$.definition.steps[0].type"]),
        ("""[{"id":"a","type":"sleep"}]""", ["$.definition.steps[0].sleep_seconds"]),
        ("""[{"id":"a","action":"upload","colour":"red"}]""", ["$.definition.steps[0].colour"]),
        ("""[{"id":"a","action":"upload","concurrency":"many"}]""", ["$.definition.steps[0].concurrency"]),
        ("""[]""", ["$.definition.steps"]),
    ];

    private Flows _flows = null!;

    public async Task InitializeAsync() => _flows = await Flows.StartAsync();

    public async Task DisposeAsync() => await _flows.DisposeAsync();

    [Fact]
    public async Task What_is_wrong_is_refused_under_its_path()
    {
        foreach (var (steps, paths) in Wrong)
        {
            var answer = await _flows.TryDefineAsync("wrong", new { steps = JsonSerializer.Deserialize<JsonElement>(steps) });
            Assert.Equal((400, "validation_failed"), (answer.Status, answer.Code));
            Assert.Equal(paths.Order(), answer.Json.GetProperty("errors").EnumerateObject().Select(e => e.Name).Order());
            Assert.Equal(404, (await _flows.Api.GetAsync("/api/v1/workflows/wrong")).Status);
        }
    }

    [Fact]
    public async Task Workflows_that_would_call_each_other_for_ever_are_refused()
    {
        await _flows.DefineAsync("low", new { id = "a", action = "upload" });
        await _flows.DefineAsync("mid", new { id = "a", type = "workflow", workflow = "low" });
        await _flows.DefineAsync("high", new { id = "a", type = "workflow", workflow = "mid" });
        var answer = await _flows.Api.SendAsync(HttpMethod.Patch, "/api/v1/workflows/low", new { definition = new { steps = new[] { new { id = "a", type = "workflow", workflow = "high" } } } });
        Assert.Equal("$.definition.steps[0].workflow", answer.Json.GetProperty("errors").EnumerateObject().Single().Name);
    }

    [Fact]
    [Behaviour("bb-workflow-version")]
    public async Task Another_definition_is_a_new_version_and_what_runs_keeps_its_own()
    {
        var first = await _flows.DefineAsync("v", new { id = "go", type = "wait", @event = "go" }, new { id = "a", action = "upload" });
        Assert.Equal(1, first.Version);
        var running = await _flows.RunAsync("v");
        var changed = await ChangeAsync("v", new { definition = new { steps = new object[] { new { id = "go", type = "wait", @event = "go" }, new { id = "b", action = "submit" }, new { id = "c", action = "notify" } } } });
        var renamed = await ChangeAsync("v", new { name = "Another name" });
        var same = await ChangeAsync("v", new { definition = changed.Definition });

        Assert.Equal((2, 2, 2), (changed.Version, renamed.Version, same.Version));
        await _flows.MoveAsync(running.Id, "signals", new { name = "go" });
        await _flows.DrainAsync();
        Assert.Equal((1, "completed", 2), ((await _flows.ReadAsync(running.Id)).WorkflowVersion, (await _flows.ReadAsync(running.Id)).Status, (await _flows.ReadAsync(running.Id)).StepsTotal));
        Assert.Equal(["upload"], _flows.Depot.Names);
        Assert.Equal((2, 3), ((await _flows.RunAsync("v")).WorkflowVersion, (await _flows.RunAsync("v")).StepsTotal));
        var versions = (await _flows.Api.GetAsync("/api/v1/workflows/v/versions")).Json.GetProperty("items");
        Assert.Equal([2, 1], versions.EnumerateArray().Select(v => v.GetProperty("version").GetInt32()));
        Assert.Equal("a", versions[1].GetProperty("definition").GetProperty("steps")[1].GetProperty("id").GetString());
    }

    [Fact]
    [Behaviour("bb-workflow-template")]
    public async Task A_template_is_seen_by_everybody_and_copied_but_not_changed_by_others()
    {
        var (author, other) = (await _flows.Api.KeyAsync("member"), await _flows.Api.KeyAsync("member"));
        await _flows.DefineWholeAsync("pattern", new { steps = new[] { new { id = "a", action = "upload" } } }, author, new { is_template = true });
        await _flows.DefineWholeAsync("private", new { steps = new[] { new { id = "a", action = "upload" } } }, author);

        Assert.Equal(["pattern"], (await _flows.Api.GetAsync("/api/v1/workflows", other)).Json.GetProperty("items").EnumerateArray().Select(w => w.GetProperty("workflow_id").GetString()));
        Assert.Equal((200, 404), ((await _flows.Api.GetAsync("/api/v1/workflows/pattern", other)).Status, (await _flows.Api.GetAsync("/api/v1/workflows/private", other)).Status));
        Assert.Equal("workflow_not_yours", (await _flows.Api.SendAsync(HttpMethod.Patch, "/api/v1/workflows/pattern", new { name = "mine" }, other)).Code);
        Assert.Equal("workflow_not_yours", (await _flows.Api.SendAsync(HttpMethod.Patch, "/api/v1/workflows/pattern", new { name = "mine" })).Code);
        Assert.Equal(200, (await _flows.Api.SendAsync(HttpMethod.Patch, "/api/v1/workflows/pattern", new { description = "better" }, author)).Status);

        var copy = await _flows.Api.PostAsync("/api/v1/workflows/pattern/copy", new { workflow_id = "mine" }, other);
        Assert.Equal(201, copy.Status);
        Assert.Equal(("copy", false, 1), (copy.Json.GetProperty("source").GetString(), copy.Json.GetProperty("is_template").GetBoolean(), copy.Json.GetProperty("version").GetInt32()));
        Assert.Equal(200, (await _flows.Api.SendAsync(HttpMethod.Patch, "/api/v1/workflows/mine", new { name = "Mine" }, other)).Status);
        Assert.Equal("pattern", (await _flows.Api.GetAsync("/api/v1/workflows/pattern", author)).Json.GetProperty("name").GetString());
    }

    [Fact]
    [Behaviour("bb-workflow-inactive")]
    public async Task A_workflow_that_is_switched_off_cannot_be_run()
    {
        await _flows.DefineAsync("off", new { id = "a", action = "upload" });
        await ChangeAsync("off", new { is_active = false });
        var refused = await _flows.Api.PostAsync("/api/v1/workflows/off/start", new { conversation_id = _flows.ConversationId });
        Assert.Equal((409, "workflow_inactive"), (refused.Status, refused.Code));
        Assert.Equal(0, await _flows.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM workflows.workflow_instances"));
        await ChangeAsync("off", new { is_active = true });
        Assert.Equal("completed", (await _flows.RunAsync("off")).Status);
    }

    [Fact]
    public async Task Running_a_workflow_does_not_disturb_who_edits_it()
    {
        var read = await _flows.DefineAsync("edited", new { id = "a", action = "upload" });
        await _flows.RunAsync("edited");
        Assert.Equal(read.UpdatedAt, Json.Read<Workflow>((await _flows.Api.GetAsync("/api/v1/workflows/edited")).Json).UpdatedAt);
    }

    private async Task<Workflow> ChangeAsync(string id, object body)
    {
        var answer = await _flows.Api.SendAsync(HttpMethod.Patch, $"/api/v1/workflows/{id}", body);
        Assert.True(answer.Status == 200, answer.Body);
        return Json.Read<Workflow>(answer.Json);
    }
}
