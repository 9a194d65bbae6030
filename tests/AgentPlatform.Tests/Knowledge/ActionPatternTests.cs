using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Tasks;

namespace AgentPlatform.Tests.Knowledge;

/// <summary>Steps that worked: learned from tasks, told by others, and given to whoever does such a task next.</summary>
public sealed class ActionPatternTests : IAsyncLifetime
{
    private Workshop _shop = null!;

    public async Task InitializeAsync() => _shop = await Workshop.StartAsync();

    public async Task DisposeAsync() => await _shop.DisposeAsync();

    [Fact]
    [Behaviour("bb-action-pattern-learning")]
    public async Task A_finished_task_raises_its_pattern_and_the_next_attempt_is_given_the_best_one()
    {
        var given = new List<string?>();
        var steps = """["open","send"]""";
        _shop.Probe.Does = run =>
        {
            given.Add(run.Guide?.Steps.GetRawText());
            return Task.FromResult<StepOutcome>(new StepOutcome.Done(JsonSerializer.Deserialize<JsonElement>($$"""{"steps":{{steps}}}""")));
        };

        await _shop.DoTaskAsync(DoIt());
        var learned = Assert.Single(await _shop.ItemsAsync("action-patterns?task_type=probe"));
        Assert.Equal((1, 0, "Do it"), (learned.Int("success_count"), learned.Int("failure_count"), learned.Text("task_name")));
        Assert.True(learned.IsNull("user_id"));

        var attempt = Assert.Single(await _shop.DoTaskAsync(DoIt()));
        Assert.Equal([null, """["open", "send"]"""], given);
        Assert.Equal(learned.Id(), attempt.ActionPatternId);
        var raised = await _shop.GetAsync($"action-patterns/{learned.Id()}");
        Assert.Equal((2, 0), (raised.Int("success_count"), raised.Int("failure_count")));
        Assert.Equal(attempt.CompletedAt, raised.GetProperty("last_executed").GetDateTimeOffset());
    }

    [Fact]
    [Behaviour("bb-action-pattern-learning")]
    public async Task A_task_that_fails_by_a_pattern_raises_its_failures_once_however_many_attempts_it_took()
    {
        var pattern = (await CreateAsync("probe", "open")).Id();
        _shop.Probe.Does = _ => Task.FromResult<StepOutcome>(new StepOutcome.Failed(new TaskFailure("down", "Down."), Again: true));

        var attempts = await _shop.DoTaskAsync(DoIt(new { max_retries = 1 }));

        Assert.Equal([pattern, pattern], attempts.Select(a => a.ActionPatternId));
        var failed = await _shop.GetAsync($"action-patterns/{pattern}");
        Assert.Equal((0, 1), (failed.Int("success_count"), failed.Int("failure_count")));
        Assert.False(failed.IsNull("last_executed"));

        // Done by the pattern, without a word of other steps.
        _shop.Probe.Does = _ => Task.FromResult<StepOutcome>(new StepOutcome.Done(Json.Of(1)));
        await _shop.DoTaskAsync(DoIt());
        Assert.Equal((1, 1), ((await _shop.GetAsync($"action-patterns/{pattern}")).Int("success_count"), (await _shop.GetAsync($"action-patterns/{pattern}")).Int("failure_count")));
    }

    [Fact]
    [Behaviour("bb-action-pattern-learning")]
    public async Task The_best_pattern_is_the_one_that_has_proved_itself_not_the_one_that_was_lucky_once()
    {
        var (proven, lucky, failing, untried) = (await CreateAsync("t", "proven"), await CreateAsync("t", "lucky"), await CreateAsync("t", "failing"), await CreateAsync("t", "untried"));
        await CountAsync(proven.Id(), 95, 5);
        await CountAsync(lucky.Id(), 1, 0);
        await CountAsync(failing.Id(), 0, 3);

        Assert.Equal(proven.Id(), (await BestAsync()).Id());
        await DeleteAsync(proven);
        Assert.Equal(lucky.Id(), (await BestAsync()).Id());
        await DeleteAsync(lucky);
        Assert.Equal(untried.Id(), (await BestAsync()).Id());
        await DeleteAsync(untried);
        Assert.Equal(failing.Id(), (await BestAsync()).Id());
        await DeleteAsync(failing);
        Assert.Equal("action_pattern_not_found", (await _shop.Api.GetAsync("/api/v1/action-patterns/best?task_type=t")).Code);
    }

    [Fact]
    public async Task Nobody_is_given_the_pattern_of_another_and_ones_own_comes_first_among_equals()
    {
        var (_, key) = await _shop.Api.MemberAsync("member");
        var shared = (await CreateAsync("probe", "shared")).Id();
        var own = (await CreateAsync("probe", "own", key, shared: false)).Id();

        Assert.Equal(own, (await _shop.GetAsync("action-patterns/best?task_type=probe", key)).Id());
        Assert.Equal(shared, (await _shop.GetAsync("action-patterns/best?task_type=probe")).Id());
        Assert.Equal(own, Assert.Single(await _shop.DoTaskAsync(DoIt(), key)).ActionPatternId);
        Assert.Equal(shared, Assert.Single(await _shop.DoTaskAsync(DoIt())).ActionPatternId);
    }

    [Fact]
    [Behaviour("bb-action-pattern-learning")]
    public async Task An_action_that_asks_for_known_steps_is_sent_the_best_ones_and_says_which_it_took()
    {
        _shop.Endpoint.Answers(200, """{"steps":["open","send"]}""");
        var task = DoIt(new { task_type = "run_action", conversation_id = _shop.ConversationId, execution_config = new { action_id = "order" } });

        await _shop.DoTaskAsync(task);
        await _shop.DoTaskAsync(task);

        Assert.DoesNotContain("known_steps", _shop.Endpoint.Requests.First().Body, StringComparison.Ordinal);
        Assert.Contains("""["open", "send"]""", _shop.Endpoint.Requests.Last().Body, StringComparison.Ordinal);
        Assert.Equal(2, Assert.Single(await _shop.ItemsAsync("action-patterns?task_type=run_action:order")).Int("success_count"));
    }

    [Fact]
    public async Task A_person_reads_the_best_steps_for_a_task_and_tells_which_they_took()
    {
        var best = (await CreateAsync("request", "call")).Id();
        var task = (await _shop.CreateAsync("agency-tasks", new { title = "Ask", task_type = "request", assigned_to_bot = false })).Id();

        Assert.Equal(best, (await _shop.GetAsync($"action-patterns/best?task_id={task}")).Id());
        await _shop.PostAsync($"agency-tasks/{task}/complete", new { summary = "Written.", result = new { steps = new[] { "write" } } });
        await _shop.DrainAsync();

        Assert.Equal(1, (await _shop.ItemsAsync("action-patterns?task_type=request"))[0].Int("success_count"));
        Assert.Equal(0, (await _shop.GetAsync($"action-patterns/{best}")).Int("success_count"));
        Assert.Equal("task_not_found", (await _shop.Api.GetAsync($"/api/v1/action-patterns/best?task_id={best}")).Code);
    }

    [Fact]
    public async Task A_worker_outside_reports_how_it_went_and_a_change_needs_the_version_that_was_read()
    {
        var pattern = await CreateAsync("t", "open");
        var path = $"/api/v1/action-patterns/{pattern.Id()}";
        var read = (await _shop.Api.GetAsync(path)).Header("ETag")!;

        var reported = await _shop.PostAsync($"action-patterns/{pattern.Id()}/outcomes", new { succeeded = false });
        Assert.Equal((0, 1), (reported.Int("success_count"), reported.Int("failure_count")));
        Assert.Equal(412, (await _shop.Api.SendAsync(HttpMethod.Patch, path, """{"task_name":"New"}""", null, ("If-Match", read))).Status);
        Assert.Equal(412, (await _shop.Api.SendAsync(HttpMethod.Delete, path, null, null, ("If-Match", read))).Status);
        Assert.Equal("New", (await _shop.Api.SendAsync(HttpMethod.Patch, path, """{"task_name":"New"}""")).Json.Text("task_name"));
    }

    [Theory]
    [InlineData("", """{"task_name":"x","steps":[]}""", 400, "validation_failed")]
    [InlineData("", """{"task_type":"t","task_name":"t","steps":["open"],"shared":true}""", 409, "action_pattern_exists")]
    [InlineData("/01234567-89ab-7def-8123-456789abcdef/outcomes", """{"succeeded":true}""", 404, "action_pattern_not_found")]
    public async Task What_is_wrong_is_said_and_nothing_is_stored(string path, string body, int status, string code)
    {
        await CreateAsync("t", "open");

        var answer = await _shop.Api.PostAsync($"/api/v1/action-patterns{path}", body);

        Assert.Equal((status, code), (answer.Status, answer.Code));
        Assert.Single(await _shop.ItemsAsync("action-patterns"));
    }

    private static JsonElement DoIt(object? more = null)
    {
        var body = JsonSerializer.SerializeToNode(more ?? new { }, Json.Options)!.AsObject();
        body["title"] = "Do it";
        body["task_type"] ??= "probe";
        return Json.Of(body);
    }

    private Task<JsonElement> CreateAsync(string type, string step, string? key = null, bool shared = true) =>
        _shop.CreateAsync("action-patterns", new { task_type = type, task_name = step, steps = new[] { step }, shared }, key);

    private Task<JsonElement> BestAsync() => _shop.GetAsync("action-patterns/best?task_type=t");

    private async Task DeleteAsync(JsonElement pattern) => Assert.Equal(204, (await _shop.Api.SendAsync(HttpMethod.Delete, $"/api/v1/action-patterns/{pattern.Id()}")).Status);

    private Task CountAsync(Guid id, int successes, int failures) => _shop.Api.Platform.AsAsync(_shop.System, tx =>
        tx.ExecuteAsync("UPDATE knowledge.action_patterns SET success_count = $2, failure_count = $3 WHERE id = $1", [id, successes, failures], default));
}
