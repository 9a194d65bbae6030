using AgentPlatform.Api;
using AgentPlatform.Channels;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules.Automations;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;

namespace AgentPlatform.Alerts;

/// <summary>What members do to rules.</summary>
internal sealed class ManageRules(Database database, RunHistory tasks, MemberDirectory members, ChannelDirectory channels, WorkQueue work, EventStore events, TimeProvider clock)
{
    internal static async Task<Page<AlertRule>> ListAsync(Transaction tx, string? ruleType, PageRequest page, CancellationToken ct) =>
        Page<AlertRule>.Cut(await tx.QueryAsync<AlertRule>(Sql.List, [ruleType, page.Before, page.Fetch], ct), page, rule => rule.Id);

    internal static Task<AlertRule?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<AlertRule>(Sql.Find, [id], ct);

    internal async Task<Result<AlertRule>> CreateAsync(Actor actor, AlertRuleInput input, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if ((input.Problem ?? await UnknownAsync(tx, input, ct)) is { } invalid)
        {
            return invalid;
        }

        var rule = await tx.SingleAsync<AlertRule>(Sql.Create, [clock.NewId(), .. Values(input), actor.UserId], ct);
        Note(tx, "created", rule);
        await tx.CommitAsync(ct);
        return rule;
    }

    internal Task<Result<AlertRule>> ReplaceAsync(Actor actor, Guid id, AlertRuleInput input, IfMatch ifMatch, CancellationToken ct) =>
        ChangeAsync(actor, id, "changed", ifMatch, async (tx, _) => (input.Problem ?? await UnknownAsync(tx, input, ct)) is { } invalid
            ? invalid
            : await tx.SingleAsync<AlertRule>(Sql.Replace, [id, .. Values(input), actor.UserId], ct), ct);

    /// <summary>Runs that end meanwhile are not looked at. What is folded waits.</summary>
    internal Task<Result<AlertRule>> PauseAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct) => SwitchAsync(actor, id, paused: true, ifMatch, ct);

    internal Task<Result<AlertRule>> ResumeAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct) => SwitchAsync(actor, id, paused: false, ifMatch, ct);

    /// <summary>With its alerts, their deliveries and notifications.</summary>
    internal Task<Result<AlertRule>> DeleteAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct) => ChangeAsync(actor, id, "deleted", ifMatch, async (tx, rule) =>
    {
        await tx.ExecuteAsync(Sql.Delete, [id], ct);
        return rule;
    }, ct);

    private Task<Result<AlertRule>> SwitchAsync(Actor actor, Guid id, bool paused, IfMatch ifMatch, CancellationToken ct) =>
        ChangeAsync(actor, id, paused ? "paused" : "resumed", ifMatch, async (tx, rule) => rule.IsPaused == paused
            ? Problem.Conflict("alert_rule_state", $"The rule is {(paused ? "paused already" : "not paused")}.")
            : await tx.SingleAsync<AlertRule>(Sql.Switch, [id, paused, actor.UserId], ct), ct);

    private async Task<Result<AlertRule>> ChangeAsync(
        Actor actor, Guid id, string what, IfMatch ifMatch, Func<Transaction, AlertRule, Task<Result<AlertRule>>> change, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.FindAsync<AlertRule>(Sql.Lock, [id], ct) is not { } known)
        {
            return Problem.NotFound("alert_rule");
        }

        if (ifMatch.Check(known.ChangedAt) is { } stale)
        {
            return stale;
        }

        var changed = await change(tx, known);
        if (!changed.IsOk)
        {
            return changed;
        }

        Note(tx, what, changed.Value);
        // What was folded while the rule rested, or under other limits, is looked at anew.
        if (await tx.FindAsync<Guid?>(Sql.Folding, [id], ct) is { } folding)
        {
            work.Enqueue(tx, TellFolded.Work(folding, id, clock.NewId(), at: null));
        }

        await tx.CommitAsync(ct);
        return changed;
    }

    private void Note(Transaction tx, string what, AlertRule rule) =>
        events.Append(tx, new NewEvent($"alert_rule.{what}", "alert_rule", rule.Id, new { name = rule.Name, rule_type = rule.RuleType, is_active = rule.IsActive }));

    /// <summary>What is named and is not there.</summary>
    private async Task<Problem?> UnknownAsync(Transaction tx, AlertRuleInput input, CancellationToken ct)
    {
        if (await tasks.MissingAsync(tx, input.TaskIds, ct) is [var task, ..])
        {
            return Problem.Invalid("target_task_ids", $"There is no scheduled task {task}.");
        }

        foreach (var place in NotificationChannel.Normal(input.NotificationChannels!))
        {
            var isThere = place switch
            {
                { Channel: NotificationChannel.InApp, To: { } member } => (await members.ReachableAsync(tx, [Guid.Parse(member)], ct)).Count == 1,
                { Channel: NotificationChannel.Webhook, To: { } channel } => await channels.FindAsync(tx, Guid.Parse(channel), ct) is { Channel.ChannelType: ChannelTypes.CustomWebhook },
                _ => true,
            };
            if (!isThere)
            {
                return Problem.Invalid("notification_channels", $"There is no {(place.Channel == NotificationChannel.InApp ? "member" : "custom channel")} {place.To}.");
            }
        }

        return null;
    }

    private static object?[] Values(AlertRuleInput input) =>
    [
        input.Name!.Trim(), input.Description, input.RuleType, input.Target, input.TaskIds, input.Tags, Json.Param(input.Given),
        Json.Param(NotificationChannel.Normal(input.NotificationChannels!)), input.CooldownMinutes ?? 5, input.AggregationEnabled ?? true, input.MaxAlertsPerHour ?? 12,
        input.Severity ?? "medium", input.Priority ?? 5, input.IsActive ?? true,
    ];

    private static class Sql
    {
        internal const string List =
            """
            SELECT * FROM alerts.alert_rules
            WHERE tenant_id = kernel.current_tenant_id() AND ($1::text IS NULL OR rule_type = $1) AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3
            """;

        internal const string Find = "SELECT * FROM alerts.alert_rules WHERE tenant_id = kernel.current_tenant_id() AND id = $1";

        internal const string Lock = "SELECT * FROM alerts.alert_rules WHERE tenant_id = kernel.current_tenant_id() AND id = $1 FOR UPDATE";

        internal const string Folding = "SELECT id FROM alerts.alert_history WHERE tenant_id = kernel.current_tenant_id() AND rule_id = $1 AND status = 'folding'";

        internal const string Create =
            """
            INSERT INTO alerts.alert_rules (
                tenant_id, id, name, description, rule_type, target_type, target_task_ids, target_tags, conditions, notification_channels, cooldown_minutes,
                aggregation_enabled, max_alerts_per_hour, severity, priority, is_active, user_id, created_by, last_modified_by)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16, $16)
            RETURNING *
            """;

        internal const string Replace =
            """
            UPDATE alerts.alert_rules
            SET name = $2, description = $3, rule_type = $4, target_type = $5, target_task_ids = $6, target_tags = $7, conditions = $8, notification_channels = $9,
                cooldown_minutes = $10, aggregation_enabled = $11, max_alerts_per_hour = $12, severity = $13, priority = $14, is_active = $15,
                last_modified_by = $16, changed_at = clock_timestamp()
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            RETURNING *
            """;

        internal const string Switch =
            """
            UPDATE alerts.alert_rules SET is_paused = $2, last_modified_by = $3, changed_at = clock_timestamp()
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            RETURNING *
            """;

        internal const string Delete = "DELETE FROM alerts.alert_rules WHERE tenant_id = kernel.current_tenant_id() AND id = $1";
    }
}
