using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Tests.Actions;

public sealed class ToolMigrationTests
{
    [Fact]
    public async Task What_agents_could_use_before_there_were_activations_they_can_use_after_the_migration()
    {
        await using var database = await TestDatabase.CreateEmptyAsync();
        await using var source = NpgsqlDataSource.Create(database.ConnectionString);
        // A table of that name stops the run just before activations come.
        await database.ScalarAsync<string>("DO $$ BEGIN CREATE SCHEMA actions AUTHORIZATION agentplatform; CREATE TABLE actions.tool_activations (); END $$; SELECT 'made'");
        var stopped = await Assert.ThrowsAsync<MigrationException>(() => new Migrator(source, TestDatabase.Migrations).MigrateAsync(default));
        Assert.Contains("013_tool_activations", stopped.Message, StringComparison.Ordinal);
        await database.ScalarAsync<string>(
            """
            DO $$ BEGIN
                INSERT INTO identity.users (id, email) VALUES ('01000000-0000-7000-8000-000000000009', 'old@example.com');
                INSERT INTO tenancy.tenants (id, name, slug, owner_id) VALUES ('01000000-0000-7000-8000-000000000001', 'Old', 'old', '01000000-0000-7000-8000-000000000009');
                INSERT INTO tenancy.agents (tenant_id, id, name) VALUES ('01000000-0000-7000-8000-000000000001', '01000000-0000-7000-8000-000000000002', 'Old');
                INSERT INTO actions.action_registry (id, tenant_id, action_id, agent_id, action_name)
                VALUES ('01000000-0000-7000-8000-000000000003', '01000000-0000-7000-8000-000000000001', 'order', '01000000-0000-7000-8000-000000000002', 'order');
                DROP TABLE actions.tool_activations;
            END $$; SELECT 'old'
            """);

        await new Migrator(source, TestDatabase.Migrations).MigrateAsync(default);

        Assert.Equal("order true", await database.ScalarAsync<string>("SELECT string_agg(tool_id || ' ' || enabled, ',') FROM actions.tool_activations"));
        Assert.True(await database.ScalarAsync<bool>("SELECT relforcerowsecurity FROM pg_class WHERE oid = 'actions.action_registry'::regclass"));
    }
}
