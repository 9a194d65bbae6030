using System.Data;
using AgentPlatform.Tests.LocalHost;
using AgentPlatform.Work;
using AgentPlatform.Work.Operate;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Tests.Work;

/// <summary>A snapshot that is held open while work goes on, and what the engine does about it.</summary>
public sealed class VacuumAlarmTests : IAsyncLifetime
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(300);

    private readonly RecordingLog _log = new();
    private WorkStage _stage = null!;

    public async Task InitializeAsync() => _stage = await WorkStage.StartAsync(services => services
        .AddLogging(logging => logging.AddProvider(_log).AddFilter<RecordingLog>(typeof(VacuumAlarm).FullName, LogLevel.Information))
        .Configure<WorkOptions>(o =>
        {
            (o.SnapshotSeconds, o.WarnDeadRows, o.ThrottleDeadRows) = (1, 4, 60);
            (o.Concurrency, o.Ahead, o.ThrottlePauseSeconds) = (2, 0, Pause.TotalSeconds);
        }));

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task A_snapshot_held_open_is_warned_of_then_slows_less_urgent_work_and_is_forgotten_when_it_ends()
    {
        await using var connection = new NpgsqlConnection(_stage.Platform.Postgres.ConnectionString);
        await connection.OpenAsync();
        await using var old = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead);
        await using (var look = new NpgsqlCommand("SELECT pg_sleep(1.1)", connection, old))
        {
            await look.ExecuteNonQueryAsync();
        }

        // Ten items leave two dead rows each: enough to be warned of, and too few to be slowed for.
        await RunAsync("warn", 10);
        Assert.Equal("warned", await StateAsync("warned"));
        await RunAsync("throttle", 30);
        Assert.Equal("throttled", await StateAsync("throttled"));

        // Two at a time, as before; but who can wait waits between claims, and all of it is done.
        await _stage.Platform.Get<WorkMetrics>().ObserveAsync(default);
        await _stage.EnqueueAsync([.. Enumerable.Range(0, 6).Select(i => new NewWork("test.play", $"slow-{i}", new { }) { Priority = 50 })]);
        await _stage.EnqueueAsync([.. Enumerable.Range(0, 6).Select(i => new NewWork("test.play", $"fast-{i}", new { }) { Priority = 49 })]);
        await _stage.Platform.DrainAsync();
        Assert.Equal(12, _stage.Runs.Count(key => key.StartsWith("slow", StringComparison.Ordinal) || key.StartsWith("fast", StringComparison.Ordinal)));
        Assert.True(await LeastPauseAsync() >= Pause * 0.7, "Claims of less urgent work followed each other too soon.");

        await old.RollbackAsync();
        Assert.Equal("ok", await StateAsync("ok"));
        await _stage.Platform.Get<WorkMetrics>().ObserveAsync(default);
        Assert.Null(_stage.Platform.Get<VacuumAlarm>().Throttle);
        Assert.Matches("Warning An old snapshot holds vacuum back .Throttled.: [0-9]+ s, .*\nInformation No old snapshot holds vacuum back any more", _log.Text);
    }

    [Fact]
    public async Task A_process_looks_at_the_horizon_by_itself_when_it_looks_for_work()
    {
        await using var fresh = _stage.Platform.Twin();
        Assert.True(fresh.Get<VacuumAlarm>().IsToLook);
        await fresh.DrainAsync();
        Assert.False(fresh.Get<VacuumAlarm>().IsToLook);
    }

    [Fact]
    public async Task A_pause_that_ends_while_the_engine_is_about_to_wait_for_it_is_not_waited_for_in_vain()
    {
        await using var stage = await WorkStage.StartAsync(services => services
            .AddSingleton<TimeProvider>(new LeapingClock())
            .Configure<WorkOptions>(o => (o.Concurrency, o.Ahead, o.ThrottlePauseSeconds) = (1, 0, 0.05)));
        stage.Platform.Get<VacuumAlarm>().See(new VacuumHorizon(OldestSnapshotSeconds: 86_400, OldestSnapshotTransactions: 0, DeadRows: long.MaxValue));
        await stage.EnqueueAsync([.. Enumerable.Range(0, 100).Select(i => $"slow-{i}")]);

        await stage.Platform.DrainAsync().WaitAsync(TimeSpan.FromSeconds(120));

        Assert.Equal(VacuumState.Throttled, stage.Platform.Get<VacuumAlarm>().State);
        Assert.Equal(100, stage.Runs.Count);
    }

    private async Task RunAsync(string name, int items)
    {
        await _stage.EnqueueAsync([.. Enumerable.Range(0, items).Select(i => new NewWork("test.play", $"{name}-{i}", new { }) { Priority = 10 })]);
        await _stage.Platform.DrainAsync();
    }

    /// <summary>Postgres counts dead rows a moment after they died.</summary>
    private Task<string?> StateAsync(string expected) => Eventually.SeeAsync(
        async () => (await _stage.Api.GetAsync("/api/v1/work/statistics")).Json.GetProperty("vacuum_state").GetString(), state => state == expected, seconds: 40);

    /// <summary>Between the first items of two claims: items of one claim start at almost the same moment.</summary>
    private async Task<TimeSpan> LeastPauseAsync() => TimeSpan.FromSeconds(await _stage.Platform.Postgres.ScalarAsync<double>(
        """
        SELECT extract(epoch FROM min(gap))::double precision
        FROM (SELECT started_at - lag(started_at, 2) OVER (ORDER BY started_at) AS gap, row_number() OVER (ORDER BY started_at) AS n FROM work.items WHERE key LIKE 'slow-%') AS starts
        WHERE n > 2
        """));

    /// <summary>Time goes on between any two looks at it, a little or a lot.</summary>
    private sealed class LeapingClock : TimeProvider
    {
        private readonly Random _leaps = new(1);
        private long _leapt;

        public override long GetTimestamp()
        {
            lock (_leaps)
            {
                _leapt += _leaps.NextInt64(TimestampFrequency / 100);
                return base.GetTimestamp() + _leapt;
            }
        }
    }
}
