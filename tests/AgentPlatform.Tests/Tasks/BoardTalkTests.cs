using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Api;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Tasks;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Brain;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Tasks;

/// <summary>Tasks and conversations: requests that become tasks, tasks that act in a conversation, and who is told.</summary>
public sealed class BoardTalkTests : IAsyncLifetime
{
    private static readonly ActionDefinition Export = new()
    {
        ActionId = "export_data",
        ActionName = "export data",
        DisplayName = "Export the data",
        ParamsRequired = Json.Of(new[] { "format" }),
        ExecutionType = "http",
        ApiEndpoint = "{endpoint}/exports",
        ApiMethod = "POST",
        ApiIdempotent = true,
        RetryPolicy = Json.Of(new { max_retries = 1, initial_delay_seconds = 1 }),
    };

    private readonly Board.Probe _probe = new();
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(
        services => services.AddSingleton<IAgencyTaskProcessor>(_probe), Jobs.Search, Export, Export with { ActionId = "pay_data", ActionName = "pay data", ApiIdempotent = false, TimeoutSeconds = 1 }, Export with { ActionId = "wipe_data", ActionName = "wipe data", Approval = Json.Of(new { risk_level = "high" }) });

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("bb-conversation-auto-task")]
    public async Task A_request_that_no_action_fits_becomes_a_task_and_the_person_hears_when_it_is_done()
    {
        await MakeTasksAsync();

        Assert.Contains("passed it on to a colleague", await _talk.SayAsync("please send me a printed contract"), StringComparison.Ordinal);
        Assert.DoesNotContain("passed it on", await _talk.SayAsync("blue"), StringComparison.Ordinal);
        await _talk.SayAsync("hello there");

        var task = Assert.Single(await TasksAsync());
        Assert.Equal(("conversation", TaskBoard.Request, "please send me a printed contract", false, "pending"), (task.SourceType, task.TaskType, task.OriginalMessage, task.AssignedToBot, task.Status));
        Assert.Equal(_talk.ConversationId, task.ConversationId);
        Assert.Equal(1, await _talk.InAsync(tx => tx.SingleAsync<int>("SELECT tasks_created FROM conversations.conversations WHERE id = $1", [_talk.ConversationId], default)));

        await _talk.InAsync(async tx => await _talk.Platform.Get<SettleTask>().CompletedAsync(tx, task, Json.Of(new { }), "It is in the post.", default));
        Assert.Equal("Done: please send me a printed contract\nIt is in the post.", await _talk.RepliesAsync());
    }

    [Fact]
    [Behaviour("bb-conversation-auto-task")]
    public async Task Where_the_person_is_to_confirm_the_task_is_made_only_after_a_yes()
    {
        await MakeTasksAsync();
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE conversations.conversations SET require_confirmation = true", [], default));

        Assert.Equal("I cannot do that myself. Shall I pass it on to a colleague?", await _talk.SayAsync("please send me a printed contract"));
        Assert.Equal("All right, I will leave it.", await _talk.SayAsync("no"));
        Assert.Empty(await TasksAsync());

        await _talk.SayAsync("please send me a printed contract");
        Assert.Contains("passed it on to a colleague", await _talk.SayAsync("yes please"), StringComparison.Ordinal);
        Assert.Equal("please send me a printed contract", Assert.Single(await TasksAsync()).OriginalMessage);
    }

    [Theory]
    [Behaviour("bb-conversation-auto-task")]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public async Task Without_the_agents_or_the_conversations_leave_no_task_is_made(bool agent, bool conversation)
    {
        if (agent)
        {
            await MakeTasksAsync();
        }

        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE conversations.conversations SET auto_create_tasks = $1", [conversation], default));

        Assert.DoesNotContain("passed it on", await _talk.SayAsync("please send me a printed contract"), StringComparison.Ordinal);
        Assert.Empty(await TasksAsync());
    }

    [Fact]
    public async Task A_task_runs_an_action_through_its_queue_and_ends_with_it()
    {
        _talk.Endpoint.Answers(200, """{"url":"https://files.example/1.csv","recording_url":"https://rec.example/1"}""");
        var id = await PutAsync(new NewAgencyTask("Export", "run_action") { ConversationId = _talk.ConversationId, ExecutionConfig = Json.Of(new { action_id = "export_data", @params = new { format = "csv" } }) });

        await _talk.Platform.DrainAsync();

        var task = await ReadAsync(id);
        Assert.Equal(("completed", "https://files.example/1.csv"), (task.Status, task.Result!.Value.GetProperty("url").GetString()));
        Assert.Equal("""{"format":"csv"}""", Assert.Single(_talk.Endpoint.Requests).Body.Replace(" ", "", StringComparison.Ordinal));
        var execution = Assert.Single(await ExecutionsAsync(id));
        var action = Assert.Single(await _talk.QueueAsync());
        Assert.Equal((action.Id, 2, 2, "https://rec.example/1"), (execution.ActionQueueId, execution.StepsCompleted, execution.StepsTotal, execution.RecordingUrl));
        Assert.Equal("Done: Export.", await _talk.RepliesAsync());
    }

    [Fact]
    public async Task A_call_that_may_have_happened_is_not_made_again_by_a_further_attempt_at_the_task()
    {
        _talk.Endpoint.Hangs();
        var id = await PutAsync(new NewAgencyTask("Pay", "run_action") { ConversationId = _talk.ConversationId, ExecutionConfig = Json.Of(new { action_id = "pay_data", @params = new { format = "csv" } }) });
        await _talk.Platform.DrainAsync();
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE work.items SET run_at = now() WHERE state = 'ready'", [], default));
        await _talk.Platform.DrainAsync();

        Assert.Equal("failed", (await ReadAsync(id)).Status);
        Assert.Equal("action_timeout", Assert.Single(await ExecutionsAsync(id)).ErrorCode);
        Assert.Single(_talk.Endpoint.Requests);
    }

    [Fact]
    [Behaviour("bb-task-notify")]
    public async Task Each_end_is_told_once_and_logged_and_never_twice_however_often_the_task_is_taken_up_again()
    {
        _probe.Does = _ => Task.FromResult<StepOutcome>(new StepOutcome.Failed(new TaskFailure("down", "Down."), Again: false));
        var id = await PutAsync(new NewAgencyTask("Call the bank", "probe") { ConversationId = _talk.ConversationId });
        await _talk.Platform.DrainAsync();
        Assert.Equal("I am sorry, this did not work out: Call the bank. A colleague will look into it.", await _talk.RepliesAsync());
        await RetryAsync(id);
        Assert.Equal("", await _talk.RepliesAsync());

        _probe.Does = _ => Task.FromResult<StepOutcome>(new StepOutcome.Done(Json.Of(1), "They agreed."));
        await RetryAsync(id);
        Assert.Equal("Done: Call the bank\nThey agreed.", await _talk.RepliesAsync());

        var notices = (await ReadAsync(id)).NotificationsSent;
        Assert.Equal(["failed", "completed"], notices.EnumerateArray().Select(n => n.GetProperty("kind").GetString()));
        Assert.All(notices.EnumerateArray(), n => Assert.Equal("message", n.GetProperty("via").GetString()));
    }

    [Fact]
    [Behaviour("bb-task-notify")]
    public async Task Who_wants_no_notice_gets_none_and_without_a_conversation_the_event_is_the_notice()
    {
        var quiet = await PutAsync(new NewAgencyTask("Quiet", "probe") { ConversationId = _talk.ConversationId, NotifyOnComplete = false });
        var alone = await PutAsync(new NewAgencyTask("Alone", "probe"));
        await _talk.Platform.DrainAsync();

        Assert.Equal("", await _talk.RepliesAsync());
        Assert.Equal("[]", (await ReadAsync(quiet)).NotificationsSent.GetRawText());
        Assert.Equal("event", Assert.Single((await ReadAsync(alone)).NotificationsSent.EnumerateArray()).GetProperty("via").GetString());
        Assert.Equal(1L, await _talk.InAsync(tx => tx.SingleAsync<long>("SELECT count(*) FROM events.events WHERE aggregate_id = $1 AND event_type = 'agency_task.completed'", [alone], default)));
    }

    [Fact]
    [Behaviour("bb-task-retry")]
    public async Task A_failed_action_is_a_failed_attempt_that_is_tried_again_with_a_new_action_and_the_person_hears_only_the_end()
    {
        _talk.Endpoint.Answers(503, "{}").Answers(200, "{}");
        var id = await PutAsync(new NewAgencyTask("Export", "run_action") { ConversationId = _talk.ConversationId, ExecutionConfig = Json.Of(new { action_id = "export_data", @params = new { format = "csv" } }) });

        await _talk.Platform.DrainAsync();
        Assert.Equal(("queued", 1), ((await ReadAsync(id)).Status, (await ReadAsync(id)).ErrorCount));
        Assert.Equal("", await _talk.RepliesAsync());
        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();

        Assert.Equal("completed", (await ReadAsync(id)).Status);
        Assert.Equal(["failed", "completed"], (await ExecutionsAsync(id)).Select(e => e.Status));
        Assert.Equal("action_api_error", (await ExecutionsAsync(id))[0].ErrorCode);
        Assert.Equal(2, (await _talk.QueueAsync()).Count);
        Assert.Single(_talk.Endpoint.Requests.Select(r => r.Headers["Idempotency-Key"]).Distinct());
        Assert.Equal("Done: Export.", await _talk.RepliesAsync());
    }

    [Fact]
    public async Task An_action_that_a_person_must_allow_runs_only_from_a_reviewed_task()
    {
        _talk.Endpoint.Answers(200, "{}");
        var config = Json.Of(new { action_id = "wipe_data", @params = new { format = "all" } });
        var unseen = await PutAsync(new NewAgencyTask("Wipe", "run_action") { ConversationId = _talk.ConversationId, ExecutionConfig = config });
        var seen = await PutAsync(new NewAgencyTask("Wipe", "run_action") { ConversationId = _talk.ConversationId, ExecutionConfig = config, RequiresHumanReview = true });
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE tasks.agency_tasks SET human_reviewed_by = gen_random_uuid(), human_reviewed_at = now() WHERE id = $1", [seen], default));
        await _talk.InAsync(tx => _talk.Platform.Get<TaskGates>().OpenAsync(tx, [seen], TaskTrigger.Created, default));

        await _talk.Platform.DrainAsync();

        Assert.Equal(("failed", "completed"), ((await ReadAsync(unseen)).Status, (await ReadAsync(seen)).Status));
        Assert.Equal("needs_review", Assert.Single(await ExecutionsAsync(unseen)).ErrorCode);
        Assert.Single(_talk.Endpoint.Requests);
    }

    [Fact]
    public async Task Cancelling_an_action_cancels_the_task_that_waits_for_it_and_the_other_way_round()
    {
        var config = Json.Of(new { action_id = "export_data", @params = new { format = "csv" } });
        foreach (var byTask in new[] { true, false })
        {
            await _talk.InAsync(tx => tx.ExecuteAsync("INSERT INTO work.pauses (tenant_id, id, kind, reason, created_by) VALUES (kernel.current_tenant_id(), gen_random_uuid(), 'actions.execute', 'test', gen_random_uuid())", [], default));
            var id = await PutAsync(new NewAgencyTask("Export", "run_action") { ConversationId = _talk.ConversationId, ExecutionConfig = config });
            await _talk.Platform.DrainAsync();
            Assert.Equal("in_progress", (await ReadAsync(id)).Status);
            var action = Assert.Single(await _talk.QueueAsync(), q => q.Status == QueueStatus.Ready);

            var cancelled = byTask
                ? (await _talk.Platform.Get<ManageTasks>().CancelAsync(_talk.Actor, id, null, IfMatch.Any, default)).IsOk
                : (await _talk.InAsync(tx => _talk.Platform.Get<ActionQueue>().CancelAsync(tx, action.Id, "test", default))).IsOk;

            Assert.True(cancelled);
            await _talk.InAsync(tx => tx.ExecuteAsync("DELETE FROM work.pauses", [], default));
            await _talk.Platform.DrainAsync();
            Assert.Equal(("cancelled", "cancelled"), ((await ReadAsync(id)).Status, Assert.Single(await ExecutionsAsync(id)).Status));
            Assert.All(await _talk.QueueAsync(), q => Assert.Equal(QueueStatus.Cancelled, q.Status));
        }

        Assert.Empty(_talk.Endpoint.Requests);
    }

    [Fact]
    public async Task What_agents_set_themselves_as_tasks_can_be_put_on_the_board_too()
    {
        await _talk.SayAsync("hello");
        var summary = await PutAsync(new NewAgencyTask("Summarise", "create_conversation_summary") { ConversationId = _talk.ConversationId, NotifyOnComplete = false });
        var followUp = await PutAsync(new NewAgencyTask("Ask again", "schedule_followup") { ConversationId = _talk.ConversationId, NotifyOnComplete = false, ExecutionConfig = Json.Of(new { message = "Shall we go on?" }) });
        var lost = await PutAsync(new NewAgencyTask("Summarise", "create_conversation_summary"));
        await _talk.RepliesAsync();

        await _talk.Platform.DrainAsync();

        Assert.Equal(("completed", "completed", "failed"), ((await ReadAsync(summary)).Status, (await ReadAsync(followUp)).Status, (await ReadAsync(lost)).Status));
        Assert.True((await ReadAsync(summary)).Result!.Value.GetProperty("messages").GetInt32() > 0);
        Assert.NotNull((await _talk.InAsync(tx => _talk.Platform.Get<ConversationLog>().FindAsync(tx, _talk.ConversationId, default)))!.ConversationSummary);
        Assert.Contains("Shall we go on?", await _talk.RepliesAsync(), StringComparison.Ordinal);
    }

    private Task MakeTasksAsync() => _talk.Platform.Get<ManageAgents>().ConfigureAsync(_talk.Actor, _talk.AgentId, new AgentConfig(null, AutoCreateTasks: true), IfMatch.Any, default);

    private async Task RetryAsync(Guid id)
    {
        Assert.True((await _talk.Platform.Get<ManageTasks>().RetryAsync(_talk.Actor, id, IfMatch.Any, default)).IsOk);
        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();
    }

    private async Task<Guid> PutAsync(NewAgencyTask task) => (await _talk.InAsync(tx => _talk.Platform.Get<TaskBoard>().CreateAsync(tx, task, default))).Value.Id;

    private Task<AgencyTask> ReadAsync(Guid id) => _talk.InAsync(async tx => (await _talk.Platform.Get<TaskBoard>().FindAsync(tx, id, default))!);

    private Task<IReadOnlyList<AgencyTask>> TasksAsync() => _talk.InAsync(tx => tx.QueryAsync<AgencyTask>("SELECT * FROM tasks.agency_tasks ORDER BY id", [], default));

    private Task<IReadOnlyList<TaskExecution>> ExecutionsAsync(Guid id) => _talk.InAsync(tx =>
        tx.QueryAsync<TaskExecution>("SELECT * FROM tasks.task_executions WHERE task_id = $1 ORDER BY attempt_number", [id], default));
}
