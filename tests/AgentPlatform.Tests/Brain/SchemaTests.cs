using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;

namespace AgentPlatform.Tests.Brain;

public sealed class SchemaTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(
        new ActionDefinition { ActionId = "ping", ActionName = "ping the server", ExecutionType = "http", ApiMethod = "GET", ApiEndpoint = "{endpoint}/" });

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Theory]
    [Behaviour("brain-context-cascade")]
    [InlineData("DELETE FROM conversations.sessions")]
    [InlineData("DELETE FROM tenancy.agents")]
    public async Task Deleting_what_they_belong_to_takes_intents_requests_attempts_and_dead_letters_along(string delete)
    {
        _talk.Endpoint.Answers(400, "{}");
        await _talk.SayAsync("ping the server");
        const string Count =
            """
            SELECT (SELECT count(*) FROM brain.intent_ledger) + (SELECT count(*) FROM actions.action_queue)
                 + (SELECT count(*) FROM actions.action_execution_log) + (SELECT count(*) FROM actions.dead_letter_queue)
            """;
        Assert.Equal(4, await _talk.InAsync(tx => tx.SingleAsync<long>(Count, [], default)));

        Assert.Equal(0, await _talk.InAsync(async tx =>
        {
            await tx.ExecuteAsync(delete, [], default);
            return await tx.SingleAsync<long>(Count, [], default);
        }));
        Assert.Equal(delete.Contains("agents", StringComparison.Ordinal) ? 0 : 1, await _talk.InAsync(tx => tx.SingleAsync<long>("SELECT count(*) FROM actions.action_registry", [], default)));
    }

    [Fact]
    [Behaviour("brain-type-consistency")]
    public async Task Executions_and_workflow_instances_have_one_type_everywhere_and_join_without_a_cast()
    {
        _talk.Endpoint.Answers(200, "{}");
        await _talk.SayAsync("ping the server");

        var types = await _talk.InAsync(tx => tx.QueryAsync<string>(
            "SELECT DISTINCT data_type::text FROM information_schema.columns WHERE table_schema = 'actions' AND column_name IN ('execution_id', 'workflow_instance_id')", [], default));
        Assert.Equal("text", Assert.Single(types));
        Assert.Equal("completed", await _talk.InAsync(tx => tx.SingleAsync<string>(
            "SELECT e.status FROM actions.action_queue q JOIN actions.action_execution_log e ON e.execution_id = q.execution_id", [], default)));
    }

    [Fact]
    [Behaviour("brain-index-coverage")]
    public async Task Every_index_of_the_seed_exists_on_the_tables_that_do()
    {
        string[] named =
        [
            .. Names("idx_intent_ledger", "session_id", "user_id", "status", "timestamp", "intent_type", "match_type"),
            .. Names("idx_action_queue", "session_id", "user_id", "status", "priority", "next_retry_at", "idempotency_key"),
            .. Names("idx_dlq", "session_id", "user_id", "resolved", "escalated", "moved_to_dlq_at"),
            .. Names("idx_execution_log", "session_id", "user_id", "action_id", "status", "started_at", "idempotency_key", "trace_id"),
            .. Names("idx_action_registry", "instance_id", "brand_id", "action_id", "is_active", "workflow_id"),
        ];

        var there = await _talk.InAsync(tx => tx.QueryAsync<string>("SELECT indexname::text FROM pg_indexes WHERE schemaname IN ('actions', 'brain')", [], default));
        Assert.Empty(named.Except(there));
    }

    [Theory]
    [Behaviour("brain-index-coverage")]
    [InlineData("idx_intent_ledger_session_id", "SELECT * FROM brain.intent_ledger WHERE session_id = '0197a000-0000-7000-8000-000000000000' ORDER BY id DESC LIMIT 20")]
    [InlineData("idx_intent_ledger_status", "SELECT * FROM brain.intent_ledger WHERE status = 'blocked' ORDER BY id DESC LIMIT 50")]
    [InlineData("idx_intent_ledger_match_type", "SELECT match_type, count(*) FROM brain.intent_ledger WHERE match_type IS NOT NULL AND \"timestamp\" >= now() - interval '1 day' GROUP BY match_type")]
    [InlineData("idx_action_queue_priority", "SELECT * FROM actions.action_queue WHERE status = 'ready' ORDER BY priority DESC, added_at LIMIT 10")]
    [InlineData("idx_action_queue_status", "SELECT * FROM actions.action_queue WHERE status = 'failed' ORDER BY id DESC LIMIT 50")]
    [InlineData("idx_action_queue_idempotency_key", "SELECT * FROM actions.action_queue WHERE idempotency_key = 'k'")]
    [InlineData("idx_dlq_resolved", "SELECT * FROM actions.dead_letter_queue WHERE NOT resolved ORDER BY id DESC LIMIT 50")]
    [InlineData("idx_dlq_escalated", "SELECT * FROM actions.dead_letter_queue WHERE escalated_to_support ORDER BY id DESC LIMIT 50")]
    [InlineData("idx_execution_log_trace_id", "SELECT * FROM actions.action_execution_log WHERE trace_id = 't'")]
    [InlineData("idx_action_registry_is_active", "SELECT * FROM actions.action_registry WHERE agent_id = '0197a000-0000-7000-8000-000000000000' AND is_active ORDER BY action_id")]
    public async Task The_critical_queries_use_their_index(string index, string query)
    {
        var plan = await _talk.InAsync(async tx =>
        {
            await tx.ExecuteAsync("SET LOCAL enable_seqscan = off", [], default);
            return string.Join('\n', await tx.QueryAsync<string>($"EXPLAIN {query}", [], default));
        });

        Assert.Contains(index, plan, StringComparison.Ordinal);
    }

    [Theory]
    [Behaviour("brain-updated-at-trigger")]
    [InlineData("brain.intent_ledger", "response_text = 'x'")]
    [InlineData("actions.action_queue", "checkpoint_id = 'x'")]
    [InlineData("actions.dead_letter_queue", "escalation_ticket_id = 'x'")]
    [InlineData("actions.action_registry", "description = 'x'")]
    public async Task Updated_at_moves_with_every_change(string table, string change)
    {
        _talk.Endpoint.Answers(400, "{}");
        await _talk.SayAsync("ping the server");

        Assert.True(await _talk.InAsync(async tx =>
        {
            var before = await tx.SingleAsync<DateTimeOffset>($"SELECT updated_at FROM {table}", [], default);
            await tx.ExecuteAsync($"UPDATE {table} SET {change}", [], default);
            return await tx.SingleAsync<DateTimeOffset>($"SELECT updated_at FROM {table}", [], default) > before;
        }));
    }

    private static IEnumerable<string> Names(string prefix, params string[] columns) => columns.Select(column => $"{prefix}_{column}");
}
