using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Tests.EndToEnd;

/// <summary>A deployment as it happens: the old version serves, the schema moves on, the new version joins, the old one leaves.</summary>
[Collection("Alone")]
public sealed class RollingRestartTests : IAsyncLifetime
{
    private const string Ask = "find me software engineer jobs in Berlin";
    private const string Answer = "Here is what I found for software engineer:\n1. Software Engineer, Acme\n2. Backend Engineer, Globex";
    private const int Phase = 15;

    private HostStage _stage = null!;

    public async Task InitializeAsync() => _stage = await HostStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task A_rolling_restart_with_a_migration_in_between_loses_and_doubles_nothing()
    {
        var old = await _stage.HostAsync();
        await TextAllAsync(0, old);

        var answering = TextAllAsync(1, old);
        await using (var source = NpgsqlDataSource.Create(_stage.Platform.Postgres.ConnectionString))
        {
            Assert.Single(await new Migrator(source, TestDatabase.NewerMigrations).MigrateAsync(default));
        }

        await answering;

        var @new = await _stage.HostAsync(second: true);
        await TextAllAsync(2, old, @new);

        var leaving = TextAllAsync(3, old, @new);
        old.Terminate();
        await leaving;
        Assert.Equal(0, await old.ExitAsync());
        await TextAllAsync(4, @new);

        for (var i = 0; i < Phase * 5; i++)
        {
            Assert.Equal([Answer], await _stage.RepliesAsync(Number(i)));
        }

        Assert.Equal(Phase * 5, _stage.Twilio.Requests.Count);
        Assert.Equal(0, await _stage.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM work.items WHERE state = 'dead'"));
    }

    /// <summary>The provider spreads its messages over the hosts, and delivers again, elsewhere, what was not taken.</summary>
    private async Task TextAllAsync(int phase, params HostProcess[] hosts) =>
        await Parallel.ForEachAsync(Enumerable.Range(phase * Phase, Phase), new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (i, _) =>
        {
            for (var attempt = 0; !await _stage.TextAsync(Number(i), Ask, $"SM-{i}", hosts[(i + attempt) % hosts.Length].Client.BaseAddress); attempt++)
            {
                Assert.InRange(attempt, 0, 20);
            }
        });

    private static string Number(int i) => $"+1415557{1000 + i}";
}
