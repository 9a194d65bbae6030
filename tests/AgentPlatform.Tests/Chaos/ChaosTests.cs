using AgentPlatform.Chaos;
using Xunit.Abstractions;

namespace AgentPlatform.Tests.Chaos;

/// <summary>A short run of <c>./dev chaos</c>: real workers, a Postgres and a PgBouncer of its own, every kill once.</summary>
[Collection("Alone")]
public sealed class ChaosTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Seven_kills_lose_nothing_and_repeat_nothing()
    {
        var tools = Environment.GetEnvironmentVariable("AGENTPLATFORM_PGBIN")
            ?? throw new InvalidOperationException("AGENTPLATFORM_PGBIN is not set: run the tests with ./dev test.");
        var options = new ChaosOptions(tools) { Jobs = 4_000, Rounds = 1, LeaseSeconds = 6, Fsync = false, RestartLimit = TimeSpan.FromMinutes(1) };
        var result = await new ChaosRun(options, TimeProvider.System, output.WriteLine).RunAsync(CancellationToken.None);
        output.WriteLine(result.Markdown);
        // In a run this short the one SIGKILL may strike between two batches; the long run insists on having interrupted something.
        Assert.Empty(result.Violations.Where(v => !v.StartsWith("no kill of a worker", StringComparison.Ordinal)));
        Assert.Equal(7, result.Kills.Count);
        Assert.All(result.Kills.Values, times => Assert.Equal(1, times));
        Assert.NotEqual(0, result.Figures.Interruptions);
    }
}
