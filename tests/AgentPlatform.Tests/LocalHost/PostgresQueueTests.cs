using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.LocalHost.Queues;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Tests.LocalHost;

public sealed class PostgresQueueTests : MessageQueueConformance, IAsyncLifetime, IDisposable
{
    private readonly QueueSignals _signals = new();
    private TestDatabase _database = null!;
    private NpgsqlDataSource _source = null!;

    public async Task InitializeAsync()
    {
        _database = await TestDatabase.CreateEmptyAsync();
        _source = NpgsqlDataSource.Create(_database.ConnectionString);
        await new Migrator(_source, MigrationSet.FromResources(HostStartup.Schema)).MigrateAsync(default);
    }

    public async Task DisposeAsync()
    {
        await _source.DisposeAsync();
        await _database.DisposeAsync();
    }

    public void Dispose() => _signals.Dispose();

    [Fact]
    public async Task A_hidden_message_shows_again_when_its_time_is_over()
    {
        var clock = FakeClock.AtNoon();
        var queue = new PostgresQueue("clocked", _source, _signals, clock);
        await queue.SendAsync("x", default);
        Assert.Single(await queue.ReceiveAsync(1, TimeSpan.FromSeconds(30), default));

        clock.Advance(TimeSpan.FromSeconds(29));
        Assert.Empty(await queue.ReceiveAsync(1, TimeSpan.FromSeconds(30), default));
        clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Single(await queue.ReceiveAsync(1, TimeSpan.FromSeconds(30), default));
    }

    [Fact]
    public async Task A_message_nobody_took_in_seven_days_is_gone_and_swept()
    {
        var clock = FakeClock.AtNoon();
        var queue = new PostgresQueue("clocked", _source, _signals, clock);
        await queue.SendAsync("x", default);

        clock.Advance(TimeSpan.FromDays(7));

        Assert.Empty(await queue.ReceiveAsync(1, TimeSpan.FromSeconds(30), default));
        await queue.PrepareAsync(default);
        Assert.Equal(0L, await _database.ScalarAsync<long>("SELECT count(*) FROM localhost.queue_messages"));
    }

    [Fact]
    public async Task Receivers_at_the_same_time_never_get_the_same_message()
    {
        var queue = Open("shared");
        for (var i = 0; i < 60; i++)
        {
            await queue.SendAsync($"{i}", default);
        }

        var batches = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => queue.ReceiveAsync(5, TimeSpan.FromMinutes(1), default)));

        var ids = batches.SelectMany(b => b).Select(m => m.Id).ToArray();
        Assert.Equal(ids.Length, ids.Distinct().Count());
    }

    private protected override IMessageQueue Open(string name) => new PostgresQueue(name, _source, _signals, TimeProvider.System);
}
