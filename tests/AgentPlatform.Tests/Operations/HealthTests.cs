using AgentPlatform.Operations;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Operations;

public sealed class HealthTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("yp-health-check")]
    public async Task The_report_counts_what_the_tenant_has_what_waits_and_since_when()
    {
        var contact = (await _api.PostAsync("/api/v1/contacts", new { phone_number = "+14155550100" })).Json.GetProperty("id").GetGuid();
        await _api.PostAsync("/api/v1/conversations", new { contact_id = contact, channel = "web" });
        var due = new DateTimeOffset(2031, 5, 1, 8, 0, 0, TimeSpan.Zero);
        await _api.PostAsync("/api/v1/tasks", new { task_type = "schedule_followup", agent_type = "concierge", context = new { }, scheduled_for = due.AddDays(1) });
        await _api.PostAsync("/api/v1/tasks", new { task_type = "schedule_followup", agent_type = "concierge", context = new { }, scheduled_for = due });
        await _api.Platform.NewTenantAsync("Somebody else");

        var report = (await _api.GetAsync("/api/v1/operations/health")).Json;

        Assert.Equal("healthy", report.GetProperty("status").GetString());
        var facts = report.GetProperty("facts").EnumerateArray().ToDictionary(f => f.GetProperty("name").GetString()!, f => f);
        Assert.Equal((1, 1, 0), (Count("contacts"), Count("conversations"), Count("messages")));
        Assert.Equal((2, 2, 0), (Count("agent_tasks"), Count("agent_tasks_pending"), Count("messages_queued")));
        Assert.Equal(due, facts["agent_tasks_pending"].GetProperty("oldest").GetDateTimeOffset());
        var stored = await _api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM events.events WHERE tenant_id = $1", _api.Tenant.TenantId);
        Assert.Equal(stored, Count("events"));
        Assert.True(report.GetProperty("triggers").GetInt32() > 20);
        Assert.Empty(report.GetProperty("disabled_triggers").EnumerateArray());

        long Count(string name) => facts[name].GetProperty("count").GetInt64();
    }

    [Fact]
    public async Task Events_a_consumer_has_not_handled_are_counted_until_it_has()
    {
        await _api.Platform.Postgres.ScalarAsync<object?>(
            "INSERT INTO events.consumers (tenant_id, name) VALUES ($1, 'slow')", _api.Tenant.TenantId);
        var waiting = await FactAsync("events_unprocessed");
        Assert.True(waiting > 0);

        await _api.Platform.Postgres.ScalarAsync<object?>("UPDATE events.consumers SET cursor_transaction = '9223372036854775807'");
        Assert.Equal(0, await FactAsync("events_unprocessed"));

        async Task<long> FactAsync(string name) => (await _api.GetAsync("/api/v1/operations/health")).Json.GetProperty("facts").EnumerateArray()
            .Single(f => f.GetProperty("name").GetString() == name).GetProperty("count").GetInt64();
    }

    [Fact]
    public async Task A_trigger_that_is_switched_off_degrades_the_report()
    {
        await _api.Platform.Postgres.ScalarAsync<object?>("ALTER TABLE events.events DISABLE TRIGGER number_event");

        var report = (await _api.GetAsync("/api/v1/operations/health")).Json;

        Assert.Equal("degraded", report.GetProperty("status").GetString());
        Assert.Equal(["number_event on events.events"], report.GetProperty("disabled_triggers").EnumerateArray().Select(t => t.GetString()));
    }

    [Fact]
    [Behaviour("yp-migration-verify")]
    public async Task What_a_migration_made_is_missed_when_it_is_gone_although_the_ledger_says_it_ran()
    {
        var (migrator, schema) = (_api.Platform.Get<Migrator>(), _api.Platform.Get<SchemaInventory>());
        Assert.Empty(await migrator.PendingAsync(CancellationToken.None));
        Assert.Empty(await schema.MissingAsync(CancellationToken.None));

        await _api.Platform.Postgres.ScalarAsync<object?>(
            """
            DROP TRIGGER number_event ON events.events;
            DROP FUNCTION work.oldest_snapshot_seconds;
            DROP TABLE work.pauses;
            ALTER TABLE contacts.customer_profiles DROP COLUMN company CASCADE
            """);

        Assert.Empty(await migrator.PendingAsync(CancellationToken.None));
        var missing = await schema.MissingAsync(CancellationToken.None);
        Assert.Superset(
            new HashSet<string>(["trigger events.events.number_event", "function work.oldest_snapshot_seconds()", "table work.pauses", "column contacts.customer_profiles.company"]),
            missing.ToHashSet(StringComparer.Ordinal));
        Assert.Equal("degraded", (await _api.GetAsync("/api/v1/operations/health")).Json.GetProperty("status").GetString());

        await _api.Platform.Postgres.ScalarAsync<object?>("DELETE FROM kernel.migrations WHERE module = 'work' AND version > 3");
        Assert.StartsWith("work/004", (await migrator.PendingAsync(CancellationToken.None))[0].Name, StringComparison.Ordinal);
    }

    [Fact]
    [Behaviour("yp-pending-counts")]
    public async Task The_backlogs_are_counted_by_functions_each_tenant_its_own()
    {
        await _api.PostAsync("/api/v1/tasks", new { task_type = "schedule_followup", agent_type = "concierge", context = new { }, scheduled_for = "2031-05-01T08:00:00Z" });
        var cancelled = (await _api.PostAsync("/api/v1/tasks", new { task_type = "schedule_followup", agent_type = "concierge", context = new { }, scheduled_for = "2031-05-01T08:00:00Z" })).Json;
        await _api.PostAsync($"/api/v1/tasks/{cancelled.GetProperty("id")}/cancel", new { });
        await QueueAsync("queued", "held", "approved", "sent", "failed");
        var other = await _api.Platform.NewTenantAsync("Somebody else");

        Assert.Equal((1, 3), await BacklogAsync(_api.Owner));
        Assert.Equal((0, 0), await BacklogAsync(other));
    }

    [Fact]
    [Behaviour("yp-cron-status-view")]
    public async Task Jobs_are_listed_with_their_last_run_and_its_outcome()
    {
        var jobs = _api.Platform.Get<Jobs>();
        await jobs.RunAsync("Nightly", () => Task.CompletedTask);
        await jobs.RunAsync("Hourly", () => Task.CompletedTask);
        await Assert.ThrowsAsync<InvalidOperationException>(() => jobs.RunAsync("Hourly", () => throw new InvalidOperationException("what a tenant wrote")));

        var listed = (await _api.GetAsync("/api/v1/operations/jobs")).Json.GetProperty("items").EnumerateArray().ToList();

        Assert.Equal(
            [("Hourly", "failed", "InvalidOperationException", 2L, 1L), ("Nightly", "succeeded", null, 1L, 0L)],
            listed.Select(j => (
                j.GetProperty("job_name").GetString(), j.GetProperty("last_outcome").GetString(), j.GetProperty("last_error").GetString(),
                j.GetProperty("runs").GetInt64(), j.GetProperty("failures").GetInt64())));
        Assert.All(listed, j => Assert.InRange(TimeProvider.System.GetUtcNow() - j.GetProperty("last_run_at").GetDateTimeOffset(), TimeSpan.Zero, TimeSpan.FromMinutes(10)));
        Assert.Equal("degraded", (await _api.GetAsync("/api/v1/operations/health")).Json.GetProperty("status").GetString());
    }

    private Task<(long Tasks, long Messages)> BacklogAsync(Actor actor) => _api.Platform.AsAsync(actor, async tx =>
        (await tx.SingleAsync<long>("SELECT schedules.get_pending_tasks_count()", [], default), await tx.SingleAsync<long>("SELECT messaging.get_queued_messages_count()", [], default)));

    /// <summary>One outgoing message in each of the statuses.</summary>
    private async Task QueueAsync(params string[] statuses)
    {
        var contact = (await _api.PostAsync("/api/v1/contacts", new { phone_number = "+14155550111" })).Json.GetProperty("id").GetGuid();
        var path = (await _api.PostAsync("/api/v1/conversations", new { contact_id = contact, channel = "web" })).Header("Location")!;
        await _api.Platform.Postgres.ScalarAsync<object?>(
            """
            INSERT INTO messaging.message_queue (tenant_id, id, contact_id, agent_id, conversation_context_id, message_data, status, hold_reason, failure, sent_at)
            SELECT $1, gen_random_uuid(), $2, 'concierge', $3, '{}', s, CASE WHEN s = 'held' THEN 'quiet_hours' END, CASE WHEN s = 'failed' THEN 'no' END,
                   CASE WHEN s = 'sent' THEN now() END
            FROM unnest($4::text[]) AS s
            """,
            _api.Tenant.TenantId, contact, Guid.Parse(path[(path.LastIndexOf('/') + 1)..]), statuses);
    }
}
