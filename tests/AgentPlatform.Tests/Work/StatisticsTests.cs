using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using AgentPlatform.Work;
using Npgsql;

namespace AgentPlatform.Tests.Work;

public sealed class StatisticsTests : IAsyncLifetime
{
    private readonly ConcurrentDictionary<string, double> _measured = new(StringComparer.Ordinal);
    private WorkStage _stage = null!;

    public async Task InitializeAsync() => _stage = await WorkStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task The_statistics_of_a_tenant_say_how_each_of_its_queues_stands()
    {
        await PlayAsync();
        var kinds = (await _stage.Api.GetAsync("/api/v1/work/statistics")).Json.GetProperty("kinds").EnumerateArray().ToList();
        var play = kinds.Single(k => k.GetProperty("kind").GetString() == "test.play");
        Assert.Equal("2 1 1 0 1", string.Join(' ', new[] { "waiting", "due", "retrying", "running", "dead" }.Select(n => play.GetProperty(n).GetInt64())));
        Assert.InRange(play.GetProperty("oldest_due_seconds").GetDouble(), 3600, 3700);
        await _stage.Platform.ProvisionAsync("Other");
        Assert.Equal(kinds.Count, (await _stage.Api.GetAsync("/api/v1/work/statistics")).Json.GetProperty("kinds").GetArrayLength());
    }

    [Fact]
    public async Task A_snapshot_that_holds_vacuum_back_is_seen_with_its_age()
    {
        await using var connection = new NpgsqlConnection(_stage.Platform.Postgres.ConnectionString);
        await connection.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead);
        await using var command = new NpgsqlCommand("SELECT pg_sleep(0.2)", connection, transaction);
        await command.ExecuteNonQueryAsync();
        Assert.InRange((await _stage.Api.GetAsync("/api/v1/work/statistics")).Json.GetProperty("oldest_snapshot_seconds").GetDouble(), 0.2, 600);
    }

    [Fact]
    public async Task The_meter_counts_what_this_process_did_and_shows_what_it_saw_last()
    {
        using var listener = Listen(_stage.Platform.Get<WorkMetrics>().Meter);
        await PlayAsync();
        Assert.Equal((1, 1, 1, 4), (Measured("work.completed"), Measured("work.retried"), Measured("work.dead"), Measured("work.claimed")));
        await _stage.Platform.Postgres.LoseWorkersAsync("key = 'retried'");
        await _stage.Platform.DrainAsync();
        Assert.Equal((1, 2), (Measured("work.interrupted"), Measured("work.retried")));

        await _stage.EnqueueAsync(new NewWork("test.play", "waits", new { }));
        await _stage.ChangeAsync("UPDATE work.items SET run_at = now() - interval '1 hour' WHERE key = 'waits'");
        await _stage.Platform.Get<WorkMetrics>().ObserveAsync(default);
        listener.RecordObservableInstruments();
        Assert.Equal(1, Measured("work.depth"));
        Assert.InRange(Measured("work.oldest_age"), 3600, 3700);
        Assert.True(_measured.ContainsKey("work.oldest_snapshot_age"));
    }

    /// <summary>One done, one snoozed and overdue, one to be retried, one dead.</summary>
    private async Task PlayAsync()
    {
        _stage.Ends = item => item.Key switch
        {
            "dead" => new WorkOutcome.Dead("no"),
            "retried" => new WorkOutcome.Retry("not yet", TimeSpan.FromHours(1)),
            "snoozed" => new WorkOutcome.Snooze(TimeSpan.FromHours(1)),
            _ => new WorkOutcome.Done(),
        };
        await _stage.EnqueueAsync("done", "snoozed", "retried", "dead");
        await _stage.Platform.DrainAsync();
        await _stage.ChangeAsync("UPDATE work.items SET run_at = now() - interval '1 hour' WHERE key = 'snoozed'");
    }

    private MeterListener Listen(Meter meter)
    {
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, l) =>
            {
                if (ReferenceEquals(instrument.Meter, meter))
                {
                    l.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Measure(instrument, value, tags));
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Measure(instrument, value, tags));
        listener.Start();
        return listener;
    }

    private double Measured(string name) => _measured.GetValueOrDefault(name);

    private void Measure(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.Length == 0 || tags[0] is { Key: "kind", Value: "test.play" })
        {
            _measured.AddOrUpdate(instrument.Name, value, (_, sum) => sum + value);
        }
    }
}
