using System.Text.Json;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Tests.Conversations;

public sealed class SessionStoreTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.BeginAsync();

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("ps-session-hot-ttl")]
    public async Task Every_use_keeps_a_session_hot_for_half_an_hour()
    {
        var session = await _talk.SessionAsync();
        _talk.Clock.Advance(TimeSpan.FromMinutes(29));
        Assert.Equal(SessionTier.Hot, (await FindAsync(session))!.Tier);
        _talk.Clock.Advance(TimeSpan.FromMinutes(29));
        Assert.Equal(SessionTier.Hot, (await FindAsync(session))!.Tier);
        _talk.Clock.Advance(TimeSpan.FromMinutes(31));
        Assert.Equal(SessionTier.Persisted, (await FindAsync(session))!.Tier);
    }

    [Fact]
    [Behaviour("ps-session-persist-ttl", "ps-session-read-through")]
    public async Task A_read_past_the_hot_tier_warms_the_session_again_until_a_week_after_its_last_save()
    {
        var session = await _talk.SessionAsync();
        _talk.Clock.Advance(TimeSpan.FromDays(6.9));

        Assert.Equal(SessionTier.Persisted, (await FindAsync(session))!.Tier);
        Assert.Equal(SessionTier.Hot, (await FindAsync(session))!.Tier);

        _talk.Clock.Advance(TimeSpan.FromDays(0.2));
        Assert.Null(await FindAsync(session));
        Assert.NotEqual(session.SessionId, (await _talk.SessionAsync()).SessionId);
    }

    [Fact]
    [Behaviour("ps-session-write-through")]
    public async Task A_save_renews_both_tiers_so_that_losing_the_hot_one_loses_nothing()
    {
        var session = await _talk.SessionAsync();
        _talk.Clock.Advance(TimeSpan.FromDays(6));
        session = (await FindAsync(session))!;
        await _talk.SaveAsync(session with { Variables = new Dictionary<string, JsonElement> { ["city"] = Json.Of("Berlin") } });
        await _talk.ScalarAsync<Guid>("UPDATE conversations.sessions SET hot_until = created_at WHERE id = $1 RETURNING id", session.SessionId);
        _talk.Clock.Advance(TimeSpan.FromDays(6));

        var found = (await FindAsync(session))!;

        Assert.Equal(SessionTier.Persisted, found.Tier);
        Assert.Equal("Berlin", found.Variables["city"].GetString());
    }

    [Fact]
    [Behaviour("ps-session-channel-lookup", "ps-session-indexes")]
    public async Task An_address_resolves_to_its_current_session_as_do_agent_and_customer()
    {
        var session = await _talk.SessionAsync();

        Assert.Equal(session.SessionId, (await _talk.DoAsync(tx => _talk.Sessions.FindByChannelAsync(tx, Talk.Address, default)))!.SessionId);
        Assert.Null(await _talk.DoAsync(tx => _talk.Sessions.FindByChannelAsync(tx, new ChannelAddress("sms", "+14155550199"), default)));
        Assert.Equal([session.SessionId], await ByAgentAsync());
        Assert.Equal([session.SessionId], await ByCustomerAsync());
        Assert.Equal(4L, await _talk.ScalarAsync<long>(
            """
            SELECT count(*) FROM pg_indexes WHERE schemaname = 'conversations'
            AND indexname IN ('idx_sessions_channel', 'idx_sessions_agent', 'idx_sessions_customer', 'idx_sessions_conversation')
            """));
    }

    [Fact]
    [Behaviour("ps-session-index-clean")]
    public async Task Lists_by_agent_and_customer_leave_out_what_has_expired()
    {
        await _talk.SessionAsync();
        _talk.Clock.Advance(TimeSpan.FromDays(8));

        Assert.Empty(await ByAgentAsync());
        Assert.Empty(await ByCustomerAsync());
    }

    [Fact]
    [Behaviour("ps-session-delete")]
    public async Task A_deleted_session_is_found_by_no_way()
    {
        var session = await _talk.SessionAsync();

        Assert.True(await _talk.DoAsync(tx => _talk.Sessions.DeleteAsync(tx, session.SessionId, default)));

        Assert.Null(await FindAsync(session));
        Assert.Null(await _talk.DoAsync(tx => _talk.Sessions.FindByChannelAsync(tx, Talk.Address, default)));
        Assert.Empty(await ByAgentAsync());
        Assert.Empty(await ByCustomerAsync());
        Assert.False(await _talk.DoAsync(tx => _talk.Sessions.DeleteAsync(tx, session.SessionId, default)));
    }

    [Fact]
    [Behaviour("ps-session-tenant-check")]
    public async Task Another_tenant_does_not_find_the_session_by_its_id()
    {
        var session = await _talk.SessionAsync();
        var other = await _talk.Platform.NewTenantAsync("Other");

        Assert.Null(await _talk.Platform.AsAsync(other, tx => _talk.Sessions.FindAsync(tx, session.SessionId, default)));
        Assert.False(await _talk.Platform.AsAsync(other, tx => _talk.Sessions.DeleteAsync(tx, session.SessionId, default)));
        Assert.NotNull(await FindAsync(session));
    }

    [Fact]
    [Behaviour("ps-session-status")]
    public async Task A_session_starts_active_and_an_ended_one_makes_room_for_the_next()
    {
        var session = await _talk.SessionAsync();
        Assert.Equal("ACTIVE", session.Status);
        Assert.Equal(session.SessionId, (await _talk.SessionAsync()).SessionId);

        await _talk.DoAsync(tx => _talk.Sessions.EndAsync(tx, session.SessionId, "done", default));

        Assert.Null(await _talk.DoAsync(tx => _talk.Sessions.FindByChannelAsync(tx, Talk.Address, default)));
        Assert.NotEqual(session.SessionId, (await _talk.SessionAsync()).SessionId);
    }

    [Fact]
    [Behaviour("ps-session-step-history")]
    public async Task Moving_through_steps_is_remembered_and_the_scenario_version_stays_pinned()
    {
        var session = await _talk.SessionAsync();
        var (scenario, first, second) = (_talk.Clock.NewId(), _talk.Clock.NewId(), _talk.Clock.NewId());
        session = session with { ActiveScenarioId = scenario, ActiveScenarioVersion = 3 };
        await _talk.SaveAsync(session.MoveTo(first, _talk.Clock.GetUtcNow(), "start").MoveTo(second, _talk.Clock.GetUtcNow()));

        var saved = (await FindAsync(session))!;

        Assert.Equal([first, second], saved.StepHistory.Select(s => s.StepId));
        Assert.Equal(second, saved.CurrentStepId);
        Assert.Equal((scenario, 3), (saved.ActiveScenarioId, saved.ActiveScenarioVersion));
        Assert.True(saved.LastActivityAt > session.LastActivityAt);
    }

    [Theory]
    [Behaviour("ps-session-variables")]
    [InlineData("Replace", "\"a\"", "\"b\"", "\"b\"")]
    [InlineData("Append", "[1]", "2", "[1,2]")]
    [InlineData("Append", "\"a\"", "\"b\"", "[\"a\",\"b\"]")]
    [InlineData("Append", "null", "\"b\"", "[\"b\"]")]
    [InlineData("Merge", "{\"a\":1,\"b\":1}", "{\"b\":2}", "{\"a\":1,\"b\":2}")]
    [InlineData("Merge", "\"a\"", "{\"b\":2}", "{\"b\":2}")]
    public async Task A_variable_changes_by_its_update_policy(string policy, string before, string value, string after)
    {
        var combined = SessionVariables.Combine(Parse(before), Parse(value), Enum.Parse<VariableUpdatePolicy>(policy));
        var session = await _talk.SessionAsync() with { Variables = new Dictionary<string, JsonElement> { ["v"] = combined } };
        await _talk.SaveAsync(session);

        Assert.True(JsonElement.DeepEquals(Parse(after), (await FindAsync(session))!.Variables["v"]));
    }

    [Fact]
    public async Task Two_who_read_the_same_session_cannot_both_save_it()
    {
        var session = await _talk.SessionAsync();
        await _talk.SaveAsync(session with { PendingMigration = Json.Of(new { plan = 1 }) });

        Assert.Equal(SessionStore.Moved, (await Assert.ThrowsAsync<PostgresException>(() => _talk.SaveAsync(session))).SqlState);
        Assert.Equal(1, (await FindAsync(session))!.PendingMigration!.Value.GetProperty("plan").GetInt32());
    }

    [Fact]
    public async Task Two_messages_at_once_meet_in_one_session()
    {
        var started = await Task.WhenAll(Enumerable.Range(0, 6).Select(async _ =>
            await _talk.DoAsync(async tx =>
            {
                await _talk.Log.OpenAsync(tx, new OpenConversation(_talk.Contact.Id, _talk.AgentId, "sms", Talk.Number, null), default);
                return await _talk.Sessions.LoadOrStartAsync(tx, _talk.Conversation.Id, _talk.AgentId, _talk.Contact.Id, Talk.Address, default);
            })));

        Assert.Single(started.Select(s => s.SessionId).Distinct());
    }

    [Fact]
    public async Task A_session_begins_where_it_is_looked_for_unless_the_conversation_is_anothers_or_has_one_out_of_date()
    {
        Task<ConversationSession?> LookAsync(Guid contactId) =>
            _talk.DoAsync(tx => _talk.Sessions.TakeRunningOrStartAsync(tx, _talk.Conversation.Id, _talk.AgentId, contactId, default));

        Assert.Null(await LookAsync(_talk.Clock.NewId()));
        var begun = (await LookAsync(_talk.Contact.Id))!;
        Assert.Equal(
            (_talk.Conversation.Id, _talk.AgentId, _talk.Contact.Id, Talk.Number, "ACTIVE", 0),
            (begun.ConversationId, begun.AgentId, begun.CustomerProfileId, begun.UserChannelId, begun.Status, begun.LastTurnNumber));
        Assert.Equal(begun.SessionId, (await LookAsync(_talk.Clock.NewId()))!.SessionId);
        Assert.Equal(1, await _talk.ScalarAsync<long>("SELECT count(*) FROM conversations.audit_events WHERE event_type = 'session.started'"));

        _talk.Clock.Advance(TimeSpan.FromDays(8));
        Assert.Null(await LookAsync(_talk.Contact.Id));
        Assert.NotEqual(begun.SessionId, (await _talk.SessionAsync()).SessionId);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Who_takes_a_session_waits_for_whoever_has_it_and_sees_it_as_they_saved_it(bool byConversation)
    {
        var session = await _talk.SessionAsync();
        await using var first = _talk.Platform.Database.Begin(_talk.Owner);
        _talk.Sessions.Save(first, (await TakeAsync(first))! with { PendingMigration = Json.Of(new { plan = 1 }) });

        var second = _talk.DoAsync(TakeAsync);
        Assert.True(await _talk.Platform.Postgres.SomebodyWaitsAsync());
        await first.CommitAsync(default);

        Assert.Equal((session.Version + 1, true), ((await second)!.Version, (await second)!.PendingMigration is not null));

        Task<ConversationSession?> TakeAsync(Transaction tx) =>
            byConversation ? _talk.Sessions.TakeRunningOrStartAsync(tx, _talk.Conversation.Id, _talk.AgentId, _talk.Contact.Id, default) : _talk.Sessions.TakeAsync(tx, session.SessionId, default);
    }

    private Task<ConversationSession?> FindAsync(ConversationSession session) => _talk.DoAsync(tx => _talk.Sessions.FindAsync(tx, session.SessionId, default));

    private async Task<IEnumerable<Guid>> ByAgentAsync() =>
        (await _talk.DoAsync(tx => _talk.Sessions.ListByAgentAsync(tx, _talk.AgentId, null, 200, default))).Select(s => s.SessionId);

    private async Task<IEnumerable<Guid>> ByCustomerAsync() =>
        (await _talk.DoAsync(tx => _talk.Sessions.ListByCustomerAsync(tx, _talk.Contact.Id, null, 200, default))).Select(s => s.SessionId);

    private static JsonElement Parse(string json) => JsonSerializer.Deserialize<JsonElement>(json);
}
