using System.Text.Json;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Tests.Events;

public sealed class EventStoreTests : IAsyncLifetime
{
    private readonly Guid _aggregate = TimeProvider.System.NewId();
    private TestPlatform _platform = null!;
    private Actor _tenant = null!;

    private EventStore Store => _platform.Get<EventStore>();

    public async Task InitializeAsync()
    {
        _platform = await TestPlatform.StartAsync();
        _tenant = await _platform.NewTenantAsync();
    }

    public async Task DisposeAsync() => await _platform.DisposeAsync();

    [Fact]
    [Behaviour("mk-event-append")]
    public async Task An_event_is_stored_with_its_aggregate_type_data_version_and_user()
    {
        var tenant = await _platform.ProvisionAsync();
        var actor = new Actor(tenant.TenantId, tenant.OwnerId, "owner");
        var id = TimeProvider.System.NewId();

        await AppendAsync(actor, Event("order.placed", new { amount = 5 }) with { EventId = id, Metadata = new { cause = "test" }, CreatedBy = "shop" });

        var stored = Assert.Single(await ReplayAsync(actor));
        Assert.Equal((id, "order.placed", "order", _aggregate, 1), (stored.Id, stored.EventType, stored.AggregateType, stored.AggregateId, stored.Version));
        Assert.Equal((5, "test"), (stored.Payload.GetProperty("amount").GetInt32(), stored.Metadata!.Value.GetProperty("cause").GetString()));
        Assert.Equal((tenant.OwnerId, "shop"), (stored.UserId, stored.CreatedBy));
    }

    [Fact]
    [Behaviour("mk-event-version-gapless")]
    public async Task Versions_run_without_a_gap_also_under_concurrent_writers_and_rollbacks()
    {
        await Task.WhenAll(Enumerable.Range(0, 40).Select(async i =>
        {
            await using var tx = _platform.Database.Begin(_tenant);
            Store.Append(tx, Event($"n.{i}"));
            if (i % 4 == 0)
            {
                await Store.ReplayAsync(tx, "order", _aggregate, CancellationToken.None);
                return; // sent and rolled back: its version is given to the next writer
            }

            await tx.CommitAsync(CancellationToken.None);
        }));

        Assert.Equal(Enumerable.Range(1, 30), (await ReplayAsync(_tenant)).Select(e => e.Version));
        Assert.Equal(30, await _platform.Postgres.ScalarAsync<int>("SELECT version FROM events.aggregates WHERE aggregate_id = $1", _aggregate));
    }

    [Fact]
    public async Task Events_of_one_transaction_keep_their_order_whatever_their_aggregate_and_whether_they_name_an_id()
    {
        var other = TimeProvider.System.NewId();
        await using (var tx = _platform.Database.Begin(_tenant))
        {
            Store.Append(tx, Event("a.1"));
            Store.Append(tx, Event("b.1") with { AggregateId = other });
            Store.Append(tx, Event("a.2"));
            Store.Append(tx, Event("a.3") with { EventId = TimeProvider.System.NewId() });
            Store.Append(tx, Event("b.2") with { AggregateId = other, Metadata = new { cause = "test" } });
            Store.Append(tx, Event("a.4"));
            await tx.CommitAsync(CancellationToken.None);
        }

        await AppendAsync(_tenant, Event("a.5"));

        Assert.Equal([("a.1", 1), ("a.2", 2), ("a.3", 3), ("a.4", 4), ("a.5", 5)], (await ReplayAsync(_tenant)).Select(e => (e.EventType, e.Version)));
        var stored = await _platform.AsAsync(_tenant, tx => Store.ReplayAsync(tx, "order", other, CancellationToken.None));
        Assert.Equal([("b.1", 1, false), ("b.2", 2, true)], stored.Select(e => (e.EventType, e.Version, e.Metadata is not null)));
        var order = await _platform.Postgres.ScalarAsync<string>(
            "SELECT string_agg(event_type, ' ' ORDER BY transaction_id, position) FROM events.events WHERE aggregate_id IN ($1, $2)", _aggregate, other);
        Assert.Equal("a.1 b.1 a.2 a.3 b.2 a.4 a.5", order);
    }

    [Fact]
    [Behaviour("mk-event-idempotent")]
    public async Task The_same_event_id_is_stored_once_and_leaves_no_gap()
    {
        var id = TimeProvider.System.NewId();

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => AppendAsync(_tenant, Event("once") with { EventId = id })));
        await AppendAsync(_tenant, Event("next"));

        Assert.Equal([("once", 1), ("next", 2)], (await ReplayAsync(_tenant)).Select(e => (e.EventType, e.Version)));
    }

    [Fact]
    [Behaviour("mk-event-idempotent")]
    public async Task Who_names_an_event_that_another_is_just_storing_waits_and_finds_it_stored()
    {
        var once = Event("once") with { EventId = TimeProvider.System.NewId() };
        await using var first = _platform.Database.Begin(_tenant);
        Store.Append(first, once);
        await Store.ReplayAsync(first, "order", _aggregate, CancellationToken.None);

        var second = AppendAsync(_tenant, once);
        Assert.True(await _platform.Postgres.SomebodyWaitsAsync());
        await first.CommitAsync(CancellationToken.None);
        await second;

        Assert.Equal([("once", 1)], (await ReplayAsync(_tenant)).Select(e => (e.EventType, e.Version)));
    }

    [Fact]
    [Behaviour("mk-event-optimistic-lock")]
    public async Task Of_writers_that_expect_the_same_version_one_wins_and_the_others_conflict()
    {
        await AppendAsync(_tenant, Event("first"));

        var results = await Task.WhenAll(Enumerable.Range(0, 6).Select(i => _platform.AsAsync(
            _tenant, tx => Store.AppendExpectingAsync(tx, Event($"second.{i}"), 1, CancellationToken.None))));

        Assert.Equal(2, Assert.Single(results, r => r.IsOk).Value);
        Assert.All(results.Where(r => !r.IsOk), r => Assert.Equal("version_conflict", r.Problem!.Code));
        var retried = await _platform.AsAsync(_tenant, tx => Store.AppendExpectingAsync(tx, Event("third"), 2, CancellationToken.None));
        Assert.Equal(3, retried.Value);
    }

    [Fact]
    [Behaviour("mk-event-optimistic-lock")]
    public async Task A_version_that_is_taken_or_leaves_a_gap_is_refused_by_the_database()
    {
        await AppendAsync(_tenant, Event("first"));

        foreach (var version in new[] { 1, 3 })
        {
            var error = await Assert.ThrowsAsync<PostgresException>(() => _platform.AsAsync(_tenant, tx => tx.ExecuteAsync(
                "INSERT INTO events.events (tenant_id, id, event_type, aggregate_type, aggregate_id, version, payload) VALUES ($1, gen_random_uuid(), 'x', 'order', $2, $3, '{}')",
                [_tenant.TenantId, _aggregate, version], CancellationToken.None)));
            Assert.Equal(PostgresErrorCodes.UniqueViolation, error.SqlState);
        }
    }

    [Fact]
    [Behaviour("mk-event-replay")]
    public async Task Replaying_an_aggregate_rebuilds_its_state()
    {
        foreach (var amount in new[] { 5, 7, -2 })
        {
            await AppendAsync(_tenant, Event("changed", new { amount }));
        }

        var balance = await _platform.AsAsync(_tenant, tx => Store.ReplayAsync(
            tx, "order", _aggregate, 0, (sum, e) => sum + e.Payload.GetProperty("amount").GetInt32(), CancellationToken.None));

        Assert.Equal(10, balance);
    }

    [Theory]
    [InlineData("UPDATE events.events SET payload = '{}'")]
    [InlineData("DELETE FROM events.events")]
    [Behaviour("mk-event-immutable")]
    public async Task A_stored_event_can_be_neither_changed_nor_deleted_not_even_by_the_superuser(string sql)
    {
        await AppendAsync(_tenant, Event("kept", new { amount = 1 }));

        var error = await Assert.ThrowsAsync<PostgresException>(() => _platform.Postgres.ScalarAsync<object>(sql));
        var refused = await Assert.ThrowsAsync<PostgresException>(() => _platform.AsAsync(_tenant, tx => tx.ExecuteAsync(sql, [], CancellationToken.None)));

        Assert.Equal((PostgresErrorCodes.RestrictViolation, PostgresErrorCodes.InsufficientPrivilege), (error.SqlState, refused.SqlState));
        Assert.Equal(1, (await ReplayAsync(_tenant))[0].Payload.GetProperty("amount").GetInt32());
    }

    [Fact]
    [Behaviour("yp-event-notify")]
    public async Task An_event_inserted_by_hand_is_announced_too_when_its_transaction_commits()
    {
        await using var connection = new NpgsqlConnection(_platform.Postgres.ConnectionString);
        await connection.OpenAsync();
        JsonElement heard = default;
        connection.Notification += (_, e) => heard = JsonSerializer.Deserialize<JsonElement>(e.Payload);
        await using (var listen = new NpgsqlCommand("LISTEN agent_events", connection))
        {
            await listen.ExecuteNonQueryAsync();
        }

        var id = await _platform.Postgres.ScalarAsync<Guid>(
            """
            INSERT INTO events.events (tenant_id, id, event_type, aggregate_type, aggregate_id, payload)
            VALUES ($1, gen_random_uuid(), 'by.hand', 'order', $2, '{"a":1}') RETURNING id
            """,
            _tenant.TenantId, _aggregate);

        // Events of the tenant's first moments may be announced as late.
        do
        {
            Assert.True(await connection.WaitAsync(TimeSpan.FromSeconds(60), CancellationToken.None));
        }
        while (heard.GetProperty("id").GetGuid() != id);

        Assert.Equal((id, "by.hand", 1), (heard.GetProperty("id").GetGuid(), heard.GetProperty("event_type").GetString(), heard.GetProperty("payload").GetProperty("a").GetInt32()));
    }

    [Fact]
    [Behaviour("yp-event-notify")]
    public async Task An_event_is_announced_on_agent_events_once_its_transaction_has_committed()
    {
        await using var connection = new NpgsqlConnection(_platform.Postgres.ConnectionString);
        await connection.OpenAsync();
        var heard = new List<JsonElement>();
        // The tenant's own beginning may be announced only now, too.
        connection.Notification += (_, e) => heard.AddRange(
            new[] { JsonSerializer.Deserialize<JsonElement>(e.Payload) }.Where(told => told.GetProperty("aggregate_id").GetGuid() == _aggregate));
        await using (var listen = new NpgsqlCommand("LISTEN agent_events", connection))
        {
            await listen.ExecuteNonQueryAsync();
        }

        var id = TimeProvider.System.NewId();
        await AppendAsync(_tenant, Event("small", new { text = "hello" }) with { EventId = id });
        await AppendAsync(_tenant, Event("large", new { text = new string('x', 20_000) }));
        while (heard.Count < 2 && await connection.WaitAsync(TimeSpan.FromSeconds(60), CancellationToken.None))
        {
        }

        Assert.Equal(id, heard[0].GetProperty("id").GetGuid());
        Assert.Equal(("small", _aggregate), (heard[0].GetProperty("event_type").GetString(), heard[0].GetProperty("aggregate_id").GetGuid()));
        Assert.Equal("hello", heard[0].GetProperty("payload").GetProperty("text").GetString());
        Assert.Equal(("large", JsonValueKind.Null), (heard[1].GetProperty("event_type").GetString(), heard[1].GetProperty("payload").ValueKind));
    }

    [Fact]
    [Behaviour("ps-tenant-scoping")]
    public async Task Another_tenants_aggregate_of_the_same_id_is_another_aggregate()
    {
        var other = await _platform.NewTenantAsync("Other");
        await AppendAsync(_tenant, Event("mine"));
        await AppendAsync(other, Event("theirs"));

        Assert.Equal([("mine", 1)], (await ReplayAsync(_tenant)).Select(e => (e.EventType, e.Version)));
        Assert.Equal([("theirs", 1)], (await ReplayAsync(other)).Select(e => (e.EventType, e.Version)));
    }

    [Fact]
    [Behaviour("yp-event-retention")]
    public async Task Events_older_than_ninety_days_that_everybody_has_handled_move_to_the_archive_and_still_replay()
    {
        foreach (var type in new[] { "old.handled", "old.waiting", "young" })
        {
            await AppendAsync(_tenant, Event(type));
        }

        await AgeAsync("old.%", 91);
        await _platform.Postgres.ScalarAsync<object>(
            "INSERT INTO events.consumers (tenant_id, name, event_types) VALUES ($1, 'slow', '{old.waiting}') RETURNING 1::bigint::text", _tenant.TenantId);

        Assert.Equal(1, await _platform.Get<EventArchive>().RunAsync(CancellationToken.None));

        Assert.Equal("old.handled", await _platform.Postgres.ScalarAsync<string>("SELECT event_type FROM events.archived_events"));
        Assert.Equal(2L, await _platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM events.events WHERE aggregate_id = $1", _aggregate));
        await AppendAsync(_tenant, Event("after"));
        Assert.Equal([("old.handled", 1), ("old.waiting", 2), ("young", 3), ("after", 4)], (await ReplayAsync(_tenant)).Select(e => (e.EventType, e.Version)));
    }

    [Fact]
    [Behaviour("mk-user-delete-cascade")]
    public async Task Events_outlive_the_user_who_caused_them()
    {
        var tenant = await _platform.ProvisionAsync();
        var colleague = await _platform.AsAsync(Actor.System(tenant.TenantId), tx =>
            _platform.Get<AgentPlatform.Identity.UserDirectory>().EnsureAsync(tx, "gone@example.test", "Gone", CancellationToken.None));
        var actor = new Actor(tenant.TenantId, colleague, "member");
        await AppendAsync(actor, Event("done"));

        await _platform.Postgres.ScalarAsync<object>("DELETE FROM identity.users WHERE id = $1 RETURNING id", colleague);

        Assert.Null(Assert.Single(await ReplayAsync(Actor.System(tenant.TenantId))).UserId);
    }

    /// <summary>Backdates events, which only a superuser who switches the triggers off can.</summary>
    private Task AgeAsync(string like, int days) => _platform.Postgres.ScalarAsync<object>(
        """
        WITH off AS MATERIALIZED (SELECT set_config('session_replication_role', 'replica', false))
        UPDATE events.events SET created_at = now() - make_interval(days => $2) FROM off WHERE event_type LIKE $1 RETURNING 1::text
        """,
        like, days);

    private NewEvent Event(string type, object? payload = null) => new(type, "order", _aggregate, payload ?? new { });

    private Task AppendAsync(Actor actor, NewEvent e) => _platform.AsAsync(actor, tx =>
    {
        Store.Append(tx, e);
        return Task.CompletedTask;
    });

    private Task<IReadOnlyList<StoredEvent>> ReplayAsync(Actor actor) =>
        _platform.AsAsync(actor, tx => Store.ReplayAsync(tx, "order", _aggregate, CancellationToken.None));
}
