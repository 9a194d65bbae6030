using System.Text.RegularExpressions;
using Npgsql;

namespace AgentPlatform.Tests.Rules;

/// <summary>Every table that the application writes is watched, so that operators' changes are logged, or it is told here why not.</summary>
public sealed partial class AuditRules
{
    private static readonly Dictionary<string, string[]> NotWatched = new(StringComparer.Ordinal)
    {
        ["A log, a ledger or a version: its rows say who and when, and are never changed"] =
        [
            "audit.audit_logs", "audit.security_audit_log", "events.events", "identity.api_request_logs", "identity.login_attempts", "conversations.audit_events", "conversations.turn_records",
            "credits.credit_events", "actions.approval_decisions", "actions.approval_delegations", "workflows.workflow_signals", "workflows.workflow_versions",
            "workflows.sop_steps", "agents.scenario_archives", "agents.template_set_versions", "schedules.archived_agent_tasks", "costs.api_token_usage",
            "models.agent_actions_log", "billing.invoices", "billing.executions", "channels.webhook_logs", "contacts.erasures", "contacts.suppressed_addresses",
        ],
        ["What was said, and how it came and went: its rows name their author"] =
        [
            "conversations.messages", "channels.inbound_messages", "channels.inbound_attachments", "channels.outbound_messages", "channels.delivery_receipts", "channels.inbox",
        ],
        ["Moved by every message, turn or worker; what an operator does to it is an event, which says who"] =
        [
            "brain.intent_ledger", "actions.action_queue", "actions.action_execution_log", "actions.action_approvals", "actions.execution_checkpoints",
            "actions.effects", "messaging.message_queue", "messaging.effects", "schedules.scheduled_task_executions", "tasks.task_executions",
            "workflows.workflow_executions", "workflows.workflow_instances", "workflows.workflow_steps", "workflows.workflow_fleet_members", "campaigns.move_recipients",
            "schemas.user_schema_state", "billing.payments", "billing.user_execution_packs", "billing.subscription_usage_records", "brain.shadow_turns", "work.items", "alerts.alert_history", "memory.forgettings",
            "alerts.alert_delivery_queue",
        ],
        ["A counter, a lock, a token or a cursor of the platform's own"] =
        [
            "agents.guidance", "brain.nlu_models", "channels.retired_tokens", "channels.webhook_rates", "channels.webhook_traffic", "contacts.email_verification_tokens",
            "actions.approval_codes", "actions.approval_links", "conversations.conversation_followers", "costs.budget_alerts", "costs.budget_reservations", "events.aggregates",
            "identity.credentials", "identity.idempotency_keys", "identity.password_reset_tokens", "identity.rate_counters", "identity.refresh_tokens", "identity.sessions",
            "resilience.locks", "schedules.cron_job_registry", "work.tokens",
        ],
        ["Seen by one member alone"] =
        [
            "knowledge.action_patterns", "knowledge.element_selectors", "knowledge.error_patterns", "knowledge.task_success_patterns", "workflows.workflow_patterns",
            "alerts.in_app_notifications",
        ],
        ["The demo's"] = ["demo.applications", "demo.boards", "demo.places", "demo.resumes"],
    };

    [Fact]
    public async Task A_table_that_operators_change_is_watched_or_it_is_told_why_not()
    {
        var tables = await TablesAsync();
        var excused = NotWatched.Values.SelectMany(t => t).ToList();

        Assert.Empty(tables.Where(t => !t.IsWatched).Select(t => t.Name).Except(excused));
        Assert.Empty(excused.Except(tables.Where(t => !t.IsWatched).Select(t => t.Name)));
    }

    /// <summary>A column by one of these names would show a secret in the log; the mask and this list say the same.</summary>
    [Fact]
    public async Task A_watched_column_that_sounds_like_a_secret_is_masked_or_is_none()
    {
        string[] harmless = ["channels.user_webhooks.token_expires_at", "channels.user_webhooks.token_rotation_required", "channels.user_webhooks.verification_code_expires_at", "schemas.brand_schemas.token_hint"];
        await using var database = await TestDatabase.CreateAsync();
        var shown = await database.ScalarAsync<string[]>(
            """
            SELECT coalesce(array_agg(t.tgrelid::regclass || '.' || a.attname), '{}')
            FROM pg_trigger AS t JOIN pg_attribute AS a ON a.attrelid = t.tgrelid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE t.tgfoid = 'audit.record_change'::regproc AND a.attname ~ '(secret|token|password|sealed|credential|hash|code$|code_)'
              AND audit.masked(jsonb_build_object(a.attname, 'shown'), (string_to_array(encode(t.tgargs, 'escape'), '\000'))[2]::text[]) ->> a.attname = 'shown'
            """);

        Assert.Equal(harmless, shown.Where(c => !Count().IsMatch(c)).Order());
    }

    [GeneratedRegex("tokens$")]
    private static partial Regex Count();

    private static async Task<IReadOnlyList<(string Name, bool IsWatched)>> TablesAsync()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using var connection = new NpgsqlConnection(database.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            """
            SELECT c.oid::regclass::text, EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND t.tgfoid = 'audit.record_change'::regproc)
            FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'public')
              AND has_table_privilege('agentplatform_app', c.oid, 'INSERT, UPDATE, DELETE')
            """, connection);
        await using var reader = await command.ExecuteReaderAsync();
        var tables = new List<(string, bool)>();
        while (await reader.ReadAsync())
        {
            tables.Add((reader.GetString(0), reader.GetBoolean(1)));
        }

        return tables;
    }
}
