using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using Npgsql;

namespace AgentPlatform.Tests.Conversations;

public sealed class TurnLogTests : IAsyncLifetime
{
    private Talk _talk = null!;

    private TurnLog Turns => _talk.Platform.Get<TurnLog>();

    private AuditLog Audit => _talk.Platform.Get<AuditLog>();

    public async Task InitializeAsync() => _talk = await Talk.BeginAsync();

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("ps-turn-record-append")]
    public async Task A_turn_is_written_once_with_all_it_held_and_never_changes()
    {
        var session = await _talk.SessionAsync();
        await _talk.DoAsync(tx => Turns.Append(tx, Record(session, 1) with
        {
            AssistantResponse = "Found 3 jobs.",
            ContextExtracted = Json.Of(new { city = "Berlin" }),
            RulesMatched = Json.Of(new[] { "r1" }),
            ScenarioState = Json.Of(new { step = "search" }),
            ToolsExecuted = Json.Of(new[] { new { tool = "search_jobs" } }),
            TokenUsage = Json.Of(new { input = 12 }),
            LatencyMs = 42,
        }));

        var turn = Assert.Single(await TurnsAsync());

        Assert.Equal(("hello 1", "Found 3 jobs.", 42), (turn.UserMessage, turn.AssistantResponse, turn.LatencyMs));
        Assert.Equal("Berlin", turn.ContextExtracted!.Value.GetProperty("city").GetString());
        Assert.Equal("r1", turn.RulesMatched[0].GetString());
        Assert.Equal("search", turn.ScenarioState!.Value.GetProperty("step").GetString());
        Assert.Equal("search_jobs", turn.ToolsExecuted[0].GetProperty("tool").GetString());
        Assert.Equal(12, turn.TokenUsage!.Value.GetProperty("input").GetInt32());
        await RefusedAsync("UPDATE conversations.turn_records SET user_message = 'other'");
        await RefusedAsync("DELETE FROM conversations.turn_records");
    }

    [Fact]
    [Behaviour("ps-turn-number-sequence")]
    public async Task Turn_numbers_run_without_gap_or_duplicate()
    {
        var session = await _talk.SessionAsync();
        await _talk.DoAsync(tx => Turns.Append(tx, Record(session, session.NextTurnNumber)));
        session = await _talk.SessionAsync();
        Assert.Equal(2, session.NextTurnNumber);

        await using (var rolledBack = _talk.Platform.Database.Begin(_talk.Tenant))
        {
            Turns.Append(rolledBack, Record(session, 2));
            await rolledBack.ExecuteAsync("SELECT 1", [], default);
        }

        var again = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => TryAsync(session, 2)));
        Assert.Single(again, ok => ok);
        Assert.False(await TryAsync(session, 4));
        Assert.True(await TryAsync(session, 3));
        Assert.Equal([3, 2, 1], (await TurnsAsync()).Select(t => t.TurnNumber));
    }

    [Fact]
    [Behaviour("ps-audit-event-append")]
    public async Task Audit_events_are_listed_newest_first_by_tenant_session_or_type_and_never_change()
    {
        var session = await _talk.SessionAsync();
        var record = Record(session, 1);
        await _talk.DoAsync(tx => Turns.Append(tx, record));
        await _talk.DoAsync(tx => Audit.Append(tx, new AuditEvent("rule.matched", new { rule = "r1" }) { SessionId = session.SessionId, TurnId = record.Id }));
        await _talk.DoAsync(tx => Audit.Append(tx, new AuditEvent("rule.matched", new { rule = "r2" })));

        Assert.Equal(["rule.matched", "rule.matched", "session.started"], (await AuditAsync(null, null)).Select(e => e.EventType));
        Assert.Equal([record.Id, null], (await AuditAsync(session.SessionId, null)).Select(e => e.TurnId));
        Assert.Equal(["r2", "r1"], (await AuditAsync(null, "rule.matched")).Select(e => e.EventData.GetProperty("rule").GetString()));
        await RefusedAsync("UPDATE conversations.audit_events SET event_type = 'other'");
        await RefusedAsync("DELETE FROM conversations.audit_events");
        await Assert.ThrowsAsync<PostgresException>(() => _talk.DoAsync(tx => Audit.Append(tx, new AuditEvent("x", new { }) { TurnId = _talk.Clock.NewId() })));
    }

    [Fact]
    [Behaviour("ps-audit-survives-session")]
    public async Task Turns_and_audit_events_outlive_their_session()
    {
        var session = await _talk.SessionAsync();
        await _talk.DoAsync(tx => Turns.Append(tx, Record(session, 1)));
        _talk.Clock.Advance(TimeSpan.FromDays(8));
        await _talk.SessionAsync();
        await _talk.DoAsync(tx => _talk.Sessions.DeleteAsync(tx, session.SessionId, default));

        Assert.Equal(session.SessionId, Assert.Single(await TurnsAsync()).SessionId);
        Assert.Equal(["session.deleted", "session.ended", "session.started"], (await AuditAsync(session.SessionId, null)).Select(e => e.EventType));
    }

    private TurnRecord Record(ConversationSession session, int number) => new(_talk.Clock.NewId(), session.SessionId, _talk.Conversation.Id, number, $"hello {number}");

    private async Task<IReadOnlyList<StoredTurn>> TurnsAsync() =>
        (await _talk.DoAsync(tx => Turns.ListAsync(tx, _talk.Conversation.Id, new PageRequest(50, null), default))).Items;

    private async Task<IReadOnlyList<StoredAuditEvent>> AuditAsync(Guid? session, string? type) =>
        (await _talk.DoAsync(tx => Audit.ListAsync(tx, session, type, new PageRequest(50, null), default))).Items;

    private async Task<bool> TryAsync(ConversationSession session, int number)
    {
        try
        {
            await _talk.DoAsync(tx => Turns.Append(tx, Record(session, number)));
            return true;
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            return false;
        }
    }

    // As the superuser: not even without row level security and with every right.
    private async Task RefusedAsync(string sql) =>
        Assert.Contains("append-only", (await Assert.ThrowsAsync<PostgresException>(() => _talk.Platform.Postgres.ScalarAsync<object>(sql + " RETURNING 1"))).MessageText, StringComparison.Ordinal);
}
