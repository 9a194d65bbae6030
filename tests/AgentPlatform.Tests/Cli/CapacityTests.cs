using AgentPlatform.Cli;

namespace AgentPlatform.Tests.Cli;

public sealed class CapacityTests
{
    private static readonly MessageCost Cost = new(HostMs: 6, DatabaseMs: 12, StoredKb: 16, CommitsPerSecond: 10_000);

    [Fact]
    public void Processors_grow_with_the_rate_and_leave_room_for_peaks()
    {
        var plan = CapacityPlan.For(100, Cost, new Assumptions());
        Assert.Equal(1.0, plan.HostCores, 6);
        Assert.Equal(2.0, plan.DatabaseCores, 6);
        Assert.Equal(1, plan.Hosts);
        Assert.Equal(2, CapacityPlan.For(101, Cost, new Assumptions()).Hosts);
    }

    [Fact]
    public void A_day_of_messages_is_kept_as_long_as_retention_says()
    {
        var plan = CapacityPlan.For(100, Cost, new Assumptions { RetentionDays = 10 });
        Assert.Equal(100 * 86_400 * 16 / 1024.0 / 1024, plan.StoredGbPerDay, 6);
        Assert.Equal(plan.StoredGbPerDay * 10 / 1024, plan.StoredTb, 6);
    }

    [Fact]
    public void Pools_count_per_host_and_server_connections_per_processor_of_the_database()
    {
        var plan = CapacityPlan.For(1_000, Cost, new Assumptions());
        Assert.Equal((10, 320, 80), (plan.Hosts, plan.ClientConnections, plan.ServerConnections));
        Assert.Equal(80, CapacityPlan.For(1_000, Cost, new Assumptions { PoolSize = 8 }).ClientConnections);
        Assert.Equal(6_000, plan.CommitsPerSecond);
    }

    [Theory]
    [InlineData(1, "nothing")]
    [InlineData(150, "the database's processors")]
    [InlineData(800, "connections")]
    [InlineData(900, "commits")]
    [InlineData(10_000, "one database")]
    public void Each_order_of_magnitude_meets_its_own_limit(double rate, string first) =>
        Assert.StartsWith(first, CapacityPlan.For(rate, Cost, new Assumptions { RetentionDays = 1 }).First, StringComparison.Ordinal);

    [Fact]
    public void Storage_is_met_first_when_everything_is_kept() =>
        Assert.StartsWith("storage", CapacityPlan.For(100, Cost, new Assumptions { RetentionDays = 3_650 }).First, StringComparison.Ordinal);

    [Fact]
    public void A_large_rate_is_spread_over_cells() => Assert.Equal(4, CapacityPlan.For(10_000, Cost, new Assumptions()).Cells);

    [Fact]
    public async Task The_command_reads_what_the_bench_wrote_and_refuses_anything_else()
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, """{"bench":"intake","figures":[{"name":"idle host memory","value":130}]}""");
            Assert.Equal(1, await RunAsync("--bench", file));
            await File.WriteAllTextAsync(
                file,
                """
                {"bench":"intake","processors":2,"figures":[{"name":"host CPU per message","value":6},{"name":"database CPU per message","value":12},
                {"name":"stored per message","value":16},{"name":"pgbench single insert","value":10000}]}
                """);
            Assert.Equal(0, await RunAsync("--bench", file, "--messages-per-second", "5", "500"));
            Assert.Equal(1, await RunAsync("--bench", file, "--messages-per-second", "0"));
            Assert.Equal(1, await RunAsync("--bench", file, "--pool-size", "0"));
            Assert.Equal(1, await RunAsync("--bench", file + ".missing"));
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static Task<int> RunAsync(params string[] args) => CapacityCommand.Create().Parse(args).InvokeAsync();
}
