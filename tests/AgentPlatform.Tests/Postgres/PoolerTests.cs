using AgentPlatform.Postgres;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentPlatform.Tests.Postgres;

public sealed class PoolerTests
{
    [Theory]
    [InlineData("none", 256)]
    [InlineData("transaction", 0)]
    public void The_setting_decides_whether_statements_are_prepared_and_sessions_are_never_reset(string pooler, int prepared)
    {
        var connection = Connection("Host=localhost", pooler);
        Assert.Equal((prepared, true), (connection.MaxAutoPrepare, connection.NoResetOnClose));
    }

    [Fact]
    public void The_connection_string_wins() =>
        Assert.Equal(100, Connection("Host=localhost;Max Auto Prepare=100", "transaction").MaxAutoPrepare);

    [Fact]
    public void Another_value_is_refused() =>
        Assert.Contains("'session'", Assert.Throws<InvalidOperationException>(() => Connection("Host=localhost", "session")).Message);

    private static NpgsqlConnectionStringBuilder Connection(string text, string pooler)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new("ConnectionStrings:AgentPlatform", text), new("Postgres:Pooler", pooler)]).Build();
        using var services = new ServiceCollection().AddSingleton<IConfiguration>(configuration).AddLogging().AddPostgres().BuildServiceProvider();
        return new NpgsqlConnectionStringBuilder(services.GetRequiredService<NpgsqlDataSource>().ConnectionString);
    }
}
