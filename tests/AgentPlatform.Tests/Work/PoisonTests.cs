using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Work;

/// <summary>Items that cannot be handled, or not even read: each reaches the dead letters, and its neighbours run.</summary>
public sealed class PoisonTests : IAsyncLifetime
{
    private WorkStage _stage = null!;

    public async Task InitializeAsync() => _stage = await WorkStage.StartAsync(services => services
        .AddWorkHandler<Unmakeable>("test.unmakeable", kind => kind.MaxAttempts = 2)
        .AddWorkHandler<Speechless>("test.speechless"));

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task An_item_whose_handler_cannot_be_made_dies_after_its_attempts_and_its_neighbours_run()
    {
        await _stage.EnqueueAsync(new NewWork("test.unmakeable", "bad", new { }), new NewWork("test.play", "good", new { }));
        await _stage.Platform.DrainAsync();
        Assert.Equal("ready|1|InvalidOperationException: no settings", await _stage.StateAsync("bad"));
        Assert.Equal("done|1|", await _stage.StateAsync("good"));
        await _stage.DrainDueAsync();
        Assert.Equal("dead|2|InvalidOperationException: no settings", await _stage.StateAsync("bad"));
    }

    [Fact]
    public async Task A_payload_that_cannot_be_read_fails_its_own_attempts_and_is_shown_as_text()
    {
        _stage.Ends = item => item.Payload.ValueKind == default ? new WorkOutcome.Cancel("empty") : new WorkOutcome.Done();
        await _stage.EnqueueAsync("deep", "good");
        await _stage.ChangeAsync("UPDATE work.items SET max_attempts = 1, payload = (repeat('[', 500) || repeat(']', 500))::jsonb WHERE key = 'deep'");
        await _stage.Platform.DrainAsync();
        Assert.StartsWith("dead|1|JsonException", await _stage.StateAsync("deep"), StringComparison.Ordinal);
        Assert.Equal("done|1|", await _stage.StateAsync("good"));
        var listed = Assert.Single((await _stage.Api.GetAsync("/api/v1/work?state=dead")).Json.GetProperty("items").EnumerateArray());
        Assert.StartsWith("[[[", listed.GetProperty("payload").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_error_that_Postgres_cannot_hold_does_not_keep_its_neighbours_from_completing()
    {
        _stage.Ends = item => item.Key == "bad" ? new WorkOutcome.Dead("nul \0, half \ud83d.") : new WorkOutcome.Done();
        await _stage.EnqueueAsync("bad", "good");
        await _stage.Platform.DrainAsync();
        Assert.Equal("dead|1|nul , half \ufffd.", await _stage.StateAsync("bad"));
        Assert.Equal("done|1|", await _stage.StateAsync("good"));
    }

    [Fact]
    public async Task An_item_whose_handler_fails_to_note_the_death_is_dead_all_the_same()
    {
        await _stage.EnqueueAsync(new NewWork("test.speechless", "a", new { }));
        await _stage.Platform.DrainAsync();
        Assert.Equal("dead|1|no (Its last word failed: FormatException.)", await _stage.StateAsync("a"));
    }

    internal sealed class Unmakeable : IWorkHandler
    {
        public Unmakeable() => throw new InvalidOperationException("no settings");

        public Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct) => Task.FromResult<WorkOutcome>(new WorkOutcome.Done());
    }

    internal sealed class Speechless : IWorkHandler
    {
        public Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct) => Task.FromResult<WorkOutcome>(new WorkOutcome.Dead("no"));

        public Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct) => throw new FormatException("a bug");
    }
}
