using AgentPlatform.Postgres;
using AgentPlatform.Tests.LocalHost;
using Npgsql;

namespace AgentPlatform.Tests.Postgres;

public sealed class DatabaseCheckTests : IAsyncLifetime
{
    private TestDatabase _database = null!;
    private NpgsqlDataSource _source = null!;

    public async Task InitializeAsync()
    {
        _database = await TestDatabase.CreateAsync();
        _source = NpgsqlDataSource.Create(_database.ConnectionString);
    }

    public async Task DisposeAsync()
    {
        await _source.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Theory]
    [InlineData(-60, "s behind the database's")]
    [InlineData(60, "s ahead of the database's")]
    public async Task Clocks_that_differ_stop_the_start(int seconds, string line)
    {
        var clock = new FakeClock(TimeProvider.System.GetUtcNow().AddSeconds(seconds));
        var e = await Assert.ThrowsAsync<DatabaseCheckException>(() => Check(clock).StartAsync(default));
        Assert.Contains(line, e.Message);
        Assert.DoesNotContain('\n', e.Message);
    }

    [Fact]
    public async Task A_second_does_not_matter() =>
        await Check(new FakeClock(TimeProvider.System.GetUtcNow().AddSeconds(1))).StartAsync(default);

    [Fact]
    public async Task A_database_without_the_migrations_of_this_build_stops_the_start()
    {
        await using var empty = await TestDatabase.CreateEmptyAsync();
        await using var source = NpgsqlDataSource.Create(empty.ConnectionString);
        var check = new DatabaseCheck(source, new Migrator(source, TestDatabase.Migrations), TimeProvider.System);
        var e = await Assert.ThrowsAsync<DatabaseCheckException>(() => check.StartAsync(default));
        Assert.StartsWith($"The database lacks {TestDatabase.Migrations.All.Count} of this build's migrations, the first is kernel/001", e.Message, StringComparison.Ordinal);
    }

    private DatabaseCheck Check(TimeProvider clock) => new(_source, new Migrator(_source, TestDatabase.Migrations), clock);
}
