using System.Diagnostics;
using System.Text.Json;
using AgentPlatform.Work;
using AgentPlatform.Work.Simulate;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Work;

/// <summary>Work is done by the engine, and what it left in the queue is played again under the policy that held: the two agree.</summary>
public sealed class SimulatedAndRealTests : IAsyncLifetime
{
    private static readonly TimeSpan Run = TimeSpan.FromMilliseconds(150);

    private WorkStage _stage = null!;

    public async Task InitializeAsync() => _stage = await WorkStage.StartAsync(services => services.AddWorkHandler<Sleeper>("test.sleep"));

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task Under_a_limit_items_wait_as_long_in_the_simulation_as_in_the_engine()
    {
        await LimitAsync(new { kind = "test.sleep", max_running = 2 });
        await EnqueueAsync([.. Enumerable.Range(0, 16).Select(i => new NewWork("test.sleep", $"{i}", new { }))]);
        var report = SimulationReport.For(new SimulationPolicy(32, Limits: [new SimulatedLimit(Kind: "test.sleep", MaxRunning: 2)]), await DrainAndReadAsync());

        // Eight pairs one after the other. The engine's claims and completions take time, which the simulation leaves out: it is never slower.
        var (recorded, proposed) = (report.All.Recorded, report.All.Proposed);
        Assert.Equal((16, 16), (recorded.Started, proposed.Started));
        Assert.InRange(proposed.MaxSeconds!.Value, 7 * Run.TotalSeconds, recorded.MaxSeconds!.Value + 0.05);
        Assert.InRange(proposed.MaxSeconds.Value, recorded.MaxSeconds.Value * 0.4, double.MaxValue);
        Assert.InRange(proposed.P50Seconds!.Value, recorded.P50Seconds!.Value * 0.4, recorded.P50Seconds.Value + 0.05);
        // Without the limit nobody would have waited.
        Assert.Equal(0, SimulationReport.For(new SimulationPolicy(32), await ReadAsync()).All.Proposed.MaxSeconds);
    }

    [Fact]
    public async Task Urgency_serial_keys_and_deadlines_give_the_same_order_in_both()
    {
        await LimitAsync(new { kind = "test.play", max_running = 1 });
        var now = TimeProvider.System.GetUtcNow();
        await EnqueueAsync(
            Play("first", 0) with { RunAt = now.AddMinutes(-5), SerialKey = "s" },
            Play("least", 100) with { RunAt = now.AddMinutes(-99) },
            Play("second", 0) with { RunAt = now.AddMinutes(-50), SerialKey = "s" },
            Play("old", 50) with { RunAt = now.AddMinutes(-60) },
            Play("expired", 0) with { StartBy = now.AddMinutes(-1) },
            Play("most", 0));
        var recorded = await DrainAndReadAsync();
        var played = Simulation.Run(
            new SimulationPolicy(32, Limits: [new SimulatedLimit(Kind: "test.play", MaxRunning: 1)]),
            [.. Arrivals.Of(recorded).Items.Select(a => a with { Took = TimeSpan.FromSeconds(1), EnqueuedAt = now })]);
        var keys = await KeysAsync(recorded);
        var ran = recorded.Where(r => r.StartedAt is not null).OrderBy(r => r.StartedAt).Select(r => keys[r.Id]).ToList();
        var simulated = played.Where(p => p.Fate == Fate.Started).OrderBy(p => p.StartedAt).Select(p => keys[p.Arrival.Id]).ToList();

        Assert.Equal("expired", keys[Assert.Single(played, p => p.Fate == Fate.Expired).Arrival.Id]);
        // What its serial key held back is found by the engine one claim later: its place among the others is the simulation's alone.
        Assert.Equal(["old", "first", "most", "least"], ran.Where(key => key != "second"));
        Assert.Equal(["old", "first", "most", "least"], simulated.Where(key => key != "second"));
        Assert.Equal(["first", "second"], ran.Where(key => key is "first" or "second"));
        Assert.Equal(["first", "second"], simulated.Where(key => key is "first" or "second"));
    }

    [Fact]
    public async Task The_command_reads_the_queue_of_a_database_and_prints_both_sides()
    {
        await EnqueueAsync(Play("a", 50), Play("b", 50));
        await _stage.Platform.DrainAsync();
        var policy = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(policy, """{"slots": 4}""");
            var (code, output, errors) = await SimulateAsync("--policy", policy, "--from", "2020-01-01", "--to", "2200-01-01T00:00Z", "--json");
            Assert.Equal((0, ""), (code, errors));
            var play = JsonElement.Parse(output).GetProperty("kinds").EnumerateArray().Single(k => k.GetProperty("name").GetString() == "test.play");
            Assert.Equal((2, 2), (play.GetProperty("recorded").GetProperty("started").GetInt32(), play.GetProperty("proposed").GetProperty("started").GetInt32()));

            (code, output, _) = await SimulateAsync("--policy", policy, "--from", "2020-01-01", "--to", "2200-01-01");
            Assert.Equal(0, code);
            Assert.Contains("| test.play", output, StringComparison.Ordinal);
            Assert.Equal((1, "--from lies before --to."), await FailAsync("--policy", policy, "--from", "2020-01-02", "--to", "2020-01-01"));
            await File.WriteAllTextAsync(policy, """{"slots": 4, "limits": [{"max_running": 0}]}""");
            Assert.Equal((1, $"{Path.GetFileName(policy)} is no policy: limits[0].max_running: must be above zero."), await FailAsync("--policy", policy, "--from", "2020-01-01", "--to", "2020-01-02"));
        }
        finally
        {
            File.Delete(policy);
        }
    }

    [Fact]
    public async Task Reading_the_record_changes_nothing()
    {
        await EnqueueAsync(Play("a", 50), Play("b", 50) with { RunAt = TimeProvider.System.GetUtcNow().AddHours(1) });
        await _stage.Platform.DrainAsync();
        const string versions = "SELECT string_agg(xmin::text || state, ' ' ORDER BY id) FROM work.items";
        var before = await _stage.Platform.Postgres.ScalarAsync<string>(versions);
        Assert.Equal(2, (await ReadAsync()).Count(r => r.Kind == "test.play"));
        Assert.Equal(before, await _stage.Platform.Postgres.ScalarAsync<string>(versions));
    }

    private static NewWork Play(string key, short priority) => new("test.play", key, new { }) { Priority = priority };

    private async Task LimitAsync(object limit) => Assert.Equal(200, (await _stage.Api.PostAsync("/api/v1/work/limits", limit)).Status);

    private Task EnqueueAsync(params NewWork[] works) => _stage.EnqueueAsync(works);

    private async Task<IReadOnlyList<RecordedItem>> DrainAndReadAsync()
    {
        await _stage.Platform.DrainAsync();
        return await ReadAsync();
    }

    private async Task<IReadOnlyList<RecordedItem>> ReadAsync()
    {
        var now = TimeProvider.System.GetUtcNow();
        var read = await new WorkHistory(_stage.Platform.Database).ReadAsync(now.AddHours(-3), now.AddHours(3), 1000, default);
        return [.. read.Where(r => r.Kind.StartsWith("test.", StringComparison.Ordinal))];
    }

    private async Task<Dictionary<long, string>> KeysAsync(IReadOnlyList<RecordedItem> items)
    {
        var keys = new Dictionary<long, string>();
        foreach (var item in items)
        {
            keys[item.Id] = await _stage.Platform.Postgres.ScalarAsync<string>("SELECT key FROM work.items WHERE id = $1", item.Id);
        }

        return keys;
    }

    private async Task<(int Code, string Errors)> FailAsync(params string[] args)
    {
        var (code, _, errors) = await SimulateAsync(args);
        return (code, errors.Trim());
    }

    private async Task<(int Code, string Output, string Errors)> SimulateAsync(params string[] args)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "AgentPlatform.Cli.dll"), "simulate", .. args])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["ConnectionStrings__AgentPlatform"] = _stage.Platform.Postgres.ConnectionString;
        using var process = Process.Start(start)!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, await errors);
    }

    private sealed class Sleeper(TimeProvider clock) : IWorkHandler
    {
        public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
        {
            await Task.Delay(Run, clock, ct);
            return new WorkOutcome.Done();
        }
    }
}
