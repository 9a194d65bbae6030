using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules;
using AgentPlatform.Tests.Conversations;
using AgentPlatform.Work;
using AgentPlatform.Work.Operate;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Tests.Schedules;

public sealed class AgentTaskTests : IAsyncLifetime
{
    private readonly Probe _probe = new();
    private Talk _talk = null!;

    private TaskDesk Desk => _talk.Platform.Get<TaskDesk>();

    public async Task InitializeAsync() => _talk = await Talk.BeginAsync(services => services.AddSingleton<IAgentTaskHandler>(_probe), ("Work:Concurrency", "1"));

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("yp-task-processor")]
    public async Task A_task_runs_once_and_its_writes_its_result_and_its_end_commit_together()
    {
        var id = await EnqueueAsync(new NewAgentTask("probe", "bouncer", new { step = 1 }) { ContactId = _talk.Contact.Id });

        await _talk.Platform.DrainAsync();
        await _talk.Platform.DrainAsync();

        var task = await ReadAsync(id);
        Assert.Equal(("completed", 0, 42), (task.Status, task.RetryCount, task.ResultJson!.Value.GetProperty("answer").GetInt32()));
        Assert.NotNull(task.CompletedAt);
        Assert.NotNull(task.LastAttemptedAt);
        Assert.Equal([1], _probe.Steps);
        Assert.Equal("touched", await _talk.ScalarAsync<string>("SELECT title FROM contacts.customer_profiles"));
    }

    [Fact]
    [Behaviour("yp-task-retry")]
    public async Task A_failing_task_is_retried_with_its_errors_kept_and_nothing_of_the_failed_runs()
    {
        _probe.Outcome = new AgentTaskOutcome.Retry("the model is away");
        var id = await EnqueueAsync(new NewAgentTask("probe", "bouncer", new { step = 1 }) { MaxRetries = 2 });
        for (var attempt = 0; attempt < 3; attempt++)
        {
            await _talk.Platform.DrainAsync();
            Assert.Equal(attempt < 2 ? "pending" : "failed", (await ReadAsync(id)).Status);
            await MakeDueAsync();
        }

        await _talk.Platform.DrainAsync();
        var task = await ReadAsync(id);
        Assert.Equal((3, 2, 3), (_probe.Steps.Count, task.RetryCount, task.ErrorLog!.Split('\n').Length));
        Assert.Contains("the model is away", task.ErrorLog, StringComparison.Ordinal);
        Assert.Null(await _talk.ScalarAsync<string?>("SELECT title FROM contacts.customer_profiles"));
    }

    [Fact]
    public async Task A_handler_that_throws_has_used_an_attempt_and_its_words_are_kept()
    {
        _probe.Outcome = null;
        var id = await EnqueueAsync(new NewAgentTask("probe", "bouncer", new { step = 1 }));

        await _talk.Platform.DrainAsync();

        Assert.Equal("pending", (await ReadAsync(id)).Status);
        Assert.Contains("InvalidOperationException: no outcome", (await ReadAsync(id)).ErrorLog, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_task_of_an_unknown_type_is_dead_at_once_and_says_why()
    {
        var id = await EnqueueAsync(new NewAgentTask("paint_the_fence", "bouncer", new { }));

        await _talk.Platform.DrainAsync();

        var task = await ReadAsync(id);
        Assert.Equal("failed", task.Status);
        Assert.Contains("No handler knows tasks of type 'paint_the_fence'.", task.ErrorLog, StringComparison.Ordinal);
        Assert.Equal("dead", await _talk.ScalarAsync<string>("SELECT state FROM work.items WHERE kind = 'schedules.task'"));
    }

    /// <summary>Kinds whose modules do not exist yet do not vanish: an operator finds them among the dead letters.</summary>
    [Theory]
    [InlineData("process_community_request")]
    [InlineData("evaluate_solution_workflow")]
    [InlineData("match_intro_opportunities")]
    public async Task A_task_of_a_module_that_is_not_there_is_a_dead_letter_with_a_reason(string type)
    {
        var id = await EnqueueAsync(new NewAgentTask(type, "saga", new { }));

        await _talk.Platform.DrainAsync();

        Assert.Equal("failed", (await ReadAsync(id)).Status);
        Assert.Equal($"No handler knows tasks of type '{type}'.", await _talk.ScalarAsync<string>("SELECT last_error FROM work.items WHERE state = 'dead'"));
    }

    [Fact]
    [Behaviour("yp-task-batch")]
    public async Task A_backlog_is_claimed_in_batches_by_workers_at_once_and_each_task_is_announced_as_ready()
    {
        for (var step = 0; step < 45; step++)
        {
            await EnqueueAsync(new NewAgentTask("probe", "bouncer", new { step }));
        }

        await Task.WhenAll(_talk.Platform.DrainAsync(), _talk.Platform.DrainAsync());

        Assert.Equal(Enumerable.Range(0, 45), _probe.Steps.Order());
        Assert.All(_probe.Seen, status => Assert.Equal("processing", status));
        Assert.Equal(45L, await _talk.ScalarAsync<long>(
            "SELECT count(*) FROM events.events e JOIN schedules.agent_tasks t ON t.id = e.aggregate_id WHERE e.event_type = 'agent.task_ready' AND e.version = 1"));
    }

    /// <summary>Seed 003's stream with a consumer group: here the work items of one kind, shared by the hosts that claim them.</summary>
    [Fact]
    [Behaviour("mk-agent-queue")]
    public async Task Hosts_share_the_queue_of_tasks_and_take_over_what_a_dead_worker_had_claimed_and_not_acknowledged()
    {
        await using var other = _talk.Platform.Twin(services => services.AddSingleton<IAgentTaskHandler>(_probe));
        for (var step = 0; step < 12; step++)
        {
            await EnqueueAsync(new NewAgentTask("probe", "bouncer", new { step }));
        }

        // A worker claims five and dies: they are nobody else's until its lease runs out, and nothing acknowledges them.
        var dead = new WorkLeases(other.Database, other.Get<WorkKinds>(), other.Get<WorkMetrics>(), other.Get<VacuumAlarm>(), Options.Create(new WorkOptions()), TimeProvider.System);
        Assert.Equal(5, (await dead.CompleteAndClaimAsync([], 5, default)).Count);
        await Task.WhenAll(_talk.Platform.DrainAsync(), other.DrainAsync());
        Assert.Equal(7, _probe.Steps.Count);
        Assert.Equal((7L, 5L), (await CountAsync("done"), await CountAsync("running")));

        await _talk.Platform.Postgres.LoseWorkersAsync();
        await Task.WhenAll(_talk.Platform.DrainAsync(), other.DrainAsync());

        Assert.Equal(Enumerable.Range(0, 12), _probe.Steps.Order());
        Assert.Equal((12L, 0L), (await CountAsync("done"), await CountAsync("running")));
        Assert.Equal(5L, await _talk.ScalarAsync<long>("SELECT count(*) FROM work.items WHERE kind = 'schedules.task' AND interruptions = 1 AND attempts = 1"));

        Task<long> CountAsync(string state) => _talk.ScalarAsync<long>("SELECT count(*) FROM work.items WHERE kind = 'schedules.task' AND state = $1", state);
    }

    [Fact]
    [Behaviour("yp-task-retention")]
    public async Task Tasks_over_for_thirty_days_are_archived_and_can_still_be_read()
    {
        var done = await EnqueueAsync(new NewAgentTask("probe", "bouncer", new { step = 1 }));
        var failed = await EnqueueAsync(new NewAgentTask("paint_the_fence", "bouncer", new { }));
        await _talk.Platform.DrainAsync();
        _talk.Clock.Advance(TimeSpan.FromDays(29.9));
        var waiting = await EnqueueAsync(new NewAgentTask("probe", "bouncer", new { step = 2 }));
        Assert.Equal(0, await _talk.Platform.Get<TaskArchive>().RunAsync(default));

        _talk.Clock.Advance(TimeSpan.FromDays(0.2));
        Assert.Equal(1, await _talk.Platform.Get<TaskArchive>().RunAsync(default));
        Assert.Equal(0, await _talk.Platform.Get<TaskArchive>().RunAsync(default));

        Assert.Equal([waiting, failed], await ListAsync(new TaskFilter()));
        Assert.Equal([done], await ListAsync(new TaskFilter(Archived: true)));
        var task = await ReadAsync(done);
        Assert.Equal(("completed", 42), (task.Status, task.ResultJson!.Value.GetProperty("answer").GetInt32()));
        Assert.NotNull(task.ArchivedAt);
        Assert.Equal("task_state", (await Desk.CancelAsync(_talk.Tenant, done, default)).Problem!.Code);
    }

    [Fact]
    [Behaviour("yp-task-not-before")]
    public async Task A_task_waits_for_its_time_and_a_cancelled_one_never_runs()
    {
        var later = await EnqueueAsync(new NewAgentTask("probe", "bouncer", new { step = 1 }) { ScheduledFor = _talk.Clock.GetUtcNow().AddHours(1) });
        Assert.Equal(0, await _talk.Platform.DrainAsync());

        Assert.Equal("cancelled", (await Desk.CancelAsync(_talk.Tenant, later, default)).Value.Status);
        await MakeDueAsync();
        await _talk.Platform.DrainAsync();

        Assert.Empty(_probe.Steps);
        Assert.Equal("task_state", (await Desk.CancelAsync(_talk.Tenant, later, default)).Problem!.Code);
    }

    [Fact]
    [Behaviour("yp-task-priority-order")]
    public async Task Due_tasks_run_by_priority_and_then_by_the_time_they_were_scheduled_for()
    {
        var now = _talk.Clock.GetUtcNow();
        foreach (var (priority, minutesAgo, step) in new[] { ("low", 9, 6), ("medium", 1, 5), ("medium", 5, 4), ("urgent", 1, 1), ("high", 1, 3), ("high", 8, 2) })
        {
            await EnqueueAsync(new NewAgentTask("probe", "bouncer", new { step }) { Priority = priority, ScheduledFor = now.AddMinutes(-minutesAgo) });
        }

        await _talk.Platform.DrainAsync();

        Assert.Equal([1, 2, 3, 4, 5, 6], _probe.Steps);
    }

    [Fact]
    [Behaviour("bb-conversation-counters")]
    public async Task A_conversation_counts_the_tasks_it_gave_rise_to()
    {
        await EnqueueAsync(new NewAgentTask("probe", "bouncer", new { step = 1 }) { ContextType = "conversation", ContextId = _talk.Conversation.Id });

        Assert.Equal(1, (await _talk.ReadAsync()).TasksCreated);
    }

    [Fact]
    public async Task The_backlog_is_counted_by_priority()
    {
        await EnqueueAsync(new NewAgentTask("probe", "bouncer", new { step = 1 }) { Priority = "high" });
        await EnqueueAsync(new NewAgentTask("probe", "bouncer", new { step = 1 }) { Priority = "high", ScheduledFor = _talk.Clock.GetUtcNow().AddHours(1) });

        var counts = (await Desk.PendingAsync(_talk.Tenant, default)).Items;

        Assert.Equal(["urgent", "high", "medium", "low"], counts.Select(c => c.Priority));
        Assert.Equal((2L, 1L, 0L), (counts[1].Pending, counts[1].Overdue, counts[1].Processing));
    }

    private Task<Guid> EnqueueAsync(NewAgentTask task) => _talk.DoAsync(async tx =>
    {
        var id = _talk.Platform.Get<TaskQueue>().Enqueue(tx, task);
        await tx.ExecuteAsync("SELECT 1", [], default);
        return id;
    });

    private async Task<AgentTask> ReadAsync(Guid id) => (await Desk.ReadAsync(_talk.Tenant, id, default)).Value;

    private async Task<IEnumerable<Guid>> ListAsync(TaskFilter filter) =>
        (await Desk.ListAsync(_talk.Tenant, filter, PageRequest.Parse(null, null).Value, default)).Items.Select(t => t.Id);

    private Task MakeDueAsync() => _talk.DoAsync(tx => tx.ExecuteAsync("UPDATE work.items SET run_at = now() WHERE state = 'ready'", [], default));

    private sealed class Probe : IAgentTaskHandler
    {
        public string TaskType => "probe";

        internal List<int> Steps { get; } = [];

        /// <summary>The status that the row had, for everybody, while the task ran.</summary>
        internal List<string> Seen { get; } = [];

        internal AgentTaskOutcome? Outcome { get; set; } = new AgentTaskOutcome.Completed(new { answer = 42 });

        public Task<AgentTaskOutcome> RunAsync(AgentTask task, Transaction tx, CancellationToken ct)
        {
            lock (Steps)
            {
                Steps.Add(task.ContextJson.GetProperty("step").GetInt32());
                Seen.Add(task.Status);
            }

            tx.Post("UPDATE contacts.customer_profiles SET title = 'touched'");
            return Task.FromResult(Outcome ?? throw new InvalidOperationException("no outcome"));
        }
    }
}
