using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Schedules.Automations;
using AgentPlatform.Work;
using static AgentPlatform.Tests.Alerts.AlertStage;

namespace AgentPlatform.Tests.Alerts;

/// <summary>Which ends of runs raise which alerts.</summary>
public sealed class EvaluationTests : IAsyncLifetime
{
    private AlertStage _stage = null!;

    public async Task InitializeAsync() => _stage = await AlertStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("bb-alert-evaluate")]
    public async Task A_run_that_a_rule_looks_for_raises_an_alert_that_tells_of_it()
    {
        var (task, rule) = (await _stage.TaskAsync(), await _stage.RuleAsync(new { severity = "high" }));
        await _stage.RunAsync(task, "success");
        Assert.Empty(await _stage.AlertsAsync());

        await _stage.RunAsync(task, error: "disk full");

        var alert = Assert.Single(await _stage.AlertsAsync());
        Assert.Equal((rule, task, "task_failure", "high"), (Guid(alert, "rule_id"), Guid(alert, "task_id"), Text(alert, "alert_type"), Text(alert, "severity")));
        Assert.Equal(1, alert.GetProperty("match_count").GetInt32());
        Assert.Equal("Night watch: Nightly report failed", Text(alert, "title"));
        Assert.EndsWith(": disk full", Text(alert, "message"));
        var run = (await _stage.ListAsync($"scheduled-tasks/{task}/executions"))[0];
        Assert.Equal(Id(run), Guid(alert, "execution_id"));
        Assert.Equal("disk full", Text(alert.GetProperty("details").GetProperty("runs")[0], "error"));
    }

    [Fact]
    [Behaviour("bb-alert-evaluate")]
    public async Task Rules_are_over_all_tasks_over_named_ones_or_over_tags()
    {
        var (named, tagged, other) = (await _stage.TaskAsync(), await _stage.TaskAsync(new { tags = new[] { "billing", "night" } }), await _stage.TaskAsync());
        var rules = new Dictionary<Guid, string>
        {
            [await _stage.RuleAsync(new { cooldown_minutes = 0 })] = "all",
            [await _stage.RuleAsync(new { cooldown_minutes = 0, target_type = "specific_tasks", target_task_ids = new[] { named } })] = "named",
            [await _stage.RuleAsync(new { cooldown_minutes = 0, target_type = "tags", target_tags = new[] { "night", "day" } })] = "tagged",
        };

        foreach (var (task, expected) in new[] { (named, "all named"), (tagged, "all tagged"), (other, "all") })
        {
            await _stage.RunAsync(task);
            Assert.Equal(expected, string.Join(' ', (await _stage.ListAsync($"alerts?task_id={task}")).Select(a => rules[Guid(a, "rule_id")]).Order()));
        }
    }

    [Fact]
    [Behaviour("bb-alert-evaluate")]
    public async Task Rules_that_are_paused_or_switched_off_look_at_nothing()
    {
        var task = await _stage.TaskAsync();
        await _stage.RuleAsync(new { is_active = false });
        var rule = await _stage.RuleAsync();
        await _stage.PostAsync($"alert-rules/{rule}/pause", new { }, 200);
        await _stage.RunAsync(task);
        Assert.Empty(await _stage.AlertsAsync());
        Assert.Equal(0, (await _stage.RuleOfAsync(rule)).GetProperty("suppressed_count").GetInt32());

        await _stage.PostAsync($"alert-rules/{rule}/resume", new { }, 200);
        Assert.Empty(await _stage.AlertsAsync());
        await _stage.RunAsync(task);
        Assert.Equal(rule, Guid(Assert.Single(await _stage.AlertsAsync()), "rule_id"));
    }

    [Theory]
    [InlineData("task_failure", "failed")]
    [InlineData("task_timeout", "timeout")]
    [InlineData("task_success", "success")]
    [Behaviour("bb-alert-evaluate")]
    public async Task A_rule_over_one_kind_of_end_passes_over_the_others(string ruleType, string status)
    {
        await _stage.RuleAsync(new { rule_type = ruleType, cooldown_minutes = 0 });
        var task = await _stage.TaskAsync();
        foreach (var end in new[] { "failed", "timeout", "success" })
        {
            await _stage.RunAsync(task, end);
        }

        var runs = Assert.Single(await _stage.AlertsAsync()).GetProperty("details").GetProperty("runs");
        Assert.Equal(status, Text(runs[0], "status"));
    }

    [Fact]
    [Behaviour("bb-alert-evaluate")]
    public async Task A_run_is_slow_when_it_takes_longer_than_the_rule_says_however_it_ends()
    {
        await _stage.RuleAsync(new { rule_type = "slow_run", conditions = new { seconds = 60 }, cooldown_minutes = 0 });
        var task = await _stage.TaskAsync();

        await _stage.RunAsync(task, "success", seconds: 59);
        Assert.Empty(await _stage.AlertsAsync());
        await _stage.RunAsync(task, "success", seconds: 61);
        await _stage.RunAsync(task, seconds: 61);

        Assert.Equal(2, (await _stage.AlertsAsync()).Length);
    }

    [Fact]
    [Behaviour("bb-alert-evaluate")]
    public async Task Failures_in_a_row_are_counted_by_task_and_a_success_begins_anew()
    {
        await _stage.RuleAsync(new { rule_type = "consecutive_failures", conditions = new { count = 3 }, cooldown_minutes = 0 });
        // What a task keeps of its runs does not matter.
        var (task, other) = (await _stage.TaskAsync(new { keep_execution_history = false }), await _stage.TaskAsync());
        await _stage.FailAsync(task, 2);
        await _stage.FailAsync(other, 2);
        await _stage.RunAsync(task, "success");
        await _stage.FailAsync(task, 2);
        Assert.Empty(await _stage.AlertsAsync());

        await _stage.RunAsync(task);

        Assert.Contains("(3 in a row)", Text(Assert.Single(await _stage.AlertsAsync()), "message"));
        Assert.Equal(3, (await _stage.GetAsync($"scheduled-tasks/{task}")).GetProperty("failure_streak").GetInt32());
        await _stage.RunAsync(task);
        Assert.Equal(2, (await _stage.AlertsAsync()).Length);
    }

    [Fact]
    [Behaviour("bb-alert-evaluate")]
    public async Task A_failure_rate_is_that_of_the_tasks_runs_in_the_window_once_there_are_enough()
    {
        await _stage.RuleAsync(new { rule_type = "failure_rate", conditions = new { percent = 50, window_minutes = 60, min_runs = 3 }, cooldown_minutes = 0 });
        var task = await _stage.TaskAsync();
        await _stage.FailAsync(task, 2);
        Assert.Empty(await _stage.AlertsAsync());

        _stage.Clock.Advance(TimeSpan.FromMinutes(61));
        await _stage.RunAsync(task, "success");
        await _stage.RunAsync(task, "success");
        await _stage.RunAsync(task);
        Assert.Empty(await _stage.AlertsAsync());

        await _stage.RunAsync(task);
        Assert.Single(await _stage.AlertsAsync());
    }

    [Fact]
    [Behaviour("bb-alert-evaluate")]
    public async Task A_failure_that_is_repeated_is_not_told_before_the_last_attempt()
    {
        await _stage.RuleAsync(new { cooldown_minutes = 0 });
        var task = await _stage.TaskAsync(new { retry_on_failure = true, max_retries = 1, retry_delay = 60 });
        await _stage.RunAsync(task);
        Assert.Empty(await _stage.AlertsAsync());
        Assert.Equal(0, (await _stage.GetAsync($"scheduled-tasks/{task}")).GetProperty("failure_streak").GetInt32());

        await _stage.PassAsync(TimeSpan.FromMinutes(1), "schedules.run");

        Assert.Single(await _stage.AlertsAsync());
        Assert.Equal(1, (await _stage.GetAsync($"scheduled-tasks/{task}")).GetProperty("failure_streak").GetInt32());
    }

    [Fact]
    [Behaviour("bb-alert-evaluate")]
    public async Task A_run_is_evaluated_once_by_each_rule_also_when_the_worker_dies_over_it()
    {
        await _stage.RuleAsync(new { cooldown_minutes = 0 });
        await _stage.RuleAsync(new { cooldown_minutes = 0 });
        var run = new RunEnded(TimeProvider.System.NewId(), await _stage.TaskAsync(), "Nightly report", _stage.Api.Tenant.OwnerId, "failed", 1, 10, "boom", 1, _stage.Clock.GetUtcNow());
        await EndAsync();
        await _stage.Platform.Postgres.LoseWorkersAsync("kind = 'schedules.run_ended'");
        await _stage.DrainAsync();
        await EndAsync();
        await _stage.DrainAsync();

        Assert.Equal(2, (await _stage.AlertsAsync()).Select(a => Guid(a, "rule_id")).Distinct().Count());
        Assert.Equal(2, (await _stage.AlertsAsync()).Length);

        Task EndAsync() => _stage.Platform.AsAsync(_stage.System, tx =>
        {
            _stage.Platform.Get<WorkQueue>().Enqueue(tx, new NewWork(RunEnded.Kind, run.ExecutionId.ToString("n"), run));
            return Task.CompletedTask;
        });
    }

    private static Guid Guid(JsonElement thing, string name) => thing.GetProperty(name).GetGuid();
}
