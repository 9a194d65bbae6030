using AgentPlatform.Channels;
using AgentPlatform.Conversations;
using AgentPlatform.Conversations.Retention;
using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Contacts.Privacy;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentPlatform.Tests.Conversations;

/// <summary>What is past its time goes, in every tenant; what is not, or has no time, stays.</summary>
public sealed class ConversationRetentionTests
{
    [Fact]
    public async Task Turns_messages_and_sessions_go_when_their_time_has_come_and_take_along_what_hangs_on_them()
    {
        await using var api = await StartAsync(("Conversations:MessageRetentionDays", "60"), ("Conversations:TurnRetentionDays", "40"), ("Conversations:SessionRetentionDays", "50"));
        Assert.True(await CountAsync(api, "SELECT count(*) FROM brain.intent_ledger") > 0);
        Assert.True(await CountAsync(api, "SELECT count(*) FROM actions.action_execution_log") + await CountAsync(api, "SELECT count(*) FROM actions.action_queue") > 0);
        var retention = api.Platform.Get<ConversationRetention>();
        Assert.Equal(0, await retention.PruneAsync(default));

        await AgeAsync(api, days: 45);
        await retention.PruneAsync(default);
        Assert.Equal((0, 0), (await CountAsync(api, "SELECT count(*) FROM conversations.turn_records"), await CountAsync(api, "SELECT count(*) FROM conversations.audit_events")));
        Assert.True(await CountAsync(api, "SELECT count(*) FROM conversations.sessions") > 0);
        Assert.True(await CountAsync(api, "SELECT count(*) FROM conversations.messages") > 0);

        await AgeAsync(api, days: 10);
        await retention.PruneAsync(default);
        foreach (var table in new[] { "conversations.sessions", "brain.intent_ledger", "actions.action_queue", "actions.action_execution_log" })
        {
            Assert.True(await CountAsync(api, $"SELECT count(*) FROM {table}") == 0, table);
        }

        Assert.True(await CountAsync(api, "SELECT count(*) FROM conversations.conversations") > 0);
    }

    [Fact]
    public async Task A_month_of_messages_is_dropped_whole_and_a_younger_one_never()
    {
        await using var api = await StartAsync(("Conversations:MessageRetentionDays", "60"));
        var tenant = api.Tenant.TenantId;
        var old = TimeProvider.System.GetUtcNow().AddDays(-130);
        await api.Platform.Postgres.ScalarAsync<int>("SELECT conversations.create_message_partitions($1::timestamptz::date, 0)", old);
        await WriteAsync(old);
        // Of a month that has no partition.
        await WriteAsync(old.AddDays(-400));
        var before = await CountAsync(api, "SELECT count(*) FROM conversations.messages");

        await api.Platform.Get<ConversationRetention>().PruneAsync(default);

        Assert.Equal(before - 2, await CountAsync(api, "SELECT count(*) FROM conversations.messages"));
        Assert.Equal(0, await CountAsync(api, $"SELECT count(*) FROM pg_class WHERE relname = 'messages_y{old:yyyy}m{old:MM}'"));
        Assert.Equal(0, await DropAsync("now() + interval '1 year'"));

        async Task WriteAsync(DateTimeOffset at) => await api.Platform.Postgres.ScalarAsync<Guid>(
            """
            INSERT INTO conversations.messages (tenant_id, id, conversation_id, role, direction, content, created_at)
            SELECT $1, conversations.first_message_id($2::timestamptz), id, 'user', 'inbound', 'old', $2 FROM conversations.conversations WHERE tenant_id = $1 LIMIT 1 RETURNING id
            """, tenant, at);

        // Whoever asks for more gets no more than months that ended thirty days ago.
        async Task<int> DropAsync(string until)
        {
            await using var tx = api.Platform.Database.BeginWorker();
            return await tx.SingleAsync<int>($"SELECT conversations.drop_message_partitions({until})", [], default);
        }
    }

    [Fact]
    public async Task Nothing_goes_that_is_kept_for_ever()
    {
        await using var api = await StartAsync(("Conversations:TurnRetentionDays", "0"), ("Conversations:SessionRetentionDays", "0"), ("Channels:MessageRetentionDays", "0"), ("Events:ArchiveRetentionDays", "0"));
        await AgeAsync(api, days: 5000);

        Assert.Equal(0, await api.Platform.Get<ConversationRetention>().PruneAsync(default));
        Assert.True(await CountAsync(api, "SELECT count(*) FROM conversations.turn_records") > 0);
        await api.Platform.Get<WebhookLogRetention>().PruneAsync(default);
        Assert.Equal(1, await CountAsync(api, "SELECT count(*) FROM channels.inbound_messages"));
    }

    [Fact]
    public async Task Messages_as_they_came_and_left_and_archived_events_go_after_their_time_and_what_is_under_way_stays()
    {
        await using var api = await StartAsync();
        await AgeAsync(api, days: 400);
        // One was answered, the other still waits.
        await api.Platform.Postgres.ScalarAsync<int>("UPDATE channels.inbound_messages SET processing_status = 'processed', processed_at = received_at RETURNING 1");

        await api.Platform.Get<WebhookLogRetention>().PruneAsync(default);
        await api.Platform.Get<EventArchive>().RunAsync(default);

        Assert.Equal((0, 0, 1), (
            await CountAsync(api, "SELECT count(*) FROM channels.inbound_messages"), await CountAsync(api, "SELECT count(*) FROM channels.inbound_attachments"),
            await CountAsync(api, "SELECT count(*) FROM channels.outbound_messages WHERE delivery_status = 'pending'")));
        Assert.Equal(0, await CountAsync(api, "SELECT count(*) FROM events.archived_events WHERE version = 9000"));
    }

    [Fact]
    public async Task A_time_too_short_for_row_level_security_is_refused_at_start()
    {
        await using var platform = await TestPlatform.StartAsync(null, ("Conversations:TurnRetentionDays", "7"));
        var refused = Assert.Throws<OptionsValidationException>(() => platform.Get<IOptions<ConversationsOptions>>().Value);
        Assert.Contains("TurnRetentionDays must be 0, or 30 to 3650", refused.Message);

        await using var tx = platform.Database.BeginWorker();
        Assert.Equal(0, await tx.ExecuteAsync("DELETE FROM conversations.turn_records", [], default));
    }

    private static async Task<TestApi> StartAsync(params (string Key, string Value)[] settings)
    {
        var api = await TestApi.StartAsync(null, settings);
        await Person.MeetAsync(api);
        return api;
    }

    private static Task<long> CountAsync(TestApi api, string sql) => api.Platform.Postgres.ScalarAsync<long>(sql);

    /// <summary>Everything is as many days older; the triggers that keep it as it is are off meanwhile.</summary>
    private static async Task AgeAsync(TestApi api, int days)
    {
        await using var connection = new NpgsqlConnection(api.Platform.Postgres.AdminConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            $"""
            SET session_replication_role = replica;
            UPDATE conversations.turn_records SET created_at = created_at - interval '{days} days';
            UPDATE conversations.audit_events SET created_at = created_at - interval '{days} days';
            UPDATE conversations.sessions SET created_at = created_at - interval '{days + 8} days', persist_until = persist_until - interval '{days + 8} days', hot_until = hot_until - interval '{days + 8} days';
            UPDATE channels.inbound_messages SET received_at = received_at - interval '{days} days';
            UPDATE channels.outbound_messages SET created_at = created_at - interval '{days} days';
            UPDATE events.archived_events SET archived_at = archived_at - interval '{days} days';
            """, connection);
        await command.ExecuteNonQueryAsync();
    }
}
