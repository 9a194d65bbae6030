using System.Text.RegularExpressions;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Tests.Postgres;

public sealed partial class MigratorTests
{
    /// <summary>Rolled forward only: decision 0209 says what stands for reverse scripts.</summary>
    [Fact]
    [Behaviour("ps-migrations-order")]
    public async Task Files_run_in_their_order_each_whole_or_not_at_all_and_a_run_that_was_cut_off_goes_on()
    {
        await using var database = await TestDatabase.CreateEmptyAsync();
        await using var source = NpgsqlDataSource.Create(database.ConnectionString);
        // A table of that name is in the way of a file in the middle, which makes others before it.
        await database.ScalarAsync<string>("DO $$ BEGIN CREATE SCHEMA work AUTHORIZATION agentplatform; CREATE TABLE work.limits (); END $$; SELECT 'made'");
        var error = await Assert.ThrowsAsync<MigrationException>(() => new Migrator(source, TestDatabase.Migrations).MigrateAsync(default));
        var failed = TestDatabase.Migrations.All.Single(m => error.Message.Contains(m.Name, StringComparison.Ordinal));
        Assert.Equal(IndexOf(failed.Name), await database.ScalarAsync<long>("SELECT count(*) FROM kernel.migrations"));
        var before = await database.ScalarAsync<long>("SELECT count(*) FROM pg_class WHERE relnamespace = 'work'::regnamespace");

        await Assert.ThrowsAsync<MigrationException>(() => new Migrator(source, TestDatabase.Migrations).MigrateAsync(default));
        Assert.Equal(before, await database.ScalarAsync<long>("SELECT count(*) FROM pg_class WHERE relnamespace = 'work'::regnamespace"));

        await database.ScalarAsync<string>("DO $$ BEGIN DROP TABLE work.limits; END $$; SELECT 'gone'");
        Assert.Equal(TestDatabase.Migrations.All.Skip(IndexOf(failed.Name)), await new Migrator(source, TestDatabase.Migrations).MigrateAsync(default));
        Assert.Equal(
            string.Join(',', TestDatabase.Migrations.All.Select(m => m.Name)), await database.ScalarAsync<string>("SELECT string_agg(name, ',' ORDER BY applied_at) FROM kernel.migrations"));
        Assert.Empty(await new Migrator(source, TestDatabase.Migrations).MigrateAsync(default));
    }

    [Fact]
    public async Task A_file_that_runs_into_a_deadlock_with_a_running_host_is_tried_again()
    {
        await using var database = await TestDatabase.CreateAsync();
        // Whoever waits for as long as this looks whether it waits for ever, and gives way: the migration, however slow the machine is.
        await using var source = NpgsqlDataSource.Create(database.AdminConnectionString + ";Options=-c deadlock_timeout=10s");
        await using var host = new NpgsqlConnection(database.AdminConnectionString + ";Options=-c deadlock_timeout=60s");
        await host.OpenAsync();
        await using var transaction = await host.BeginTransactionAsync();
        await ExecuteAsync(host, "SELECT FROM work.items");

        // It takes the conversations first and waits for the work items; the host holds those and asks for the conversations.
        var migrating = new Migrator(source, TestDatabase.NewerMigrations).MigrateAsync(default);
        Assert.True(await Eventually.SeeAsync(() => database.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'work.items'::regclass AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"), waits => waits));
        await ExecuteAsync(host, "SELECT FROM conversations.conversations");
        await transaction.CommitAsync();

        Assert.Equal(["newer/001_columns.sql"], (await migrating).Select(m => m.Name));
    }

    [Fact]
    public async Task Migrating_twice_applies_each_file_once()
    {
        await using var database = await TestDatabase.CreateEmptyAsync();
        await using var source = NpgsqlDataSource.Create(database.ConnectionString);
        var migrator = new Migrator(source, TestDatabase.Migrations);
        Assert.Equal(TestDatabase.Migrations.All, await migrator.PendingAsync(default));

        Assert.Equal(TestDatabase.Migrations.All, await migrator.MigrateAsync(default));
        Assert.Empty(await migrator.MigrateAsync(default));
        Assert.Empty(await migrator.PendingAsync(default));
    }

    [Fact]
    public async Task Hosts_that_start_together_apply_each_file_once()
    {
        await using var database = await TestDatabase.CreateEmptyAsync();
        await using var source = NpgsqlDataSource.Create(database.ConnectionString);
        var applied = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => new Migrator(source, TestDatabase.Migrations).MigrateAsync(default)));
        Assert.Equal(TestDatabase.Migrations.All.Select(m => m.Name), applied.SelectMany(a => a).Select(m => m.Name).OrderBy(IndexOf));
    }

    [Fact]
    public async Task A_file_that_was_changed_after_it_ran_stops_the_migration()
    {
        await using var database = await TestDatabase.CreateAsync();
        await database.ScalarAsync<string>("UPDATE kernel.migrations SET checksum = 'other' WHERE module = 'work' AND version = 1 RETURNING name");
        await using var source = NpgsqlDataSource.Create(database.ConnectionString);
        var error = await Assert.ThrowsAsync<MigrationException>(() => new Migrator(source, TestDatabase.Migrations).MigrateAsync(default));
        Assert.Contains("work/001_items.sql", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Files_are_numbered_from_one_without_gaps_and_named_in_snake_case()
    {
        foreach (var module in TestDatabase.Migrations.All.GroupBy(m => m.Module, StringComparer.Ordinal))
        {
            Assert.Equal(Enumerable.Range(1, module.Count()), module.Select(m => m.Version));
            Assert.All(module, m => Assert.Matches(FileName(), m.Name));
        }
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    private static int IndexOf(string name) => TestDatabase.Migrations.All.ToList().FindIndex(m => m.Name == name);

    [GeneratedRegex(@"^[a-z]+/\d{3}_[a-z0-9_]+\.sql$")]
    private static partial Regex FileName();
}
