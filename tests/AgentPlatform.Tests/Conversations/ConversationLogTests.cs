using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using Npgsql;

namespace AgentPlatform.Tests.Conversations;

public sealed class ConversationLogTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.BeginAsync();

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("yp-sms-find-or-create-conversation", "bb-conversation-find-or-create")]
    public async Task A_message_joins_the_living_conversation_and_starts_a_new_one_after_it_is_over()
    {
        Assert.Equal("active", _talk.Conversation.Status);
        Assert.NotEqual(Guid.Empty, _talk.Conversation.ConversationUuid);
        Assert.Equal(_talk.Conversation.Id, (await _talk.OpenAsync()).Id);

        await _talk.ScalarAsync<Guid>("UPDATE conversations.conversations SET status = 'completed' WHERE id = $1 RETURNING id", _talk.Conversation.Id);
        var next = await _talk.OpenAsync();

        Assert.NotEqual(_talk.Conversation.Id, next.Id);
        Assert.Equal("active", next.Status);
        Assert.Equal(Talk.Number, next.PhoneNumber);
        Assert.Equal(next.Id, (await _talk.OpenAsync()).Id);
    }

    [Fact]
    public async Task A_living_conversation_is_joined_without_a_new_version_of_its_row()
    {
        const string Version = "SELECT xmin::text FROM conversations.conversations WHERE id = $1";
        var before = await _talk.ScalarAsync<string>(Version, _talk.Conversation.Id);
        await _talk.OpenAsync();

        Assert.Equal(before, await _talk.ScalarAsync<string>(Version, _talk.Conversation.Id));
    }

    [Fact]
    [Behaviour("bb-conversation-find-or-create")]
    public async Task Two_first_messages_at_once_meet_in_one_conversation()
    {
        await _talk.ScalarAsync<Guid>("UPDATE conversations.conversations SET status = 'archived' WHERE id = $1 RETURNING id", _talk.Conversation.Id);

        var opened = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => _talk.OpenAsync()));

        Assert.Single(opened.Select(c => c.Id).Distinct());
    }

    [Fact]
    [Behaviour("yp-sms-record-inbound")]
    public async Task An_inbound_message_is_stored_as_the_users_without_a_status()
    {
        var id = await _talk.HearAsync("Find me a job'; DROP TABLE messages; --");

        var message = Assert.Single((await _talk.LoadAsync()).Messages);
        Assert.Equal((id, "user", "inbound", null), (message.Id, message.Role, message.Direction, message.Status));
        Assert.Equal("Find me a job'; DROP TABLE messages; --", message.Content);
        await Assert.ThrowsAsync<PostgresException>(() => _talk.AppendAsync(_talk.Message("user", "inbound", "x") with { Status = "sent" }));
    }

    [Fact]
    [Behaviour("yp-history-window")]
    public async Task The_agent_receives_the_last_twenty_messages_newest_first()
    {
        for (var i = 1; i <= 23; i++)
        {
            await _talk.HearAsync($"message {i}");
        }

        var window = (await _talk.LoadAsync()).Messages;

        Assert.Equal(Enumerable.Range(4, 20).Reverse().Select(i => $"message {i}"), window.Select(m => m.Content));
        Assert.Equal(window.OrderByDescending(m => m.CreatedAt).Select(m => m.Id), window.Select(m => m.Id));
    }

    [Fact]
    [Behaviour("yp-conversation-last-message", "bb-conversation-counters")]
    public async Task Every_message_moves_the_counters_and_the_time_of_the_last_one()
    {
        await _talk.HearAsync("one");
        var second = _talk.Message("bouncer", "outbound", "two") with { Status = "pending" };
        await _talk.AppendAsync(second);

        var conversation = await _talk.ReadAsync();
        Assert.Equal((2, 2), (conversation.MessageCount, conversation.MessagesSinceSummary));
        Assert.Equal(Micro(second.CreatedAt!.Value), conversation.LastMessageAt);
    }

    [Fact]
    [Behaviour("yp-message-values")]
    public async Task Roles_directions_and_statuses_outside_their_lists_are_refused()
    {
        foreach (var role in new[] { "user", "concierge", "bouncer", "innovator", "system" })
        {
            await _talk.AppendAsync(_talk.Message(role, role == "user" ? "inbound" : "outbound", "x"));
        }

        foreach (var status in new[] { "queued", "sent", "delivered", "failed", "pending", "queued_for_send" })
        {
            await _talk.SayAsync("x", status: status);
        }

        await RefusedAsync(_talk.Message("robot", "outbound", "x"), "message_role");
        await RefusedAsync(_talk.Message("user", "sideways", "x"), "message_direction");
        await RefusedAsync(_talk.Message("bouncer", "outbound", "x") with { Status = "lost" }, "message_status");
    }

    [Fact]
    [Behaviour("yp-system-role")]
    public async Task A_system_message_is_kept_apart_from_what_agents_said()
    {
        await _talk.HearAsync("I live in Berlin and I work at Siemens.");
        await _talk.AppendAsync(_talk.Message("system", "outbound", "Zebra quota exceeded for Zebra tenant."));

        Assert.Equal("system", (await _talk.LoadAsync()).Messages[0].Role);
        await SummarizeAsync();
        Assert.DoesNotContain("Zebra", (await _talk.ReadAsync()).ConversationSummary, StringComparison.Ordinal);
    }

    [Fact]
    [Behaviour("yp-priorities-top5")]
    public async Task The_context_holds_the_contact_and_its_five_best_active_priorities_by_rank()
    {
        foreach (var rank in new[] { 7, 3, 1, 6, 2, 5, 4 })
        {
            await _talk.DoAsync(tx => _talk.Platform.Get<Priorities>().WriteAsync(
                tx, _talk.Contact.Id, new PriorityWrite(rank, "intro_opportunity", _talk.Clock.NewId(), $"rank {rank}"), default));
        }

        var context = await _talk.LoadAsync();

        Assert.Equal([1, 2, 3, 4, 5], context.Priorities.Select(p => p.PriorityRank));
        Assert.Equal(_talk.Contact.Id, context.Contact!.Id);
    }

    [Fact]
    [Behaviour("bb-conversation-status", "yp-conversation-status")]
    public async Task A_conversation_knows_its_six_states_and_no_other()
    {
        foreach (var status in new[] { "active", "paused", "completed", "closed", "archived" })
        {
            Assert.Equal(status, await _talk.ScalarAsync<string>("UPDATE conversations.conversations SET status = $2 WHERE id = $1 RETURNING status", _talk.Conversation.Id, status));
        }

        await Assert.ThrowsAsync<PostgresException>(() =>
            _talk.ScalarAsync<string>("UPDATE conversations.conversations SET status = 'resolved' WHERE id = $1 RETURNING status", _talk.Conversation.Id));
        await Assert.ThrowsAsync<PostgresException>(() =>
            _talk.ScalarAsync<string>("UPDATE conversations.conversations SET status = 'asleep' WHERE id = $1 RETURNING status", _talk.Conversation.Id));
    }

    [Fact]
    [Behaviour("brain-messages-turns")]
    public async Task A_message_carries_the_session_and_the_number_of_the_turn_that_read_it()
    {
        var message = await _talk.HearAsync("hello");
        var session = await _talk.SessionAsync();
        await _talk.DoAsync(tx =>
        {
            _talk.Log.SetTurn(tx, session.SessionId, session.NextTurnNumber, message);
            _talk.Platform.Get<TurnLog>().Append(tx, new TurnRecord(_talk.Clock.NewId(), session.SessionId, _talk.Conversation.Id, session.NextTurnNumber, "hello"));
        });

        var stored = (await _talk.LoadAsync()).Messages[0];
        var turn = Assert.Single((await _talk.DoAsync(tx => _talk.Platform.Get<TurnLog>().ListAsync(tx, _talk.Conversation.Id, new PageRequest(10, null), default))).Items);
        Assert.Equal((turn.SessionId, (int?)turn.TurnNumber), (stored.SessionId!.Value, stored.TurnNumber));
    }

    [Fact]
    [Behaviour("yp-user-last-active")]
    public async Task An_inbound_message_shows_when_the_contact_is_active()
    {
        await _talk.AppendAsync(_talk.Message("user", "inbound", "hi") with { CreatedAt = new DateTimeOffset(2026, 3, 4, 9, 30, 0, TimeSpan.Zero) });
        await _talk.AppendAsync(_talk.Message("user", "inbound", "ho") with { CreatedAt = new DateTimeOffset(2026, 3, 4, 9, 45, 0, TimeSpan.Zero) });

        var contact = (await _talk.LoadAsync()).Contact!;
        Assert.Equal(new DateTimeOffset(2026, 3, 4, 9, 45, 0, TimeSpan.Zero), contact.LastActiveAt);
        Assert.Equal(2, contact.ResponsePattern.GetProperty("messages").GetInt32());
        Assert.Equal(2, contact.ResponsePattern.GetProperty("by_hour").GetProperty("9").GetInt32());
    }

    private async Task SummarizeAsync()
    {
        await _talk.DoAsync(tx => tx.SingleAsync<bool>(
            "SELECT schedules.create_summary_task(kernel.current_tenant_id(), $1) IS NULL", [_talk.Conversation.Id], default));
        await _talk.Platform.DrainAsync();
    }

    private async Task RefusedAsync(NewMessage message, string constraint) =>
        Assert.Equal(constraint, (await Assert.ThrowsAsync<PostgresException>(() => _talk.AppendAsync(message))).ConstraintName);

    private static DateTimeOffset Micro(DateTimeOffset at) => new(at.UtcTicks - (at.UtcTicks % 10), TimeSpan.Zero);
}
