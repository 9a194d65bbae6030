using AgentPlatform.Brain;
using AgentPlatform.Kernel;
using Npgsql;

namespace AgentPlatform.Tests.Brain;

public sealed class IntentLedgerTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(Jobs.Search, Jobs.CancelApplication);

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Theory]
    [Behaviour("brain-intent-immutable-core")]
    [InlineData("intent_type = 'other'")]
    [InlineData("entities = '{\"a\":1}'")]
    [InlineData("confidence = 0.10")]
    [InlineData("turn_number = 9")]
    [InlineData("\"timestamp\" = now() - interval '1 day'")]
    [InlineData("match_type = 'fuzzy'")]
    public async Task The_facts_of_an_intent_cannot_change(string change)
    {
        await _talk.SayAsync("hello");

        Assert.Equal(PostgresErrorCodes.RestrictViolation, (await RefusedAsync($"UPDATE brain.intent_ledger SET {change}")).SqlState);
    }

    [Fact]
    [Behaviour("brain-intent-immutable-core")]
    public async Task An_intent_cannot_be_deleted_but_its_outcome_may_be_written()
    {
        await _talk.SayAsync("hello");

        Assert.Equal(PostgresErrorCodes.RestrictViolation, (await RefusedAsync("DELETE FROM brain.intent_ledger")).SqlState);
        Assert.Equal(1, await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE brain.intent_ledger SET response_text = 'hi', resolution = 'r', error = 'e'", [], default)));
    }

    [Theory]
    [Behaviour("brain-intent-terminal-states", "brain-intent-status-lifecycle")]
    [InlineData("completed")]
    [InlineData("failed")]
    [InlineData("action_not_found")]
    [InlineData("cancelled")]
    public async Task What_has_ended_stays_ended(string end)
    {
        var id = await LogAsync();
        await MoveAsync(id, end);

        foreach (var next in new[] { "new", "processing", "queued", "executing", "completed", "failed", "blocked", "action_not_found", "cancelled" }.Where(s => s != end))
        {
            Assert.Equal("intent_ledger_legal_way", (await Assert.ThrowsAsync<PostgresException>(() => MoveAsync(id, next))).ConstraintName);
        }
    }

    [Fact]
    [Behaviour("brain-intent-status-lifecycle")]
    public async Task An_intent_begins_as_new_and_goes_only_the_legal_ways()
    {
        var id = await LogAsync();
        Assert.Equal("intent_ledger_legal_way", (await Assert.ThrowsAsync<PostgresException>(() => MoveAsync(id, "executing"))).ConstraintName);
        foreach (var step in new[] { "queued", "blocked", "queued", "executing", "completed" })
        {
            await MoveAsync(id, step);
        }

        Assert.Equal("intent_ledger_begins_new", (await RefusedAsync("INSERT INTO brain.intent_ledger (tenant_id, id, intent_id, session_id, contact_id, agent_id, conversation_id, intent_type, confidence, turn_number, sequence_order, status) SELECT tenant_id, gen_random_uuid(), 'x', session_id, contact_id, agent_id, conversation_id, 'a', 1, 1, 99, 'executing' FROM brain.intent_ledger")).ConstraintName);
    }

    [Fact]
    [Behaviour("brain-intent-status-lifecycle")]
    public async Task A_word_outside_the_nine_is_no_status()
    {
        await LogAsync();

        await RefusedAsync("UPDATE brain.intent_ledger SET status = 'done'");
        var rule = await _talk.InAsync(tx => tx.SingleAsync<string>("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'intent_ledger_status_known'", [], default));
        Assert.Equal(9, rule.Split("::text").Length - 1);
    }

    [Theory]
    [Behaviour("brain-intent-confidence-range")]
    [InlineData("1.01", false)]
    [InlineData("-0.01", false)]
    [InlineData("NULL", false)]
    [InlineData("0.876", true)]
    public async Task Confidence_lies_between_nought_and_one_with_two_decimals(string confidence, bool ok)
    {
        await LogAsync();
        var sql = $"INSERT INTO brain.intent_ledger (tenant_id, id, intent_id, session_id, contact_id, agent_id, conversation_id, intent_type, confidence, turn_number, sequence_order) SELECT tenant_id, gen_random_uuid(), 'x', session_id, contact_id, agent_id, conversation_id, 'a', {confidence}, 1, 99 FROM brain.intent_ledger";
        if (!ok)
        {
            await RefusedAsync(sql);
            return;
        }

        await _talk.InAsync(tx => tx.ExecuteAsync(sql, [], default));
        Assert.Equal(0.88m, await _talk.InAsync(tx => tx.SingleAsync<decimal>("SELECT confidence FROM brain.intent_ledger WHERE intent_id = 'x'", [], default)));
    }

    [Fact]
    [Behaviour("brain-intent-match-analytics")]
    public async Task Matches_are_counted_by_their_type()
    {
        await _talk.SayAsync("search jobs");
        await _talk.SayAsync("forget it");
        await _talk.SayAsync("withdraw my application");
        await _talk.SayAsync("withdraw my aplication");
        await _talk.SayAsync("sing me a song");

        var counts = await _talk.InAsync(tx => _talk.Platform.Get<IntentLedger>().CountsAsync(tx, TimeProvider.System.GetUtcNow().AddDays(-1), default));

        Assert.Equal([("exact", 1L), ("fuzzy", 1L), ("not_found", 1L), ("synonym", 1L)], counts.Select(c => (c.MatchType, c.Intents)));
    }

    private async Task<string> LogAsync()
    {
        var session = await _talk.SessionAsync();
        var ledger = _talk.Platform.Get<IntentLedger>();
        var id = ledger.NewId();
        await _talk.InAsync(tx =>
        {
            ledger.Log(tx, id, new IntentPlace(session.SessionId, _talk.ContactId, _talk.AgentId, _talk.ConversationId, 1, 1), new Intent("action", 0.9m));
            return Task.FromResult(id);
        });
        return id;
    }

    private Task MoveAsync(string id, string status) => _talk.InAsync(async tx =>
    {
        _talk.Platform.Get<IntentLedger>().Move(tx, id, new IntentMove(status) { BlockedReason = status == "blocked" ? "because" : null });
        await tx.ExecuteAsync("SELECT 1", [], default);
    });

    private async Task<PostgresException> RefusedAsync(params string[] statements)
    {
        return await Assert.ThrowsAsync<PostgresException>(() => _talk.InAsync(async tx =>
        {
            foreach (var sql in statements)
            {
                await tx.ExecuteAsync(sql, [], default);
            }
        }));
    }
}
