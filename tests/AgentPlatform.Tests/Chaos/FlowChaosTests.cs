using AgentPlatform.Chaos;
using AgentPlatform.Chaos.Flows;
using Xunit.Abstractions;

namespace AgentPlatform.Tests.Chaos;

/// <summary>A short run of <c>./dev chaos --only workflows</c>: real hosts, a Postgres and a PgBouncer of its own.</summary>
[Collection("Alone")]
public sealed class FlowChaosTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Workflows_end_right_and_do_and_undo_each_step_once_while_hosts_and_Postgres_are_struck()
    {
        var tools = Environment.GetEnvironmentVariable("AGENTPLATFORM_PGBIN")
            ?? throw new InvalidOperationException("AGENTPLATFORM_PGBIN is not set: run the tests with ./dev test.");
        var options = new ChaosOptions(tools) { Workflows = 32, Strikes = 4, Workers = 2, LeaseSeconds = 4, Fsync = false };
        var host = Path.Combine(AppContext.BaseDirectory, "AgentPlatform.Functions.dll");
        var result = await new FlowRun(options, host, TimeProvider.System, output.WriteLine).RunAsync(CancellationToken.None);
        output.WriteLine(result.Markdown);
        Assert.Empty(result.Violations);
        Assert.Equal(1, result.Figures.PostgresRestarts);
        Assert.NotEqual(0, result.Figures.HostsKilled);
    }
}
