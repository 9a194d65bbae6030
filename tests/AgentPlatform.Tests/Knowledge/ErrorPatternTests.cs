using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Tasks;

namespace AgentPlatform.Tests.Knowledge;

/// <summary>What goes wrong: counted, offered with what helps, and credited when something did.</summary>
public sealed class ErrorPatternTests : IAsyncLifetime
{
    private Workshop _shop = null!;

    public async Task InitializeAsync() => _shop = await Workshop.StartAsync();

    public async Task DisposeAsync() => await _shop.DisposeAsync();

    [Fact]
    [Behaviour("bb-error-pattern-recovery")]
    public async Task A_request_that_fails_and_then_completes_raises_its_error_once_each_time_and_resolves_it_once()
    {
        _shop.Endpoint.Answers(503, "{}").Answers(200, "{}").Answers(503, "{}").Answers(200, "{}");

        await _shop.OrderAsync();
        var first = Assert.Single(await _shop.ItemsAsync("error-patterns?context=action:order"));
        Assert.Equal(("api_error", 1, 1), (first.Text("error_type"), first.Int("occurrence_count"), first.Int("resolved_count")));
        Assert.True(first.IsNull("user_id"));

        await _shop.OrderAsync();
        var second = Assert.Single(await _shop.ItemsAsync("error-patterns"));
        Assert.Equal((first.Id(), 2, 2), (second.Id(), second.Int("occurrence_count"), second.Int("resolved_count")));
        Assert.True(second.GetProperty("last_occurred").GetDateTimeOffset() > first.GetProperty("last_occurred").GetDateTimeOffset());
        Assert.Equal(("retry", 2, 0), Strategy(second, 0));
    }

    [Fact]
    public async Task A_request_that_succeeds_at_once_teaches_nothing()
    {
        _shop.Endpoint.Answers(200, "{}");
        await _shop.OrderAsync();
        Assert.Empty(await _shop.ItemsAsync("error-patterns"));
    }

    [Fact]
    [Behaviour("bb-error-pattern-recovery")]
    public async Task Beside_what_was_given_up_stand_the_known_error_and_its_strategies_and_a_replay_that_completes_resolves_it()
    {
        _shop.Endpoint.Answers(422, "{}").Answers(200, "{}");
        await _shop.OrderAsync();
        var letter = Assert.Single(await _shop.ItemsAsync("actions/dead-letters"));
        var known = letter.GetProperty("known_error");
        Assert.Equal((1, 0, 0), (known.Int("occurrence_count"), known.Int("resolved_count"), known.GetProperty("recovery_strategies").GetArrayLength()));

        var pattern = known.GetProperty("pattern_id").GetGuid();
        await _shop.Api.SendAsync(HttpMethod.Patch, $"/api/v1/error-patterns/{pattern}", new
        {
            recovery_strategies = new object[] { new { kind = "replay", note = "Correct the size." }, new { kind = "run_action", action_id = "order_by_mail" }, new { kind = "hand_over" } },
        });

        var offered = (await _shop.GetAsync($"actions/dead-letters/{letter.Text("dlq_id")}")).GetProperty("known_error");
        Assert.Equal(["replay", "run_action", "hand_over"], Kinds(offered));
        var execution = Assert.Single(await _shop.ItemsAsync("actions/executions"));
        Assert.Equal(pattern, execution.GetProperty("known_error").GetProperty("pattern_id").GetGuid());
        Assert.True(JsonElement.DeepEquals(execution, await _shop.GetAsync($"actions/executions/{execution.Text("execution_id")}")));

        Assert.Equal(202, (await _shop.Api.PostAsync($"/api/v1/actions/dead-letters/{letter.Text("dlq_id")}/replay", new { })).Status);
        await _shop.DrainAsync();

        var resolved = await _shop.GetAsync($"error-patterns/{pattern}");
        Assert.Equal((1, 1), (resolved.Int("occurrence_count"), resolved.Int("resolved_count")));
        Assert.Equal(("replay", 1, 0), Strategy(resolved, 0));
        Assert.Equal(["replay", "run_action", "hand_over"], Kinds(resolved));
        Assert.Equal("Correct the size.", resolved.GetProperty("recovery_strategies")[0].Text("note"));
        Assert.True((await _shop.ItemsAsync("actions/executions"))[0].IsNull("known_error"));
    }

    [Fact]
    [Behaviour("bb-error-pattern-recovery")]
    public async Task What_did_not_help_is_counted_too()
    {
        _shop.Endpoint.Answers(503, "{}");
        await _shop.OrderAsync();

        var pattern = Assert.Single(await _shop.ItemsAsync("error-patterns"));
        Assert.Equal((2, 0, ("retry", 0, 1)), (pattern.Int("occurrence_count"), pattern.Int("resolved_count"), Strategy(pattern, 0)));
    }

    [Fact]
    [Behaviour("bb-error-pattern-recovery")]
    public async Task Messages_that_differ_in_their_values_are_one_error_and_only_the_signature_is_kept()
    {
        string[] messages = ["Order 4711 of 'Eve' is unknown.", "Order 12 of 'Bob' is unknown."];
        var failures = new Queue<string>(messages);
        _shop.Probe.Does = _ => Task.FromResult<StepOutcome>(failures.TryDequeue(out var message)
            ? new StepOutcome.Failed(new TaskFailure("no_order", message), Again: true)
            : new StepOutcome.Done(Json.Of(1)));

        var attempts = await _shop.DoTaskAsync(new { title = "Find it", task_type = "probe" });

        Assert.Equal(["completed", "failed", "failed"], attempts.Select(a => a.Status));
        var pattern = Assert.Single(await _shop.ItemsAsync("error-patterns?error_type=no_order"));
        Assert.Equal(("task:probe", "Order # of ? is unknown.", 2, 1), (pattern.Text("context"), pattern.Text("error_message"), pattern.Int("occurrence_count"), pattern.Int("resolved_count")));
        Assert.Equal(("retry", 1, 0), Strategy(pattern, 0));
    }

    [Fact]
    public async Task The_failure_of_a_tasks_action_is_known_as_the_actions()
    {
        _shop.Endpoint.Answers(422, "{}");
        await _shop.DoTaskAsync(new { title = "Order", task_type = "run_action", conversation_id = _shop.ConversationId, execution_config = new { action_id = "order" } });

        Assert.Equal("action:order", Assert.Single(await _shop.ItemsAsync("error-patterns")).Text("context"));
    }

    [Fact]
    public async Task A_task_that_names_no_possible_action_teaches_too_and_the_learning_goes_on()
    {
        await _shop.DoTaskAsync(new { title = "Order", task_type = "run_action", conversation_id = _shop.ConversationId, execution_config = new { action_id = new string('a', 3000) } });

        var pattern = Assert.Single(await _shop.ItemsAsync("error-patterns"));
        Assert.Equal(("unknown_action", "task:run_action"), (pattern.Text("error_type"), pattern.Text("context")));
    }

    [Fact]
    [Behaviour("bb-error-pattern-recovery")]
    public async Task A_worker_outside_reports_an_error_is_offered_what_helps_and_says_what_did()
    {
        object error = new { error_type = "no_element", error_message = "Nothing at '#go' after 30 s", context = "/login" };
        var made = await _shop.CreateAsync("error-patterns", new
        {
            error_type = "no_element",
            error_message = "Nothing at '#x' after 10 s",
            context = "/login",
            shared = true,
            recovery_strategies = new object[] { new { kind = "retry", delay_seconds = 60 }, new { kind = "hand_over" } },
        });

        var met = await _shop.PostAsync("error-patterns/occurrences", error);
        Assert.Equal((made.Id(), 1), (met.Id(), met.Int("occurrence_count")));
        Assert.Equal(["retry", "hand_over"], Kinds(met));

        var path = $"error-patterns/{made.Id()}/recoveries";
        await _shop.PostAsync(path, new { strategy = new { kind = "retry" }, succeeded = false });
        var helped = await _shop.PostAsync(path, new { strategy = new { kind = "hand_over" }, succeeded = true });
        Assert.Equal((1, 1, ("retry", 0, 1), ("hand_over", 1, 0)), (helped.Int("occurrence_count"), helped.Int("resolved_count"), Strategy(helped, 0), Strategy(helped, 1)));
        var again = await _shop.Api.PostAsync($"/api/v1/{path}", new { strategy = new { kind = "hand_over" }, succeeded = true });
        Assert.Equal((409, "nothing_to_resolve"), (again.Status, again.Code));

        var reordered = (await _shop.Api.SendAsync(HttpMethod.Patch, $"/api/v1/error-patterns/{made.Id()}", new { recovery_strategies = new object[] { new { kind = "hand_over" }, new { kind = "escalate" } } })).Json;
        Assert.Equal((("hand_over", 1, 0), ("escalate", 0, 0)), (Strategy(reordered, 0), Strategy(reordered, 1)));
    }

    [Fact]
    [Behaviour("bb-error-pattern-recovery")]
    public async Task A_members_own_pattern_is_raised_with_the_shared_one_and_offered_to_them_first()
    {
        _shop.Endpoint.Answers(422, "{}");
        await _shop.OrderAsync();
        var shared = Assert.Single(await _shop.ItemsAsync("error-patterns"));
        var (_, key) = await _shop.Api.MemberAsync("member");
        var own = await _shop.CreateAsync("error-patterns", new
        {
            error_type = shared.Text("error_type"),
            error_message = shared.Text("error_message"),
            context = "action:order",
            recovery_strategies = new object[] { new { kind = "escalate" } },
        }, key);

        await _shop.OrderAsync();

        Assert.Equal((2, 1), ((await _shop.GetAsync($"error-patterns/{shared.Id()}")).Int("occurrence_count"), (await _shop.GetAsync($"error-patterns/{own.Id()}", key)).Int("occurrence_count")));
        Assert.All(await _shop.ItemsAsync("actions/dead-letters", key), l => Assert.Equal(own.Id(), l.GetProperty("known_error").GetProperty("pattern_id").GetGuid()));
        Assert.All(await _shop.ItemsAsync("actions/dead-letters"), l => Assert.Equal(shared.Id(), l.GetProperty("known_error").GetProperty("pattern_id").GetGuid()));
    }

    [Theory]
    [InlineData("", """{"error_type":"x"}""", "validation_failed")]
    [InlineData("", """{"error_type":"x","error_message":"y","recovery_strategies":[null]}""", "validation_failed")]
    [InlineData("", """{"error_type":"x","error_message":"y","recovery_strategies":[{"kind":"pray"}]}""", "validation_failed")]
    [InlineData("", """{"error_type":"x","error_message":"y","recovery_strategies":[{"kind":"run_action"}]}""", "validation_failed")]
    [InlineData("", """{"error_type":"x","error_message":"y","recovery_strategies":[{"kind":"retry"},{"kind":"retry","delay_seconds":5}]}""", "validation_failed")]
    [InlineData("", """{"error_type":"t","error_message":"Slow: 7 s","shared":true}""", "error_pattern_exists")]
    [InlineData("/occurrences", """{"error_message":"y"}""", "validation_failed")]
    [InlineData("/01234567-89ab-7def-8123-456789abcdef/recoveries", """{"strategy":{"kind":"retry"},"succeeded":true}""", "error_pattern_not_found")]
    public async Task What_is_wrong_is_said_and_nothing_is_stored(string path, string body, string code)
    {
        await _shop.CreateAsync("error-patterns", new { error_type = "t", error_message = "Slow: 30 s", shared = true });

        Assert.Equal(code, (await _shop.Api.PostAsync($"/api/v1/error-patterns{path}", body)).Code);
        Assert.Single(await _shop.ItemsAsync("error-patterns"));
    }

    private static (string? Kind, int Successes, int Failures) Strategy(JsonElement pattern, int place) =>
        pattern.GetProperty("recovery_strategies")[place] is var s ? (s.Text("kind"), s.Int("successes"), s.Int("failures")) : default;

    private static IEnumerable<string?> Kinds(JsonElement pattern) => pattern.GetProperty("recovery_strategies").EnumerateArray().Select(s => s.Text("kind"));
}
