using AgentPlatform.Actions;
using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Brain;

namespace AgentPlatform.Tests.Actions;

public sealed class RollbackExecutionTests : IAsyncLifetime
{
    private static readonly ActionDefinition Book = new()
    {
        ActionId = "book_room",
        ActionName = "book a room",
        ParamsOptional = Json.Of(new[] { "room" }),
        ExecutionType = "http",
        ApiMethod = "POST",
        ApiEndpoint = "{endpoint}/bookings",
        RollbackPossible = true,
        RollbackActionId = "cancel_room",
        ResponseTemplate = "booked",
    };

    private static readonly ActionDefinition Cancel = new()
    {
        ActionId = "cancel_room",
        ActionName = "cancel a room",
        ParamsRequired = Json.Of(new[] { "booking_id" }),
        EligibilityCriteria = Json.Of(new { user_tier = new[] { "staff" } }),
        ExecutionType = "http",
        ApiMethod = "DELETE",
        ApiEndpoint = "{endpoint}/bookings/{{booking_id}}",
        ResponseTemplate = "cancelled {{booking_id}}",
    };

    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(Book, Cancel, Book with { ActionId = "buy", ActionName = "buy it", RollbackPossible = false, RollbackActionId = null });

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("brain-exec-rollback", "brain-exec-trace")]
    public async Task A_rollback_runs_the_named_action_once_and_marks_what_it_undid()
    {
        var original = await DoneAsync("book a room", """{"booking_id":"B7"}""");

        var orders = await Task.WhenAll(RollbackAsync(original), RollbackAsync(original));
        Assert.Equal("rollback_requested", Assert.Single(orders, order => !order.IsOk).Problem!.Code);
        Assert.False((await FindAsync(original)).RollbackPerformed);
        await _talk.Platform.DrainAsync();

        var undo = (await _talk.ExecutionsAsync()).Single(run => run.ActionId == "cancel_room");
        Assert.Equal(("completed", original.TraceId, original.RequestId), (undo.Status, undo.TraceId, undo.RequestId));
        Assert.Equal(("DELETE", "/bookings/B7"), (_talk.Endpoint.Requests.Last().Method, _talk.Endpoint.Requests.Last().Target));
        var undone = await FindAsync(original);
        Assert.Equal((true, "cancel_room", undo.ExecutionId), (undone.RollbackPerformed, undone.RollbackActionId, undone.RollbackExecutionId));
        Assert.Equal("already_rolled_back", (await RollbackAsync(original)).Problem!.Code);
        Assert.Equal("cancelled B7", await _talk.RepliesAsync());
    }

    [Fact]
    [Behaviour("brain-exec-rollback")]
    public async Task An_undoing_that_a_person_must_allow_is_asked_for()
    {
        var original = await DoneAsync("book a room", """{"booking_id":"B7"}""");
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE actions.action_registry SET approval = '{\"risk_level\": \"high\"}' WHERE action_id = 'cancel_room'", [], default));

        var undo = (await RollbackAsync(original)).Value;
        await _talk.Platform.DrainAsync();

        Assert.Equal((QueueStatus.Blocked, "awaiting_approval"), (undo.Status, undo.BlockerReason));
        Assert.DoesNotContain(_talk.Endpoint.Requests, r => r.Method == "DELETE");
        Assert.Equal("cancel_room", await _talk.InAsync(tx => tx.SingleAsync<string>("SELECT action_type FROM actions.action_approvals WHERE status = 'pending'", [], default)));
    }

    [Fact]
    [Behaviour("brain-exec-rollback")]
    public async Task What_cannot_be_undone_is_refused_with_its_reason()
    {
        var final = await DoneAsync("buy it", "{}");
        Assert.Equal("rollback_not_possible", (await RollbackAsync(final)).Problem!.Code);

        var withoutNumber = await DoneAsync("book a room", "{}");
        var incomplete = (await RollbackAsync(withoutNumber)).Problem!;
        Assert.Equal(["params.booking_id"], incomplete.Errors!.Keys);

        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE actions.action_registry SET is_active = false WHERE action_id = 'cancel_room'", [], default));
        Assert.Equal("rollback_action_missing", (await RollbackAsync(withoutNumber)).Problem!.Code);
        Assert.Equal("execution_not_found", (await RollbackAsync(final with { ExecutionId = "exec_none" })).Problem!.Code);

        _talk.Endpoint.Answers(400, "{}");
        await _talk.SayAsync("buy it");
        Assert.Equal("rollback_not_possible", (await RollbackAsync((await _talk.ExecutionsAsync())[^1])).Problem!.Code);
        Assert.DoesNotContain(await _talk.QueueAsync(), item => item.RollbackOf is not null);
    }

    [Fact]
    public async Task A_cancelled_rollback_can_be_ordered_again()
    {
        var original = await DoneAsync("book a room", """{"booking_id":"B7"}""");
        var first = (await RollbackAsync(original)).Value;
        await _talk.InAsync(tx => _talk.Platform.Get<ActionQueue>().CancelAsync(tx, first.Id, "changed my mind", default));

        Assert.NotEqual(first.QueueId, (await RollbackAsync(original)).Value.QueueId);
    }

    private async Task<ActionExecution> DoneAsync(string text, string answer)
    {
        _talk.Endpoint.Answers(200, answer);
        await _talk.SayAsync(text);
        return (await _talk.ExecutionsAsync())[^1];
    }

    private Task<Result<QueuedAction>> RollbackAsync(ActionExecution run) =>
        _talk.InAsync(tx => _talk.Platform.Get<RollbackExecution>().RunAsync(tx, run.ExecutionId, default));

    private async Task<ActionExecution> FindAsync(ActionExecution run) => (await _talk.ExecutionsAsync()).Single(row => row.ExecutionId == run.ExecutionId);
}
