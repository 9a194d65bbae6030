using AgentPlatform.Actions;
using AgentPlatform.Postgres;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Brain;

/// <summary>What is in one transaction happens together or not at all, however often it is tried.</summary>
public sealed class CrashTests : IAsyncLifetime
{
    private readonly Crash _crash = new();
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(services => services.AddSingleton<IActionListener>(_crash), Jobs.Search, Jobs.Apply, Jobs.CancelApplication);

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    public async Task A_turn_that_dies_in_its_middle_leaves_nothing_and_is_taken_once()
    {
        await _talk.SayAsync("apply for a job");
        _crash.At = QueueStatus.Cancelled;

        Assert.Equal("", await _talk.SayAsync("cancel application"));
        Assert.Single(await _talk.IntentsAsync());
        Assert.Single(await _talk.QueueAsync());
        _crash.At = null;
        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();

        Assert.Equal("Your application is withdrawn.", await _talk.RepliesAsync());
        Assert.Equal([(1, "cancelled"), (2, "completed")], (await _talk.IntentsAsync()).Select(i => (i.TurnNumber, i.Status)));
        Assert.Equal(1, (await _talk.EventsAsync()).Count(e => e == "turn.completed") - 1);
    }

    [Fact]
    [Behaviour("brain-intent-queue-sync")]
    public async Task A_settlement_that_dies_is_made_again_with_the_same_key_and_told_once()
    {
        _talk.Endpoint.Answers(200, Jobs.Found);
        _crash.At = QueueStatus.Completed;

        Assert.Equal("", await _talk.SayAsync("find me nurse jobs"));
        Assert.Equal("executing", Assert.Single(await _talk.IntentsAsync()).Status);
        _crash.At = null;
        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();

        Assert.StartsWith("Here is what I found", await _talk.RepliesAsync(), StringComparison.Ordinal);
        Assert.Single(_talk.Endpoint.Requests.Select(r => r.Headers["Idempotency-Key"]).Distinct());
        var attempts = (await _talk.ExecutionsAsync()).Select(e => e.Status).ToList();
        Assert.Equal("completed", attempts[^1]);
        Assert.NotEmpty(attempts[..^1]);
        Assert.All(attempts[..^1], status => Assert.Equal("failed", status));
        Assert.Equal("completed", Assert.Single(await _talk.IntentsAsync()).Status);
    }

    private sealed class Crash : IActionListener
    {
        /// <summary>Every attempt dies there, for on a busy machine the next may begin before the test looks.</summary>
        public QueueStatus? At { get; set; }

        public Task ChangedAsync(Transaction tx, ActionChange change, CancellationToken ct)
        {
            if (change.Item.Status == At)
            {
                throw new InvalidOperationException("The worker dies here.");
            }

            return Task.CompletedTask;
        }
    }
}
