using System.Reflection;
using Npgsql;

namespace AgentPlatform.Tests.Rules;

/// <summary>Every statement the code holds is prepared against the migrated schema: a renamed column fails here, not at three in the morning.</summary>
public sealed class SqlRules : IAsyncLifetime
{
    // The last is a function that only Azure Database for PostgreSQL has.
    private static readonly string[] NotPreparable = ["BEGIN", "COMMIT", "DO $$", "LISTEN ", "UNLISTEN ", "SET LOCAL ", "SELECT pgaadauth_"];

    private TestDatabase _database = null!;

    public static TheoryData<string> Statements() => new(All().Select(s => s.Name));

    public async Task InitializeAsync() => _database = await TestDatabase.CreateAsync();

    public async Task DisposeAsync() => await _database.DisposeAsync();

    [Fact]
    public async Task Every_statement_can_be_prepared()
    {
        var failures = new List<string>();
        await using var connection = new NpgsqlConnection(_database.ConnectionString);
        await connection.OpenAsync();
        foreach (var (name, sql) in All().Where(s => !NotPreparable.Any(s.Sql.TrimStart().StartsWith)))
        {
            try
            {
                await using var command = new NpgsqlCommand($"PREPARE probe AS {sql.TrimEnd().TrimEnd(';')}; DEALLOCATE probe", connection);
                await command.ExecuteNonQueryAsync();
            }
            catch (PostgresException e)
            {
                failures.Add($"{name}: {e.MessageText}");
            }
        }

        Assert.Empty(failures);
        Assert.NotEmpty(All());
    }

    [Fact]
    public void Statements_are_constants_so_that_nothing_can_be_glued_into_them()
    {
        var fields = SqlClasses().SelectMany(t => t.GetMembers(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly));
        Assert.DoesNotContain(fields, m => m is not FieldInfo { IsLiteral: true });
    }

    private static IEnumerable<(string Name, string Sql)> All() =>
        from type in SqlClasses()
        from field in type.GetFields(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
        where field is { IsLiteral: true } && field.FieldType == typeof(string)
        select ($"{type.DeclaringType?.Name}.{field.Name}", (string)field.GetRawConstantValue()!);

    private static IEnumerable<Type> SqlClasses() =>
        ModuleMap.Assemblies.SelectMany(a => a.GetTypes()).Where(t => t.Name == "Sql");
}
