using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Models;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Tests.EndToEnd;
using AgentPlatform.Tests.Sandbox;
using Npgsql;

namespace AgentPlatform.Tests.Models;

/// <summary>A host dies somewhere in a turn that asks a model; another takes the turn over.</summary>
public sealed class ModelCrashTests : IAsyncLifetime
{
    private const string Riddle = "could you perhaps get me something in nursing";

    private Talk _talk = null!;
    private FakeModel _model = null!;

    public async Task InitializeAsync()
    {
        _model = await FakeModel.StartAsync();
        _talk = await Talk.StartAsync(Jobs.Search);
        await _talk.AddModelAsync(_model);
        await _talk.UseAsync("unsure", "main");
        _model.Fills(new { say = new[] { "Here you are." }, because = "asked" });
    }

    public async Task DisposeAsync()
    {
        await _talk.DisposeAsync();
        await _model.DisposeAsync();
    }

    /// <summary>Each round the host is cut off from its database at the next of its messages, until it comes through.</summary>
    [Fact]
    [Behaviour("mk-budget-settle")]
    public async Task Whatever_the_last_step_of_a_host_was_a_call_is_made_once_and_the_contact_hears_one_answer()
    {
        var budget = await _talk.LimitAsync(10);
        var (asked, unheard, died) = (0, 0, true);
        for (var step = 1; died; step++)
        {
            await _talk.MeetAsync();
            await _talk.HearAsync(Riddle);
            died = await DiesAtAsync(step);
            await TakeOverAsync();

            var (calls, reply) = (await _talk.CallsAsync(), await _talk.RepliesAsync());
            var made = _model.Requests.Count - asked;
            asked = _model.Requests.Count;
            Assert.InRange(made, 0, 1);
            Assert.Single(calls);
            Assert.Contains(reply, new[] { "Here you are.", "I did not quite get that. You can ask me to:\n1. Search jobs" });
            Assert.Equal(reply == "Here you are." ? "answered" : "interrupted", calls[0].Status);
            unheard += calls[0].Status == "interrupted" ? 1 : 0;
            Assert.True(step < 100, "The host never came through.");
        }

        // Between the record of a call and that of its answer there are steps, and some before and after.
        Assert.InRange(unheard, 1, 40);
        Assert.True(asked > unheard);
        Assert.Equal(0, (await _talk.BudgetAsync(budget.Id)).BudgetReserved);
        Assert.Equal(0L, await _talk.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM costs.budget_reservations WHERE status = 'open'"));
    }

    [Fact]
    public async Task After_a_call_that_nobody_saw_the_end_of_the_next_model_is_asked()
    {
        await using var second = await FakeModel.StartAsync();
        second.Fills(new { say = new[] { "From the spare one." }, because = "asked" });
        await _talk.AddModelAsync(second, "spare");
        await _talk.UseAsync("unsure", "main", "spare");
        await _talk.HearAsync(Riddle);
        var message = (await _talk.InAsync(tx => _talk.Platform.Get<ConversationLog>().LatestAsync(tx, _talk.ConversationId, 1, default)))[0];

        // Prepared, committed, and never made: its host is gone.
        await _talk.InAsync(async tx =>
        {
            var model = (await _talk.Platform.Get<ModelCatalog>().ChainAsync(tx, ["main"], default))[0];
            var place = new CallPlace(message.Id, 1, _talk.AgentId, "agent", _talk.ContactId, _talk.ConversationId, message.Id);
            var prompt = new ModelPrompt("You are Ada.", [new(true, Riddle)], new("reply", "The answer.", Json.Of(new { type = "object" })));
            Assert.IsType<CallStart.Ready>(await _talk.Platform.Get<ModelCalls>().PrepareAsync(tx, new NewCall(place, model, "reply", prompt), default));
        });
        await _talk.Platform.DrainAsync();

        Assert.Equal("From the spare one.", await _talk.RepliesAsync());
        Assert.Empty(_model.Requests);
        Assert.Equal([("main", "interrupted"), ("spare", "answered")], (await _talk.CallsAsync()).Select(c => (c.ModelName, c.Status)));
    }

    private async Task<bool> DiesAtAsync(int step)
    {
        var proxy = new DatabaseProxy(_talk.Platform.Postgres.ConnectionString);
        var died = new TaskCompletionSource();
        await using var victim = _talk.Platform.TwinBehind(proxy.ConnectionString, ("Models:AllowPrivateTargets", "true"));
        proxy.Trap(step, () =>
        {
            proxy.Dispose();
            died.TrySetResult();
        });
        try
        {
            await Task.WhenAny(victim.DrainAsync(), died.Task);
        }
        catch (Exception e) when (e is NpgsqlException or InvalidOperationException or IOException)
        {
        }

        if (died.Task.IsCompleted)
        {
            return true;
        }

        proxy.Dispose();
        return false;
    }

    /// <summary>What the dead host held is free.</summary>
    private async Task TakeOverAsync()
    {
        await _talk.Platform.Postgres.LoseWorkersAsync();
        await _talk.Platform.Postgres.ScalarAsync<long>(
            "WITH hastened AS (UPDATE work.items SET run_at = now() WHERE state = 'ready' AND kind = 'conversation.turn' RETURNING 1) SELECT count(*) FROM hastened");
        await _talk.Platform.DrainAsync();
    }
}
