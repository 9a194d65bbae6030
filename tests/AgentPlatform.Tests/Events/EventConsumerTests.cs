using System.Collections.Concurrent;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Work;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentPlatform.Tests.Events;

public sealed class EventConsumerTests : IAsyncLifetime
{
    private readonly Guid _aggregate = TimeProvider.System.NewId();
    private readonly Recorder _recorder = new();
    private TestApi _api = null!;

    private TestPlatform Platform => _api.Platform;

    private Actor Tenant => Actor.System(_api.Tenant.TenantId);

    public async Task InitializeAsync() => _api = await TestApi.StartAsync(services =>
    {
        services.AddSingleton(_recorder);
        services.AddEventConsumer<Notes>("notes", "note.taken");
        services.AddEventConsumer<Everything>("everything");
    });

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("yp-event-consumer")]
    public async Task A_consumer_handles_the_events_it_wants_oldest_first_in_batches_and_marks_them_processed()
    {
        await AppendAsync("ignored");
        foreach (var i in Enumerable.Range(1, 45))
        {
            await AppendAsync("note.taken", new { i });
        }

        await DrainAsync();

        Assert.Equal(Enumerable.Range(1, 45), _recorder.Of("notes").Select(e => e.Payload.GetProperty("i").GetInt32()));
        var consumer = (await _api.GetAsync("/api/v1/events/consumers/notes")).Json;
        Assert.Equal((45, 0, "active"), (consumer.GetProperty("handled").GetInt32(), consumer.GetProperty("lag").GetInt32(), consumer.GetProperty("status").GetString()));
        var listed = (await _api.GetAsync("/api/v1/events?event_type=note.taken&limit=100")).Json.GetProperty("items").EnumerateArray().ToList();
        Assert.Equal(45, listed.Count);
        Assert.All(listed, e => Assert.True(e.GetProperty("processed").GetBoolean()));
    }

    [Fact]
    public async Task One_run_does_for_the_items_that_wait_behind_it_and_loses_no_event_that_comes_meanwhile()
    {
        foreach (var i in Enumerable.Range(1, 15))
        {
            await AppendAsync("note.taken", new { i });
        }

        using var claims = new ClaimCounter(Platform, ConsumeEvents.Kind);
        _recorder.Meanwhile = e => e.Payload.GetProperty("i").GetInt32() == 15 ? AppendAsync("note.taken", new { i = 16 }) : Task.CompletedTask;
        await DrainAsync();

        Assert.Equal(Enumerable.Range(1, 16), _recorder.Of("notes").Select(e => e.Payload.GetProperty("i").GetInt32()));
        // Several consumers heard of each. The first run of one does all there is; the last event came after it had looked, unless it had to look again.
        Assert.InRange(claims.Count, 2, 15);
    }

    [Fact]
    [Behaviour("yp-event-consumer")]
    public async Task An_event_stored_before_anybody_consumed_is_reached_however_old_it_is()
    {
        await Platform.Postgres.ScalarAsync<object>(
            """
            INSERT INTO events.events (tenant_id, id, event_type, aggregate_type, aggregate_id, payload, created_at)
            VALUES ($1, gen_random_uuid(), 'note.taken', 'note', $2, '{"i":1}', now() - interval '3 days') RETURNING id
            """,
            Tenant.TenantId, _aggregate);

        await AppendAsync("note.taken", new { i = 2 });
        await DrainAsync();

        Assert.Equal([1, 2], _recorder.Of("notes").Select(e => e.Payload.GetProperty("i").GetInt32()));
    }

    [Fact]
    public async Task An_event_whose_transaction_commits_late_is_not_skipped()
    {
        await using var late = Platform.Database.Begin(Tenant);
        Platform.Get<EventStore>().Append(late, new NewEvent("note.taken", "note", TimeProvider.System.NewId(), new { i = 1 }));
        await late.ExecuteAsync("SELECT 1", [], CancellationToken.None);
        await AppendAsync("note.taken", new { i = 2 });

        await Platform.DrainAsync();
        // Long enough for the second thought, which tells transactions of other databases from this one.
        await Task.Delay(2 * ConsumeEvents.Unsettled, TimeProvider.System);
        await Platform.DrainAsync();
        var before = _recorder.Of("notes").Count;
        await late.CommitAsync(CancellationToken.None);
        await DrainAsync();

        Assert.Equal(0, before);
        Assert.Equal([1, 2], _recorder.Of("notes").Select(e => e.Payload.GetProperty("i").GetInt32()));
    }

    [Fact]
    public async Task A_transaction_of_another_database_holds_nothing_up()
    {
        await using var elsewhere = await TestDatabase.CreateEmptyAsync();
        await using var connection = new NpgsqlConnection(elsewhere.ConnectionString);
        await connection.OpenAsync();
        await using var older = await connection.BeginTransactionAsync();
        await using (var command = new NpgsqlCommand("SELECT pg_current_xact_id()", connection, older))
        {
            await command.ExecuteScalarAsync();
        }

        await AppendAsync("note.taken", new { i = 1 });
        await DrainAsync();

        Assert.Equal([1], _recorder.Of("notes").Select(e => e.Payload.GetProperty("i").GetInt32()));
    }

    [Fact]
    [Behaviour("yp-event-handler-failure")]
    public async Task A_failing_consumer_stays_at_its_event_while_others_go_on_and_goes_on_itself_when_it_can()
    {
        _recorder.FailAt = e => e.Payload.GetProperty("i").GetInt32() == 2;
        foreach (var i in Enumerable.Range(1, 3))
        {
            await AppendAsync("note.taken", new { i });
        }

        await UntilAsync(async () =>
        {
            await Platform.DrainAsync();
            return (await ConsumerAsync("notes")).GetProperty("status").GetString() == "retrying" && _recorder.Of("everything").Count(e => e.EventType == "note.taken") == 3;
        });

        var failing = await ConsumerAsync("notes");
        Assert.Equal((1, 2), (failing.GetProperty("handled").GetInt32(), failing.GetProperty("lag").GetInt32()));
        Assert.Contains("refuses", failing.GetProperty("last_error").GetString(), StringComparison.Ordinal);
        Assert.Equal(1L, await Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM events.aggregates WHERE aggregate_type = 'handled'"));

        _recorder.FailAt = null;
        Assert.Equal(200, (await _api.PostAsync("/api/v1/events/consumers/notes/resume", new { })).Status);
        await DrainAsync();

        Assert.Equal([1, 2, 3], _recorder.Of("notes").Select(e => e.Payload.GetProperty("i").GetInt32()));
        Assert.Equal("active", (await ConsumerAsync("notes")).GetProperty("status").GetString());
    }

    [Fact]
    public async Task After_its_attempts_a_consumer_is_dead_until_a_person_lets_it_skip_the_event()
    {
        _recorder.FailAt = e => e.Payload.GetProperty("i").GetInt32() == 1;
        await AppendAsync("note.taken", new { i = 1 });
        await AppendAsync("note.taken", new { i = 2 });

        await UntilAsync(async () =>
        {
            await Platform.DrainAsync();
            await Platform.Postgres.ScalarAsync<object>("UPDATE events.consumers SET retry_at = now() - interval '1 s' WHERE status = 'retrying' RETURNING 1::text");
            await Platform.Postgres.ScalarAsync<object>("UPDATE work.items SET run_at = now() WHERE state = 'ready' RETURNING 1::text");
            return (await ConsumerAsync("notes")).GetProperty("status").GetString() == "dead";
        });

        var dead = await ConsumerAsync("notes");
        Assert.Equal((8, 0, 2), (dead.GetProperty("attempts").GetInt32(), dead.GetProperty("handled").GetInt32(), dead.GetProperty("lag").GetInt32()));
        Assert.Equal(200, (await _api.PostAsync("/api/v1/events/consumers/notes/resume", new { skip_failed = true })).Status);
        await DrainAsync();

        Assert.Equal([2], _recorder.Of("notes").Select(e => e.Payload.GetProperty("i").GetInt32()));
        Assert.Equal(409, (await _api.PostAsync("/api/v1/events/consumers/notes/resume", new { })).Status);
    }

    [Fact]
    public async Task While_hosts_are_replaced_an_older_one_leaves_the_events_it_does_not_know_to_the_newer()
    {
        await using var newer = Platform.Twin(services => services.AddSingleton(_recorder).AddEventConsumer<Notes>("notes", "note.taken", "note.torn").AddEventConsumer<Everything>("everything"));
        await AppendAsync("note.taken", new { i = 1 });
        await newer.DrainWithEventsAsync();
        await AppendAsync("note.torn", new { i = 2 });
        await AppendAsync("note.taken", new { i = 3 });

        await Platform.DrainAsync();
        await Task.Delay(2 * ConsumeEvents.Unsettled, TimeProvider.System);
        await Platform.DrainAsync();
        Assert.Equal([1], _recorder.Of("notes").Select(e => e.Payload.GetProperty("i").GetInt32()));
        await UntilAsync(async () =>
        {
            await newer.DrainAsync();
            return _recorder.Of("notes").Count == 3;
        });

        Assert.Equal([1, 2, 3], _recorder.Of("notes").Select(e => e.Payload.GetProperty("i").GetInt32()));
    }

    [Fact]
    public async Task A_type_that_no_host_wants_any_more_is_passed_over_after_a_minute()
    {
        await using (var former = Platform.Twin(services => services.AddSingleton(_recorder).AddEventConsumer<Notes>("notes", "note.taken", "note.torn").AddEventConsumer<Everything>("everything")))
        {
            await AppendAsync("note.taken", new { i = 1 });
            await former.DrainWithEventsAsync();
        }

        await Platform.Postgres.ScalarAsync<object>(
            """
            INSERT INTO events.events (tenant_id, id, event_type, aggregate_type, aggregate_id, payload, created_at)
            VALUES ($1, gen_random_uuid(), 'note.torn', 'note', $2, '{"i":2}', now() - interval '61 seconds') RETURNING id
            """,
            Tenant.TenantId, _aggregate);
        await AppendAsync("note.taken", new { i = 3 });
        await DrainAsync();

        Assert.Equal([1, 3], _recorder.Of("notes").Select(e => e.Payload.GetProperty("i").GetInt32()));
    }

    [Theory]
    [InlineData(1, 2)]
    [InlineData(3, 8)]
    [InlineData(30, 900)]
    public void The_wait_doubles_up_to_a_quarter_of_an_hour(int attempts, int seconds) =>
        Assert.Equal(TimeSpan.FromSeconds(seconds), ConsumeEvents.Backoff(attempts));

    private async Task<System.Text.Json.JsonElement> ConsumerAsync(string name) => (await _api.GetAsync($"/api/v1/events/consumers/{name}")).Json;

    private Task AppendAsync(string type, object? payload = null) => Platform.AsAsync(Tenant, tx =>
    {
        Platform.Get<EventStore>().Append(tx, new NewEvent(type, "note", _aggregate, payload ?? new { }));
        return Task.CompletedTask;
    });

    /// <summary>Until nothing is due: a consumer that met an unsettled transaction looks again a moment later.</summary>
    private Task DrainAsync() => UntilAsync(async () =>
    {
        await Platform.DrainAsync();
        return await Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM work.items WHERE kind = 'events.consume' AND state IN ('ready', 'running')") == 0;
    });

    private static async Task UntilAsync(Func<Task<bool>> condition) => Assert.True(await Eventually.SeeAsync(condition, seen => seen));

    public sealed class Recorder
    {
        private readonly ConcurrentQueue<(string Consumer, StoredEvent Event)> _handled = new();

        public Func<StoredEvent, bool>? FailAt { get; set; }

        public Func<StoredEvent, Task>? Meanwhile { get; set; }

        public IReadOnlyList<StoredEvent> Of(string consumer) => [.. _handled.Where(h => h.Consumer == consumer).Select(h => h.Event)];

        internal void Add(string consumer, StoredEvent e) => _handled.Enqueue((consumer, e));
    }

    public sealed class Notes(Recorder recorder, EventStore store) : IEventConsumer
    {
        public async Task HandleAsync(StoredEvent e, Transaction tx, CancellationToken ct)
        {
            // Written before the failure, so it must be gone after it.
            store.Append(tx, new NewEvent("note.handled", "handled", e.Id, new { }));
            if (recorder.FailAt?.Invoke(e) == true)
            {
                throw new InvalidOperationException("The consumer refuses.");
            }

            recorder.Add("notes", e);
            await (recorder.Meanwhile?.Invoke(e) ?? Task.CompletedTask);
        }
    }

    public sealed class Everything(Recorder recorder) : IEventConsumer
    {
        public Task HandleAsync(StoredEvent e, Transaction tx, CancellationToken ct)
        {
            recorder.Add("everything", e);
            return Task.CompletedTask;
        }
    }
}
