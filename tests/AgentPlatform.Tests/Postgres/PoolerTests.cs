using AgentPlatform.Postgres;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentPlatform.Tests.Postgres;

public sealed class PoolerTests
{
    [Theory]
    [InlineData("none", 200, false)]
    [InlineData("transaction", 0, true)]
    public void The_setting_decides_what_a_connection_may_leave_behind(string pooler, int prepared, bool noReset)
    {
        var connection = Connection("Host=localhost", pooler);
        Assert.Equal((prepared, noReset), (connection.MaxAutoPrepare, connection.NoResetOnClose));
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
