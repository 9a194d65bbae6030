using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Tasks;

namespace AgentPlatform.Tests.Knowledge;

/// <summary>How a member's tasks succeeded: used again where they fit, trusted less when they fail, and never by others.</summary>
public sealed class SuccessPatternTests : IAsyncLifetime
{
    private Workshop _shop = null!;

    public async Task InitializeAsync() => _shop = await Workshop.StartAsync();

    public async Task DisposeAsync() => await _shop.DisposeAsync();

    [Fact]
    [Behaviour("bb-success-pattern-reuse")]
    public async Task A_pattern_starts_with_one_use_and_fits_where_conditions_and_state_both_hold()
    {
        var made = await CreateAsync(new { task_type = "apply", context_conditions = new { site = "a.example" }, required_state = new { logged_in = true } });
        Assert.Equal((1, 1.0), (made.Int("usage_count"), made.Number("success_rate")));
        Assert.Equal(0.8, made.Number("confidence"), 5);
        Assert.StartsWith("tsp_", made.Text("pattern_id"), StringComparison.Ordinal);

        Assert.Equal(made.Id(), (await MatchAsync("apply", new { site = "a.example", size = 3 }, new { logged_in = true, tabs = 2 }))!.Value.Id());
        Assert.Null(await MatchAsync("apply", new { site = "b.example" }, new { logged_in = true }));
        Assert.Null(await MatchAsync("apply", new { site = "a.example" }, new { logged_in = false }));
        Assert.Null(await MatchAsync("apply", new { site = "a.example" }, new { }));
        Assert.Null(await MatchAsync("other", new { site = "a.example" }, new { logged_in = true }));
    }

    [Fact]
    [Behaviour("bb-success-pattern-reuse", "bb-success-pattern-adapt")]
    public async Task A_use_moves_count_rate_time_and_trust_and_keeps_what_was_done_otherwise()
    {
        var id = (await CreateAsync(new { task_type = "apply", avg_execution_time = 1000 })).Id();

        var failed = await UseAsync(id, new { succeeded = false, execution_time = 3000, deviation = new { step = 2, did = "scrolled" } });
        Assert.Equal((2, 0.5, 2000.0), (failed.Int("usage_count"), failed.Number("success_rate"), failed.Number("avg_execution_time")));
        Assert.Equal(0.64, failed.Number("confidence"), 5);
        Assert.False(failed.IsNull("last_used_at"));
        var adaptation = Assert.Single(failed.GetProperty("adaptations").EnumerateArray());
        Assert.Equal((false, "scrolled"), (adaptation.GetProperty("succeeded").GetBoolean(), adaptation.GetProperty("deviation").Text("did")));

        var succeeded = await UseAsync(id, new { succeeded = true, execution_time = 500 });
        Assert.Equal((3, 1500.0, 1), (succeeded.Int("usage_count"), succeeded.Number("avg_execution_time"), succeeded.GetProperty("adaptations").GetArrayLength()));
        Assert.Equal(2.0 / 3, succeeded.Number("success_rate"), 5);
        Assert.Equal(0.676, succeeded.Number("confidence"), 5);
        Assert.True(succeeded.GetProperty("last_used_at").GetDateTimeOffset() > failed.GetProperty("last_used_at").GetDateTimeOffset());
    }

    [Fact]
    [Behaviour("bb-success-pattern-adapt")]
    public async Task A_pattern_that_fails_again_and_again_is_not_used_any_more_and_the_one_that_is_trusted_most_goes_first()
    {
        var (first, second) = ((await CreateAsync(new { task_type = "apply" })).Id(), (await CreateAsync(new { task_type = "apply" })).Id());
        await UseAsync(second, new { succeeded = false, execution_time = 1 });
        Assert.Equal(first, (await MatchAsync("apply", new { }, new { }))!.Value.Id());

        foreach (var id in new[] { first, first, first, first, first, second, second, second })
        {
            await UseAsync(id, new { succeeded = false, execution_time = 1 });
        }

        Assert.Equal(second, (await MatchAsync("apply", new { }, new { }))!.Value.Id());
        await UseAsync(second, new { succeeded = false, execution_time = 1 });
        Assert.Null(await MatchAsync("apply", new { }, new { }));
    }

    [Fact]
    [Behaviour("bb-success-pattern-reuse", "bb-success-pattern-adapt")]
    public async Task A_members_task_is_done_as_their_last_one_succeeded_and_what_it_does_otherwise_is_kept()
    {
        var result = """{"steps":["open","send"],"approach":{"by":"form"}}""";
        TaskGuide? given = null;
        _shop.Probe.Does = run =>
        {
            given = run.Guide;
            return Task.FromResult<StepOutcome>(new StepOutcome.Done(JsonSerializer.Deserialize<JsonElement>(result)));
        };
        var first = Assert.Single(await _shop.DoTaskAsync(DoIt));
        var learned = Assert.Single(await _shop.ItemsAsync("task-success-patterns?task_type=probe"));
        Assert.Equal((1, (double)first.Duration!, "form"), (learned.Int("usage_count"), learned.Number("avg_execution_time"), learned.GetProperty("successful_approach").Text("by")));

        result = """{"steps":["open","wait","send"],"approach":{"by":"form"}}""";
        var second = Assert.Single(await _shop.DoTaskAsync(DoIt));

        Assert.Equal((learned.Id(), """["open", "send"]"""), (second.SuccessPatternId, given!.Steps.GetRawText()));
        Assert.Equal("form", given.Approach!.Value.Text("by"));
        var used = Assert.Single(await _shop.ItemsAsync("task-success-patterns"));
        Assert.Equal((2, 1.0), (used.Int("usage_count"), used.Number("success_rate")));
        Assert.Equal("""{"steps":["open","wait","send"]}""", Assert.Single(used.GetProperty("adaptations").EnumerateArray()).GetProperty("deviation").GetRawText());

        _shop.Probe.Does = _ => Task.FromResult<StepOutcome>(new StepOutcome.Failed(new TaskFailure("down", "Down."), Again: false));
        await _shop.DoTaskAsync(DoIt);
        var failed = await _shop.GetAsync($"task-success-patterns/{used.Id()}");
        Assert.Equal(3, failed.Int("usage_count"));
        Assert.True(failed.Number("confidence") < used.Number("confidence"));

        var (_, key) = await _shop.Api.MemberAsync("member");
        Assert.Null(Assert.Single(await _shop.DoTaskAsync(DoIt, key)).SuccessPatternId);
    }

    [Fact]
    public async Task A_task_whose_member_has_left_teaches_them_nothing_and_the_learning_goes_on()
    {
        _shop.Probe.Does = _ => Task.FromResult<StepOutcome>(new StepOutcome.Done(JsonSerializer.Deserialize<JsonElement>("""{"steps":["open"],"approach":{"by":"form"}}""")));
        var (userId, key) = await _shop.Api.MemberAsync("member");
        await _shop.CreateAsync("agency-tasks", DoIt, key);
        await _shop.Api.Platform.AsAsync(_shop.Api.Owner, tx => tx.ExecuteAsync("DELETE FROM tenancy.workspace_members WHERE user_id = $1", [userId], default));
        await _shop.DrainAsync();

        Assert.Equal(0L, await _shop.Api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM knowledge.task_success_patterns"));
        Assert.Single(await _shop.ItemsAsync("action-patterns?task_type=probe"));
    }

    [Fact]
    public async Task Only_the_latest_hundred_deviations_are_kept()
    {
        var id = (await CreateAsync(new { task_type = "apply" })).Id();
        for (var i = 0; i < 102; i++)
        {
            await UseAsync(id, new { succeeded = true, execution_time = 1, deviation = new { i } });
        }

        var kept = (await _shop.GetAsync($"task-success-patterns/{id}")).GetProperty("adaptations");
        Assert.Equal((100, 2, 101), (kept.GetArrayLength(), kept[0].GetProperty("deviation").Int("i"), kept[99].GetProperty("deviation").Int("i")));
    }

    [Theory]
    [InlineData("", """{"task_type":"apply"}""", "validation_failed")]
    [InlineData("", """{"task_type":"apply","successful_approach":{},"pattern_id":"mine"}""", "task_success_pattern_exists")]
    [InlineData("/match", """{}""", "validation_failed")]
    [InlineData("/01234567-89ab-7def-8123-456789abcdef/uses", """{"succeeded":true,"execution_time":1}""", "task_success_pattern_not_found")]
    public async Task What_is_wrong_is_said_and_nothing_is_stored(string path, string body, string code)
    {
        await CreateAsync(new { task_type = "apply", pattern_id = "mine" });

        Assert.Equal(code, (await _shop.Api.PostAsync($"/api/v1/task-success-patterns{path}", body)).Code);
        Assert.Single(await _shop.ItemsAsync("task-success-patterns?pattern_id=mine"));
    }

    private static object DoIt => new { title = "Do it", task_type = "probe" };

    private Task<JsonElement> CreateAsync(object body)
    {
        var whole = JsonSerializer.SerializeToNode(body, Json.Options)!.AsObject();
        whole["successful_approach"] = new System.Text.Json.Nodes.JsonObject();
        return _shop.CreateAsync("task-success-patterns", whole);
    }

    private Task<JsonElement> UseAsync(Guid id, object use) => _shop.PostAsync($"task-success-patterns/{id}/uses", use);

    private async Task<JsonElement?> MatchAsync(string taskType, object context, object state)
    {
        var answer = await _shop.Api.PostAsync("/api/v1/task-success-patterns/match", new { task_type = taskType, context, state });
        Assert.True(answer.Status == 200 || answer.Code == "task_success_pattern_not_found", answer.Body);
        return answer.Status == 200 ? answer.Json : null;
    }
}
