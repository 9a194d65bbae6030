using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules.Automations;
using AgentPlatform.Tests.Conversations;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Schedules;

public sealed class ScheduledTaskTests : IAsyncLifetime
{
    private readonly Probe _probe = new();
    private Talk _talk = null!;

    private ManageScheduledTasks Manage => _talk.Platform.Get<ManageScheduledTasks>();

    public async Task InitializeAsync() => _talk = await Talk.BeginAsync(services => services.AddSingleton<IAutomation>(_probe));

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("bb-sched-execution-record")]
    public async Task A_due_task_is_run_once_and_the_run_is_recorded_from_queued_to_its_end()
    {
        var task = await CreateAsync();
        _probe.Look = () => StatusAsync(task.Id);
        await DrainAsync();
        Assert.Empty(await RunsAsync(task.Id));

        await ComeAsync(task.NextRun!.Value);

        var run = Assert.Single(await RunsAsync(task.Id));
        Assert.Equal(("success", "scheduled", 1, task.NextRun), (run.Status, run.TriggerType, run.AttemptNumber, run.ScheduledFor));
        Assert.Equal(42, run.Output!.Value.GetProperty("answer").GetInt32());
        Assert.Equal("running", Assert.Single(_probe.Seen));
        Assert.True(run.StartedAt <= run.CompletedAt);
        Assert.Equal(["begun", "success"], run.Logs.EnumerateArray().Select(l => l.GetProperty("text").GetString()));
        Assert.Equal(task.NextRun.Value.AddDays(1), (await ReadAsync(task.Id)).NextRun);
    }

    [Fact]
    [Behaviour("bb-sched-retry")]
    public async Task A_failed_run_is_repeated_after_its_delay_as_often_as_it_may_each_as_a_run_of_its_own()
    {
        _probe.Outcome = new AutomationOutcome.Failed("the site is away");
        var task = await CreateAsync(new ScheduledTaskBody { MaxRetries = 2, RetryDelay = 90 });
        await ComeAsync(task.NextRun!.Value);

        for (var retry = 1; retry <= 2; retry++)
        {
            var runs = await RunsAsync(task.Id);
            Assert.Equal(retry + 1, runs.Count);
            Assert.Equal(("queued", "retry", retry + 1), (runs[0].Status, runs[0].TriggerType, runs[0].AttemptNumber));
            var wait = await _talk.ScalarAsync<double>("SELECT extract(epoch FROM run_at - $2)::float8 FROM work.items WHERE kind = 'schedules.run' AND key = $1", runs[0].Id.ToString("n"), runs[1].CompletedAt!.Value);
            Assert.Equal(90, wait, 1.0);
            await PassAsync();
        }

        var all = await RunsAsync(task.Id);
        Assert.Equal([3, 2, 1], all.Select(r => r.AttemptNumber));
        Assert.All(all, r => Assert.Equal(("failed", "the site is away"), (r.Status, r.Error)));
        Assert.Equal(("active", 3), ((await ReadAsync(task.Id)).Status, (await ReadAsync(task.Id)).FailureCount));
    }

    [Fact]
    [Behaviour("bb-sched-retry")]
    public async Task The_delay_is_a_minute_and_the_retries_are_three_unless_told_and_none_when_they_are_not_wanted()
    {
        _probe.Outcome = null;
        var task = await CreateAsync();
        var (never, changed) = (await CreateAsync(new ScheduledTaskBody { RetryOnFailure = false }), await CreateAsync());
        Assert.Equal((true, 3, 60, 300), (task.RetryOnFailure, task.MaxRetries, task.RetryDelay, task.Timeout));
        await ComeAsync(task.NextRun!.Value);
        await PauseAsync(changed.Id);
        for (var i = 0; i < 5; i++)
        {
            await PassAsync();
        }

        Assert.Equal([4, 3, 2, 1], (await RunsAsync(task.Id)).Select(r => r.AttemptNumber));
        Assert.Contains("InvalidOperationException: no outcome", (await RunsAsync(task.Id))[0].Error, StringComparison.Ordinal);
        Assert.Equal("failed", Assert.Single(await RunsAsync(never.Id)).Status);
        Assert.Equal(["cancelled", "failed"], (await RunsAsync(changed.Id)).Select(r => r.Status));
    }

    [Fact]
    [Behaviour("bb-sched-timeout")]
    public async Task A_run_past_its_time_is_stopped_with_status_timeout()
    {
        _probe.Outcome = new AutomationOutcome.UnderWay();
        var task = await CreateAsync(new ScheduledTaskBody { RetryOnFailure = false });
        await ComeAsync(task.NextRun!.Value);
        _talk.Clock.Advance(TimeSpan.FromSeconds(250));
        await PassAsync();
        Assert.Equal("running", (await RunsAsync(task.Id))[0].Status);
        Assert.Empty(_probe.Stopped);

        _talk.Clock.Advance(TimeSpan.FromSeconds(51));
        await PassAsync();

        var run = (await RunsAsync(task.Id))[0];
        Assert.Equal(("timeout", run.Id), (run.Status, Assert.Single(_probe.Stopped)));
        Assert.Equal(("timeout", 1, 0), await StatsAsync(task.Id));
        await PassAsync();
        Assert.Single(await RunsAsync(task.Id));
    }

    [Fact]
    [Behaviour("bb-sched-stats")]
    public async Task What_the_runs_add_up_to_is_counted_with_each_end()
    {
        var task = await CreateAsync(new ScheduledTaskBody { RetryOnFailure = false });
        await RunNowAsync(task.Id);
        _probe.Outcome = new AutomationOutcome.Failed("no");
        await RunNowAsync(task.Id);
        _probe.Outcome = new AutomationOutcome.Succeeded(new { answer = 1 });
        await RunNowAsync(task.Id);

        var (read, runs) = (await ReadAsync(task.Id), await RunsAsync(task.Id));
        Assert.Equal((3, 2, 1), (read.ExecutionCount, read.SuccessCount, read.FailureCount));
        Assert.Equal(runs.Sum(r => r.Duration!.Value) / 3, read.AverageDuration);
        Assert.True(runs.All(r => r.Duration > 0));
        Assert.Equal((runs[0].StartedAt, "success", null, runs[0].Duration), (read.LastRun, read.LastRunStatus, read.LastRunError, read.LastRunDuration));
        _probe.Outcome = new AutomationOutcome.Failed("again");
        await RunNowAsync(task.Id);
        Assert.Equal(("failed", "again"), ((await ReadAsync(task.Id)).LastRunStatus, (await ReadAsync(task.Id)).LastRunError));
    }

    [Fact]
    [Behaviour("bb-sched-status")]
    public async Task What_is_paused_archived_switched_off_or_failed_is_never_started_and_resuming_looks_from_now()
    {
        var (paused, archived, off, broken) = (await CreateAsync(), await CreateAsync(), await CreateAsync(), await CreateAsync());
        await PauseAsync(paused.Id);
        Assert.True((await Manage.ArchiveAsync(_talk.Owner, archived.Id, IfMatch.Any, default)).IsOk);
        Assert.True((await Manage.ChangeAsync(_talk.Owner, off.Id, new ScheduledTaskBody { IsActive = false }, IfMatch.Any, default)).IsOk);
        _probe.Outcome = new AutomationOutcome.Impossible("no such page");
        await RunNowAsync(broken.Id);
        var runs = _probe.Runs.Count;

        await ComeAsync(paused.NextRun!.Value);
        foreach (var task in new[] { paused, archived, off, broken })
        {
            Assert.Null((await ReadAsync(task.Id)).NextRun);
            Assert.Equal("scheduled_task_state", (await Manage.RunNowAsync(_talk.Owner, task.Id, default)).Problem!.Code);
        }

        Assert.Equal(runs, _probe.Runs.Count);
        Assert.Equal("failed", (await ReadAsync(broken.Id)).Status);
        _talk.Clock.Advance(TimeSpan.FromDays(5));
        var resumed = (await Manage.ResumeAsync(_talk.Owner, paused.Id, IfMatch.Any, default)).Value;
        Assert.Equal(("active", paused.NextRun.Value.AddDays(6)), (resumed.Status, resumed.NextRun!.Value));
        Assert.Equal("scheduled_task_state", (await Manage.ResumeAsync(_talk.Owner, archived.Id, IfMatch.Any, default)).Problem!.Code);
    }

    [Fact]
    [Behaviour("bb-sched-types")]
    public async Task What_is_to_run_once_is_completed_by_its_run_and_never_runs_again()
    {
        var task = await CreateAsync(new ScheduledTaskBody { ScheduleType = "once" });
        await ComeAsync(task.NextRun!.Value);
        Assert.Equal(("completed", null), ((await ReadAsync(task.Id)).Status, (await ReadAsync(task.Id)).NextRun));

        await ComeAsync(task.NextRun.Value.AddDays(1));
        Assert.Single(await RunsAsync(task.Id));
        Assert.Equal("scheduled_task_state", (await Manage.ResumeAsync(_talk.Owner, task.Id, IfMatch.Any, default)).Problem!.Code);
        foreach (var (type, cron, ok) in new[] { ("daily", "5 8 * * *", true), ("weekly", "5 8 * * 1", true), ("monthly", "5 8 1 * *", true), ("cron", "*/5 * * * *", true), ("yearly", "5 8 1 1 *", false) })
        {
            Assert.Equal(ok, (await Manage.CreateAsync(_talk.Owner, Body(new ScheduledTaskBody { ScheduleType = type, CronExpression = cron }), default)).IsOk);
        }
    }

    [Fact]
    [Behaviour("bb-sched-manual-run")]
    public async Task A_run_by_hand_says_so_and_leaves_the_next_time_as_it_is()
    {
        var task = await CreateAsync();
        await RunNowAsync(task.Id);

        var run = Assert.Single(await RunsAsync(task.Id));
        Assert.Equal(("manual", "success"), (run.TriggerType, run.Status));
        Assert.Equal(task.NextRun, (await ReadAsync(task.Id)).NextRun);
    }

    [Fact]
    [Behaviour("bb-sched-history-prune")]
    public async Task Only_the_newest_runs_are_kept_and_none_where_none_is_wanted()
    {
        var (few, none) = (await CreateAsync(new ScheduledTaskBody { MaxHistoryRecords = 2 }), await CreateAsync(new ScheduledTaskBody { KeepExecutionHistory = false }));
        Assert.Equal(100, none.MaxHistoryRecords);
        for (var i = 0; i < 4; i++)
        {
            await RunNowAsync(few.Id);
            await RunNowAsync(none.Id);
        }

        Assert.Equal(_probe.Runs.Where(r => r.TaskId == few.Id).Select(r => r.ExecutionId).TakeLast(2).Reverse(), (await RunsAsync(few.Id)).Select(r => r.Id));
        Assert.Empty(await RunsAsync(none.Id));
        Assert.Equal(4, (await ReadAsync(none.Id)).ExecutionCount);
    }

    [Fact]
    [Behaviour("bb-cron-registry-sync")]
    [Behaviour("bb-sched-audit-fields")]
    public async Task A_task_has_one_entry_in_the_registry_that_follows_it_and_names_who_made_and_changed_it()
    {
        var (task, other) = (await CreateAsync(), await CreateAsync());
        var job = await JobAsync(task.Id);
        Assert.Equal((task.CronExpression, "UTC", task.NextRun), (job!.CronExpression, job.Timezone, job.NextRunAt));
        Assert.NotEqual(job.JobId, (await JobAsync(other.Id))!.JobId);
        Assert.Equal((_talk.Owner.UserId, _talk.Owner.UserId), (task.CreatedBy, task.LastModifiedBy));

        var second = _talk.Owner with { UserId = Guid.CreateVersion7(_talk.Clock.GetUtcNow()) };
        var changed = (await Manage.ChangeAsync(second, task.Id, new ScheduledTaskBody { CronExpression = "30 7 * * *", Timezone = "Europe/Amsterdam" }, IfMatch.Any, default)).Value;
        Assert.Equal((_talk.Owner.UserId, second.UserId), (changed.CreatedBy, changed.LastModifiedBy));
        var moved = await JobAsync(task.Id);
        Assert.Equal((job.JobId, "30 7 * * *", "Europe/Amsterdam", changed.NextRun), (moved!.JobId, moved.CronExpression, moved.Timezone, moved.NextRunAt));

        // The time that was said before the change starts nothing.
        await ComeAsync(task.NextRun!.Value < changed.NextRun!.Value ? task.NextRun.Value : changed.NextRun.Value.AddMinutes(-1));
        Assert.Empty(await RunsAsync(task.Id));
        Assert.True((await Manage.DeleteAsync(_talk.Owner, task.Id, IfMatch.Any, default)).IsOk);
        Assert.Null(await JobAsync(task.Id));
        Assert.Equal(1L, await _talk.ScalarAsync<long>("SELECT count(*) FROM schedules.cron_job_registry"));
    }

    [Fact]
    [Behaviour("bb-cron-no-overlap")]
    public async Task A_time_that_comes_while_a_run_is_under_way_starts_no_second_one()
    {
        _probe.Outcome = new AutomationOutcome.UnderWay();
        var task = await CreateAsync(new ScheduledTaskBody { Timeout = 86400, RetryOnFailure = false });
        await ComeAsync(task.NextRun!.Value);
        Assert.True((await JobAsync(task.Id))!.IsRunning);
        _talk.Clock.Advance(TimeSpan.FromHours(23));
        await ComeAsync((await ReadAsync(task.Id)).NextRun!.Value);

        Assert.Single(await RunsAsync(task.Id));
        _talk.Clock.Advance(TimeSpan.FromMinutes(1));
        await PassAsync();
        Assert.False((await JobAsync(task.Id))!.IsRunning);
        Assert.Equal(task.NextRun.Value.AddDays(2), (await ReadAsync(task.Id)).NextRun);
    }

    [Fact]
    [Behaviour("bb-cron-no-overlap")]
    public async Task A_run_whose_process_died_is_taken_up_and_no_longer_keeps_others_from_starting()
    {
        _probe.Outcome = new AutomationOutcome.UnderWay();
        var task = await CreateAsync();
        await ComeAsync(task.NextRun!.Value);
        await _talk.Platform.Postgres.LoseWorkersAsync("state = 'ready' AND kind = 'schedules.run'");
        Assert.True((await JobAsync(task.Id))!.IsRunning);

        _probe.Outcome = new AutomationOutcome.Succeeded(new { answer = 1 });
        await DrainAsync();

        Assert.Equal("success", Assert.Single(await RunsAsync(task.Id)).Status);
        Assert.False((await JobAsync(task.Id))!.IsRunning);
    }

    [Fact]
    public async Task What_a_task_does_is_not_changed_while_it_runs_and_its_name_may_be()
    {
        _probe.Outcome = new AutomationOutcome.UnderWay();
        var task = await CreateAsync();
        await ComeAsync(task.NextRun!.Value);

        var refused = await Manage.ChangeAsync(_talk.Owner, task.Id, new ScheduledTaskBody { AutomationConfig = Json.Of(new { step = 2 }) }, IfMatch.Any, default);
        Assert.Equal("scheduled_task_running", refused.Problem!.Code);
        Assert.True((await Manage.ChangeAsync(_talk.Owner, task.Id, new ScheduledTaskBody { Name = "Evening" }, IfMatch.Any, default)).IsOk);
        Assert.Equal(1L, await _talk.ScalarAsync<long>("SELECT count(*) FROM work.items WHERE kind = 'schedules.due' AND state = 'ready'"));
    }

    [Fact]
    public async Task A_task_that_was_paused_is_due_again_at_the_time_that_had_been_said()
    {
        var task = await CreateAsync();
        await PauseAsync(task.Id);
        Assert.Equal(task.NextRun, (await Manage.ResumeAsync(_talk.Owner, task.Id, IfMatch.Any, default)).Value.NextRun);

        await ComeAsync(task.NextRun!.Value);

        Assert.Single(await RunsAsync(task.Id));
    }

    [Fact]
    [Behaviour("bb-cron-missed-run")]
    public async Task Times_that_went_by_while_nothing_ran_are_one_run()
    {
        var task = await CreateAsync(new ScheduledTaskBody { ScheduleType = "cron", CronExpression = "*/5 * * * *" });
        await ComeAsync(task.NextRun!.Value.AddHours(10));
        Assert.Single(await RunsAsync(task.Id));
        Assert.True((await ReadAsync(task.Id)).NextRun > task.NextRun.Value.AddHours(10));
    }

    [Theory]
    [InlineData("observe", "automation_type_not_served")]
    [InlineData("extract", "automation_type_not_served")]
    [InlineData("dance", "validation_failed")]
    public async Task A_type_that_nothing_runs_is_refused_and_not_stored(string type, string code)
    {
        Assert.Equal(code, (await Manage.CreateAsync(_talk.Owner, Body(new ScheduledTaskBody { AutomationType = type }), default)).Problem!.Code);
        Assert.Equal(0L, await _talk.ScalarAsync<long>("SELECT count(*) FROM schedules.scheduled_browser_tasks"));
    }

    [Fact]
    public async Task The_type_decides_how_its_configuration_is_read()
    {
        var empty = Json.Of(new { });
        Assert.Equal("step", (await Manage.CreateAsync(_talk.Owner, Body(new ScheduledTaskBody { AutomationConfig = empty }), default)).Problem!.Errors!.Keys.Single());
        var workflow = new ScheduledTaskBody { AutomationType = "workflow", AutomationConfig = Json.Of(new { step = 1 }) };
        Assert.Equal("automation_config", (await Manage.CreateAsync(_talk.Owner, Body(workflow), default)).Problem!.Errors!.Keys.Single());
    }

    private static ScheduledTaskBody Body(ScheduledTaskBody body) => body with
    {
        Name = "Morning",
        AutomationType = body.AutomationType ?? "custom",
        AutomationConfig = body.AutomationConfig ?? Json.Of(new { step = 1 }),
        ScheduleType = body.ScheduleType ?? "daily",
        CronExpression = body.CronExpression ?? "0 9 * * *",
    };

    private async Task<ScheduledTask> CreateAsync(ScheduledTaskBody? body = null) => (await Manage.CreateAsync(_talk.Owner, Body(body ?? new()), default)).Value;

    private Task<ScheduledTask> ReadAsync(Guid id) => _talk.DoAsync(async tx => (await Manage.FindAsync(tx, id, default))!);

    private Task<CronJob?> JobAsync(Guid id) => _talk.DoAsync(tx => Manage.JobAsync(tx, id, default));

    private async Task<IReadOnlyList<ScheduledExecution>> RunsAsync(Guid id) =>
        (await _talk.DoAsync(tx => Manage.ExecutionsAsync(tx, id, null, PageRequest.Parse(null, null).Value, default))).Items;

    private async Task<string> StatusAsync(Guid id) => (await RunsAsync(id))[0].Status;

    private async Task<(string?, int, int)> StatsAsync(Guid id)
    {
        var task = await ReadAsync(id);
        return (task.LastRunStatus, task.FailureCount, task.SuccessCount);
    }

    private async Task PauseAsync(Guid id) => Assert.True((await Manage.PauseAsync(_talk.Owner, id, IfMatch.Any, default)).IsOk);

    private async Task RunNowAsync(Guid id)
    {
        Assert.True((await Manage.RunNowAsync(_talk.Owner, id, default)).IsOk);
        await DrainAsync();
    }

    /// <summary>As if that moment had come.</summary>
    private async Task ComeAsync(DateTimeOffset moment)
    {
        var wait = moment - _talk.Clock.GetUtcNow();
        _talk.Clock.Advance(wait > TimeSpan.Zero ? wait : TimeSpan.Zero);
        await DueAsync("schedules.due");
        await DrainAsync();
    }

    /// <summary>As if what waits to begin or to be looked at had waited long enough.</summary>
    private async Task PassAsync()
    {
        await DueAsync("schedules.run");
        await DrainAsync();
    }

    private Task DueAsync(string kind) => _talk.DoAsync(tx => tx.ExecuteAsync("UPDATE work.items SET run_at = now() WHERE state = 'ready' AND kind = $1", [kind], default));

    private Task DrainAsync() => _talk.Platform.DrainAsync();

    private sealed class Probe : IAutomation
    {
        public string Type => "custom";

        internal List<AutomationRun> Runs { get; } = [];

        internal List<Guid> Stopped { get; } = [];

        /// <summary>The status that the run had, for everybody, while it ran.</summary>
        internal List<string> Seen { get; } = [];

        internal Func<Task<string>>? Look { get; set; }

        internal AutomationOutcome? Outcome { get; set; } = new AutomationOutcome.Succeeded(new { answer = 42 });

        public Task<Problem?> CheckAsync(Transaction tx, JsonElement config, CancellationToken ct) =>
            Task.FromResult(config.TryGetProperty("step", out _) ? null : Problem.Invalid("step", "Must be there."));

        public async Task<AutomationOutcome> MoveAsync(Transaction tx, AutomationRun run, CancellationToken ct)
        {
            lock (Runs)
            {
                Runs.Add(run);
            }

            if (Look is not null)
            {
                Seen.Add(await Look());
            }

            return Outcome ?? throw new InvalidOperationException("no outcome");
        }

        public Task StopAsync(Transaction tx, AutomationRun run, string reason, CancellationToken ct)
        {
            Stopped.Add(run.ExecutionId);
            return Task.CompletedTask;
        }
    }
}
