using AgentPlatform.Conversations;
using AgentPlatform.Conversations.Retention;
using AgentPlatform.Kernel;

namespace AgentPlatform.Tests.Conversations;

public sealed class MessagePartitionTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.BeginAsync();

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("yp-partition-messages")]
    public async Task A_message_lies_in_the_partition_of_the_month_its_id_was_made_in()
    {
        var id = await _talk.HearAsync("hello");

        Assert.Equal($"messages_y{_talk.Clock.GetUtcNow():yyyy}m{_talk.Clock.GetUtcNow():MM}", await PartitionAsync(id));
    }

    [Fact]
    [Behaviour("yp-partition-messages")]
    public async Task The_first_and_the_last_millisecond_of_a_month_fall_on_its_two_sides()
    {
        var bound = new DateTimeOffset(2031, 5, 1, 0, 0, 0, TimeSpan.Zero);
        Assert.Equal(2, await _talk.Platform.Postgres.ScalarAsync<int>("SELECT conversations.create_message_partitions('2031-04-15', 1)"));

        var before = await AppendAtAsync(bound.AddMilliseconds(-1));
        var after = await AppendAtAsync(bound);

        Assert.Equal(("messages_y2031m04", "messages_y2031m05"), (await PartitionAsync(before), await PartitionAsync(after)));
    }

    [Fact]
    public async Task Maintenance_makes_the_months_ahead_and_only_once()
    {
        _talk.Clock.Advance(TimeSpan.FromDays(365));

        Assert.Equal(4, await _talk.Platform.Get<MessagePartitions>().EnsureAsync(default));
        Assert.Equal(0, await _talk.Platform.Get<MessagePartitions>().EnsureAsync(default));
        Assert.Equal($"messages_y{_talk.Clock.GetUtcNow():yyyy}m{_talk.Clock.GetUtcNow():MM}", await PartitionAsync(await _talk.HearAsync("a year on")));
    }

    [Fact]
    public async Task A_message_of_an_unforeseen_time_is_stored_all_the_same_and_keeps_its_month_in_the_default()
    {
        var id = await AppendAtAsync(new DateTimeOffset(2044, 2, 10, 0, 0, 0, TimeSpan.Zero));
        Assert.Equal("messages_default", await PartitionAsync(id));

        Assert.Equal(1, await _talk.Platform.Postgres.ScalarAsync<int>("SELECT conversations.create_message_partitions('2044-02-01', 1)"));
        Assert.Equal("messages_default", await PartitionAsync(id));
    }

    [Fact]
    [Behaviour("yp-partition-messages", "yp-index-gaps")]
    public async Task History_is_read_by_the_index_of_each_partition()
    {
        await _talk.HearAsync("hello");
        var plan = await _talk.DoAsync(async tx =>
        {
            // A table of three rows is cheapest to scan: what matters is that the index serves the query.
            await tx.ExecuteAsync("SET LOCAL enable_seqscan = off", [], default);
            await tx.ExecuteAsync("SET LOCAL enable_sort = off", [], default);
            return string.Join('\n', await tx.QueryAsync<string>(
                "EXPLAIN SELECT id FROM conversations.messages WHERE conversation_id = $1 AND id > $2 ORDER BY created_at DESC, id DESC LIMIT 20",
                [_talk.Conversation.Id, Guid.Empty], default));
        });

        Assert.Contains("tenant_id_conversation_id_created_at_id_idx", plan, StringComparison.Ordinal);
        Assert.DoesNotContain("->  Sort", plan, StringComparison.Ordinal);
        Assert.DoesNotContain("Seq Scan on messages_y", plan, StringComparison.Ordinal);
    }

    [Fact]
    [Behaviour("yp-index-gaps")]
    public async Task The_indexes_the_seed_missed_exist()
    {
        foreach (var index in new[] { "conversations.idx_messages_status", "contacts.idx_users_email", "conversations.idx_messages_attachments", "contacts.idx_users_expertise" })
        {
            Assert.True(await _talk.ScalarAsync<bool>("SELECT to_regclass($1) IS NOT NULL", index), index);
        }
    }

    private Task<Guid> AppendAtAsync(DateTimeOffset at) =>
        _talk.AppendAsync(new NewMessage(new StillClock(at.AddMilliseconds(-1)).NewId(), _talk.Conversation.Id, _talk.Contact.Id, "user", "inbound", "x") { CreatedAt = at });

    private Task<string> PartitionAsync(Guid id) =>
        _talk.Platform.Postgres.ScalarAsync<string>("SELECT c.relname::text FROM conversations.messages m JOIN pg_class c ON c.oid = m.tableoid WHERE m.id = $1", id);
}
