using System.CommandLine;
using AgentPlatform.Postgres;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentPlatform.Cli;

/// <summary>Answers whether this build and this database belong together, and whether tenants are kept apart in it.</summary>
internal static class ValidateCommand
{
    internal static Command Create()
    {
        var command = new Command("validate", "Check the database: migrations applied and unchanged, row level security on every tenant-owned table");
        command.Run(async (_, ct) =>
        {
            await using var services = CliServices.Build();
            var pending = await services.GetRequiredService<Migrator>().PendingAsync(ct);
            Report("Migrations", pending.Count == 0 ? "all applied, none changed since" : null, pending.Select(m => $"{m.Name} is not applied"));
            if (pending.Count > 0)
            {
                return 1;
            }

            var missing = await services.GetRequiredService<SchemaInventory>().MissingAsync(ct);
            Report("Schema", missing.Count == 0 ? "every table, column, function, trigger and policy of the migrations is there" : null, missing.Select(m => $"{m} is missing"));
            var source = services.GetRequiredService<NpgsqlDataSource>();
            var tables = await CountAsync(source, Sql.TenantTables, ct);
            var open = await ListAsync(source, Sql.Unprotected, ct);
            Report("Row level security", open.Count == 0 ? $"forced, with policies, on all {tables} tenant-owned tables" : null, open);
            var powers = await ListAsync(source, Sql.TooMighty, ct);
            Report("Roles", powers.Count == 0 ? "no role of the platform can bypass row level security" : null, powers);
            return missing.Count + open.Count + powers.Count == 0 ? 0 : 1;
        });
        return command;
    }

    private static void Report(string what, string? fine, IEnumerable<string> faults)
    {
        if (fine is not null)
        {
            Commands.Say($"[green]✓[/] {what}: {fine}");
        }

        foreach (var fault in faults)
        {
            Commands.Say($"[red]✗[/] {what}: {fault}");
        }
    }

    private static async Task<List<string>> ListAsync(NpgsqlDataSource source, string sql, CancellationToken ct)
    {
        var rows = new List<string>();
        await using var command = source.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            rows.Add(reader.GetString(0));
        }

        return rows;
    }

    private static async Task<long> CountAsync(NpgsqlDataSource source, string sql, CancellationToken ct)
    {
        await using var command = source.CreateCommand(sql);
        return (long)(await command.ExecuteScalarAsync(ct))!;
    }

    private static class Sql
    {
        internal const string TenantTables =
            """
            SELECT count(*) FROM pg_class c
            WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')
              AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
            """;

        internal const string Unprotected =
            """
            SELECT c.oid::regclass || CASE WHEN NOT c.relrowsecurity THEN ' has no row level security'
                                           WHEN NOT c.relforcerowsecurity THEN ' does not force row level security on its owner'
                                           ELSE ' has no policy' END
            FROM pg_class c
            WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')
              AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
              AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))
            ORDER BY 1
            """;

        internal const string TooMighty =
            """
            SELECT r.rolname || CASE WHEN r.rolsuper THEN ' is a superuser' ELSE ' has BYPASSRLS' END
            FROM pg_roles r
            WHERE (r.rolsuper OR r.rolbypassrls) AND (r.rolname IN ('agentplatform_app', 'agentplatform_worker', 'agentplatform_eraser') OR r.rolname = current_user)
            ORDER BY 1
            """;
    }
}
