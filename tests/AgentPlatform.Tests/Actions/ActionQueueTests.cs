using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Work;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentPlatform.Tests.Actions;

public sealed class ActionQueueTests : IAsyncLifetime
{
    private static readonly ActionDefinition Plain = new() { ActionId = "plain", ActionName = "plain thing", ResponseTemplate = "done" };

    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(Plain, Jobs.CancelApplication);

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("brain-queue-idempotent-enqueue")]
    public async Task The_same_key_is_queued_once_also_when_asked_at_the_same_moment()
    {
        await _talk.SessionAsync();
        var items = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => EnqueueAsync("plain", key: "same")));

        Assert.Single(items.Select(i => i.Id).Distinct());
        Assert.Single(await _talk.QueueAsync());
        await _talk.Platform.DrainAsync();
        Assert.Single(await _talk.ExecutionsAsync());
    }

    [Fact]
    [Behaviour("brain-queue-claim-once")]
    public async Task Two_workers_execute_a_request_once()
    {
        await EnqueueAsync("plain");

        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new("ConnectionStrings:AgentPlatform", _talk.Platform.Postgres.ConnectionString)]).Build();
        await using var other = new ServiceCollection().AddSingleton<IConfiguration>(configuration).AddLogging().AddAgentPlatform(configuration).BuildServiceProvider();
        await Task.WhenAll(_talk.Platform.DrainAsync(), other.GetRequiredService<WorkRunner>().DrainAsync(default));

        var run = Assert.Single(await _talk.ExecutionsAsync());
        Assert.Equal("completed", run.Status);
        Assert.NotNull(Assert.Single(await _talk.QueueAsync()).StartedAt);
    }

    [Fact]
    [Behaviour("brain-queue-priority-order")]
    public async Task The_highest_priority_runs_first_and_among_equals_the_oldest()
    {
        foreach (var (id, priority) in new[] { ("a_low", "low"), ("b_normal", "normal"), ("c_critical", "critical"), ("d_normal", "normal") })
        {
            await _talk.OfferAsync(Plain with { ActionId = id, ActionName = id, Priority = priority });
            await _talk.MeetAsync();
            await EnqueueAsync(id);
        }

        var next = await _talk.InAsync(tx => _talk.Platform.Get<ActionQueue>().NextAsync(tx, 10, default));
        Assert.Equal([("c_critical", 10), ("b_normal", 5), ("d_normal", 5), ("a_low", 2)], next.Select(q => (q.ActionId, (int)q.Priority)));
        var claims = await _talk.InAsync(tx => tx.QueryAsync<string>(
            """
            SELECT q.action_id FROM work.items i JOIN actions.action_queue q ON q.id::text = i.key
            WHERE i.kind = 'actions.execute' ORDER BY i.priority, i.run_at, i.id
            """, [], default));
        Assert.Equal(next.Select(q => q.ActionId), claims);
    }

    [Fact]
    [Behaviour("brain-queue-status-set", "brain-intent-status-lifecycle")]
    public async Task Words_outside_the_vocabularies_are_refused_by_the_database()
    {
        await EnqueueAsync("plain");

        await ViolatesAsync("UPDATE actions.action_queue SET status = 'waiting'", "action_queue_status_known");
        await ViolatesAsync("UPDATE actions.action_queue SET priority = 11", "action_queue_priority_range");
        await ViolatesAsync("UPDATE actions.action_queue SET status = 'blocked'", "action_queue_blocked_says_why");
    }

    [Fact]
    [Behaviour("brain-intent-cancel")]
    public async Task A_cancelled_intent_takes_its_waiting_actions_with_it()
    {
        await _talk.OfferAsync(Plain with { ActionId = "needs", ActionName = "needs a value", ParamsRequired = Json.Of(new[] { "value" }) });
        await _talk.SayAsync("needs a value");
        var intent = Assert.Single(await _talk.IntentsAsync());
        Assert.Equal("queued", intent.Status);

        var cancelled = await _talk.InAsync(tx => _talk.Platform.Get<AgentPlatform.Brain.CancelIntent>().RunAsync(tx, intent.IntentId, default));

        Assert.Equal("cancelled", cancelled.Value.Status);
        Assert.Equal(QueueStatus.Cancelled, Assert.Single(await _talk.QueueAsync()).Status);
        await _talk.Platform.DrainAsync();
        Assert.Empty(await _talk.ExecutionsAsync());
    }

    [Fact]
    [Behaviour("brain-action-opposites")]
    public async Task A_request_cancels_the_waiting_request_of_its_opposite()
    {
        await _talk.OfferAsync(Jobs.Apply);
        await _talk.SayAsync("apply for a job");

        Assert.Equal("Your application is withdrawn.", await _talk.SayAsync("cancel application"));

        Assert.Equal([("apply_job", QueueStatus.Cancelled), ("cancel_application", QueueStatus.Completed)], (await _talk.QueueAsync()).Select(q => (q.ActionId, q.Status)));
        Assert.Equal(["cancelled", "completed"], (await _talk.IntentsAsync()).Select(i => i.Status));
        Assert.Empty(_talk.Endpoint.Requests);
    }

    [Fact]
    public async Task A_look_at_what_is_blocked_holds_no_request_before_it_holds_its_session()
    {
        await _talk.OfferAsync(Plain with { ActionId = "second", ActionName = "second step", Dependencies = Json.Of(new[] { "plain" }), ResponseTemplate = "second done" });
        await _talk.SayAsync("second step");
        var item = Assert.Single(await _talk.QueueAsync());
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE actions.action_queue SET added_at = added_at - interval '2 days'", [], default));

        var looking = Task.FromResult<IReadOnlyList<QueuedAction>>([]);
        await _talk.InAsync(async tx =>
        {
            await SessionStore.LockAsync(tx, item.SessionId, default);
            looking = _talk.InAsync(other => _talk.Platform.Get<ActionQueue>().ReevaluateAsync(other, item.ContactId, new EligibilityContext([], false, Parameters.None), default));
            Assert.True(await _talk.Platform.Postgres.SomebodyWaitsAsync());
            return await tx.ExecuteAsync("SELECT FROM actions.action_queue WHERE id = $1 FOR UPDATE NOWAIT", [item.Id], default);
        });

        Assert.Empty(await looking);
        Assert.Equal(QueueStatus.Cancelled, Assert.Single(await _talk.QueueAsync()).Status);
    }

    [Fact]
    [Behaviour("brain-action-dependencies", "brain-queue-unblock")]
    public async Task A_dependent_action_waits_until_what_it_depends_on_is_done()
    {
        await _talk.OfferAsync(Plain with { ActionId = "second", ActionName = "second step", Dependencies = Json.Of(new[] { "plain" }), ResponseTemplate = "second done" });

        Assert.Contains("as soon as this is done: plain", await _talk.SayAsync("second step"), StringComparison.Ordinal);
        var blocked = Assert.Single(await _talk.QueueAsync());
        Assert.Equal((QueueStatus.Blocked, "dependencies"), (blocked.Status, blocked.BlockerReason));

        Assert.Equal("done\nsecond done", await _talk.SayAsync("plain thing"));
        Assert.All(await _talk.QueueAsync(), q => Assert.Equal((QueueStatus.Completed, null), (q.Status, q.BlockerReason)));
    }

    [Fact]
    [Behaviour("brain-intent-blocked-reason", "brain-eligibility-requires-auth", "brain-eligibility-user-tier")]
    public async Task A_blocked_intent_says_why_and_is_taken_up_when_the_reason_is_gone()
    {
        await _talk.OfferAsync(
            Plain with { ActionId = "members", ActionName = "members area", EligibilityCriteria = Json.Of(new { requires_auth = true }), ResponseTemplate = "welcome in" },
            Plain with { ActionId = "gold", ActionName = "gold desk", EligibilityCriteria = Json.Of(new { user_tier = new[] { "gold" } }) });

        await _talk.SayAsync("members area. Gold desk.");
        Assert.Equal([("blocked", "requires_auth"), ("blocked", "user_tier")], (await _talk.IntentsAsync()).Select(i => (i.Status, i.BlockedReason)));
        Assert.Empty(await _talk.ExecutionsAsync());

        await _talk.InAsync(tx => _talk.Platform.Get<ContactDirectory>().MarkVerifiedAsync(tx, _talk.ContactId, _talk.ConversationId, default));
        Assert.Contains("welcome in", await _talk.SayAsync("hello"), StringComparison.Ordinal);
        Assert.Equal([("completed", null), ("blocked", "user_tier")], (await _talk.IntentsAsync()).Take(2).Select(i => (i.Status, i.BlockedReason)));
    }

    [Fact]
    [Behaviour("brain-eligibility-blockers")]
    public async Task A_blocker_that_holds_keeps_the_action_waiting()
    {
        await _talk.OfferAsync(Plain with { ActionId = "invoice", ActionName = "send invoice", Blockers = Json.Of(new[] { new { reason = "no_company", field = "contact.company", @is = "missing" } }) });

        await _talk.SayAsync("send invoice");

        var item = Assert.Single(await _talk.QueueAsync());
        Assert.Equal((QueueStatus.Blocked, "no_company"), (item.Status, item.BlockerReason));
        Assert.Equal("contact.company", item.BlockerDetails!.Value.GetProperty("details").GetProperty("field").GetString());
        await _talk.InAsync(tx => _talk.Platform.Get<ContactDirectory>().SetFieldAsync(tx, _talk.ContactId, new FieldWrite("company", "Acme", FieldWrite.UserProvided), default));
        await _talk.SayAsync("hello");
        Assert.Equal(QueueStatus.Completed, Assert.Single(await _talk.QueueAsync()).Status);
    }

    private async Task<QueuedAction> EnqueueAsync(string actionId, string? key = null)
    {
        var session = await _talk.SessionAsync();
        return await _talk.InAsync(async tx =>
        {
            var action = (await _talk.Platform.Get<ActionRegistry>().FindAsync(tx, _talk.AgentId, actionId, default))!;
            return await _talk.Platform.Get<ActionQueue>().EnqueueAsync(tx, new ActionRequest(action, session.SessionId, _talk.ContactId, _talk.ConversationId, key ?? $"{actionId}:{session.SessionId}")
            {
                Context = new EligibilityContext([], false, Parameters.None),
            }, default);
        });
    }

    private async Task ViolatesAsync(string sql, string constraint)
    {
        var refused = await Assert.ThrowsAsync<PostgresException>(() => _talk.InAsync(tx => tx.ExecuteAsync(sql, [], default)));
        Assert.Equal(constraint, refused.ConstraintName);
    }
}
