using AgentPlatform.Kernel;
using AgentPlatform.Tests.Workflows;
using AgentPlatform.Workflows;
using AgentPlatform.Workflows.Starting;

namespace AgentPlatform.Tests.EndToEnd;

/// <summary>Workflows on real hosts, driven by their durable orchestrations, while hosts are killed.</summary>
[Collection("Alone")]
public sealed class WorkflowCrashTests : IAsyncLifetime
{
    private const int Each = 12;

    private Flows _flows = null!;

    public async Task InitializeAsync() => _flows = await Flows.StartAsync(Flows.Act("deny"));

    public async Task DisposeAsync() => await _flows.DisposeAsync();

    [Fact]
    public async Task Hosts_that_are_killed_in_the_middle_of_workflows_do_each_step_once_and_undo_each_once()
    {
        await DefineAsync("good", "submit");
        await DefineAsync("bad", "deny");
        _flows.Depot.Refuses["deny"] = 422;
        foreach (var name in new[] { "reserve", "upload", "submit", "deny", "remove", "release" })
        {
            _flows.Depot.Meanwhile[name] = Eventually.PauseAsync;
        }

        await using var first = await HostAsync();
        await using var second = await HostAsync();
        await _flows.Platform.AsAsync(_flows.Actor, async tx =>
        {
            for (var n = 0; n < 2 * Each; n++)
            {
                var id = n < Each ? "good" : "bad";
                var started = await _flows.Platform.Get<WorkflowEngine>().StartAsync(
                    tx, new WorkflowStart(id, _flows.ConversationId, "api", $"{id}-{n}") { Input = Json.Of(new { n = $"{id}-{n}" }) }, default);
                Assert.True(started.IsOk, started.Problem?.Code);
            }
        });

        await ReachAsync(10);
        first.Kill();
        await ReachAsync(Each * 2);
        second.Kill();
        await using var third = await HostAsync();
        var over = await Eventually.SeeAsync(
            () => _flows.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM workflows.workflow_instances WHERE status <> 'in_progress'"), n => n == 2 * Each, seconds: 120);

        Assert.True(over == 2 * Each, $"{over} are over.\n{third.Output}");
        Assert.Equal("", await _flows.Platform.Postgres.ScalarAsync<string>(
            "SELECT coalesce(string_agg(concat_ws(' ', status, error_step, error_code, error), E'\n'), '') FROM workflows.workflow_executions WHERE workflow IN (SELECT id FROM workflows.automation_workflows WHERE workflow_id = 'good') AND status <> 'completed'"));
        Assert.Equal(Each, await CountAsync("status = 'completed' AND steps_completed = 3 AND NOT rollback_performed"));
        Assert.Equal(Each, await CountAsync("status = 'failed' AND steps_completed = 2 AND rollback_performed AND jsonb_array_length(rollback_steps) = 2"));
        var done = _flows.Depot.Effects.ToLookup(e => e.Body.GetProperty("n").GetString()!, e => e.Name);
        for (var n = 0; n < 2 * Each; n++)
        {
            string[] expected = n < Each ? ["reserve", "upload", "submit"] : ["reserve", "upload", "remove", "release"];
            Assert.Equal(expected, done[$"{(n < Each ? "good" : "bad")}-{n}"]);
        }

        // Nothing is left to do, and each orchestration has ended with its workflow.
        Assert.Equal(0, await Eventually.SeeAsync(
            () => _flows.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM durable.instances WHERE completed_at IS NULL"), n => n == 0, seconds: 40));
    }

    private Task DefineAsync(string id, string last) => _flows.DefineAsync(
        id,
        new { id = "reserve", action = "reserve", input = new { n = "$.input.n" } },
        new { id = "upload", action = "upload", input = new { n = "$.input.n", @ref = "$.steps.reserve.ref" }, undo = new { action = "remove" } },
        new { id = "last", action = last, input = new { n = "$.input.n" }, reversibility = "final" });

    private Task<HostProcess> HostAsync() => HostProcess.StartAsync(
        _flows.Platform.Postgres.ConnectionString, ("Actions__AllowPrivateTargets", "true"), ("Work__LeaseSeconds", "6"));

    private Task<long> CountAsync(string which) => _flows.Platform.Postgres.ScalarAsync<long>($"SELECT count(*) FROM workflows.workflow_instances WHERE {which}");

    private async Task ReachAsync(int effects)
    {
        var reached = await Eventually.SeeAsync(() => Task.FromResult(_flows.Depot.Effects.Count), n => n >= effects, seconds: 60);
        Assert.True(reached >= effects, $"Only {reached} effects.");
    }
}
