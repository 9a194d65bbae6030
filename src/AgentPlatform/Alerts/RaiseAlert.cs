using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules.Automations;
using AgentPlatform.Work;

namespace AgentPlatform.Alerts;

/// <summary>
/// Makes alerts of matches. A match is added to the one alert that its rule holds back; when the rule may send, that alert leaves with everything in it. So
/// what is told at once and what was folded take the same way, and nothing that was folded is told twice or lost.
/// </summary>
internal sealed class RaiseAlert(WorkQueue work, EventStore events, TimeProvider clock)
{
    /// <summary>The end of a run is what a rule looks for.</summary>
    internal async Task MatchAsync(Transaction tx, AlertRule rule, RunEnded run, CancellationToken ct)
    {
        if (await PassAsync(tx, rule.Id, isMatch: true, ct) is not { } passage || (!passage.MaySend && !passage.AggregationEnabled))
        {
            return;
        }

        var alert = await AddAsync(tx, new Source(rule.Id, rule.Name, rule.UserId, rule.RuleType, rule.Severity, rule.Priority), run, "folding", ct);
        if (passage.MaySend)
        {
            await TellAsync(tx, rule, alert, ct);
        }
        else
        {
            work.Enqueue(tx, TellFolded.Work(alert.Id, rule.Id, alert.Id, passage.HeldUntil));
        }
    }

    /// <summary>A task's own settings want the end told: no rule holds it back.</summary>
    internal async Task NoticeAsync(Transaction tx, RunEnded run, CancellationToken ct)
    {
        if (run.Notify.Count > 0)
        {
            var (type, severity) = run.Status switch { "success" => ("task_success", "low"), "timeout" => ("task_timeout", "medium"), _ => ("task_failure", "medium") };
            Deliver(tx, await AddAsync(tx, new Source(null, null, run.UserId, type, severity, Priority: 5), run, "pending", ct), run.Notify);
        }
    }

    /// <summary>
    /// Whether the rule may send now, decided and counted by one statement, for the alert that follows in this transaction; null when the rule is paused,
    /// switched off or gone.
    /// </summary>
    internal Task<Passage?> PassAsync(Transaction tx, Guid ruleId, bool isMatch, CancellationToken ct) =>
        tx.FindAsync<Passage>(Sql.Pass, [ruleId, clock.GetUtcNow(), isMatch], ct);

    /// <summary>The alert that the rule holds back is told, as the rule stands now.</summary>
    internal async Task TellAsync(Transaction tx, AlertRule rule, Alert held, CancellationToken ct)
    {
        var runs = Json.Read<Details>(held.Details).Runs;
        var alert = await tx.SingleAsync<Alert>(
            Sql.Tell,
            [held.Id, AlertWords.Title(rule.Name, runs, held.MatchCount), AlertWords.Message(runs, held.MatchCount), rule.Severity, rule.Priority, clock.GetUtcNow()],
            ct);
        Deliver(tx, alert, Json.Read<NotificationChannel[]>(rule.NotificationChannels));
    }

    private Task<Alert> AddAsync(Transaction tx, Source source, RunEnded run, string status, CancellationToken ct)
    {
        AlertedRun[] runs = [AlertedRun.Of(run)];
        return tx.SingleAsync<Alert>(
            Sql.Add,
            [
                clock.NewId(), source.RuleId, source.UserId, run.TaskId, run.ExecutionId, source.AlertType, source.Severity, source.Priority,
                AlertWords.Title(source.RuleName, runs, 1), AlertWords.Message(runs, 1), Json.Param(new Details(runs)), status, clock.GetUtcNow(),
            ],
            ct);
    }

    private void Deliver(Transaction tx, Alert alert, IReadOnlyList<NotificationChannel> channels)
    {
        var places = channels.Select(place => place.To is null ? place with { To = alert.UserId.ToString() } : place).Distinct()
            .Select(place => (Id: clock.NewId(), place.Channel, place.To)).ToList();
        tx.Post(
            Sql.Deliver,
            alert.Id, places.Select(p => p.Id).ToArray(), places.Select(p => p.Channel).ToArray(), places.Select(p => p.To).ToArray(), Json.Param(AlertPayload.Of(alert)),
            alert.Priority, clock.GetUtcNow(), Json.Param(places.Select(p => new NotificationChannel(p.Channel, p.To))));
        foreach (var (id, _, _) in places)
        {
            work.Enqueue(tx, new NewWork(DeliverAlert.Kind, $"{id}:0", new DeliverAlert.Payload(id)) { Priority = (short)(alert.Priority * 10) });
        }

        events.Append(tx, new NewEvent("alert.raised", "alert", alert.Id, AlertPayload.Of(alert)) { CreatedBy = "alerts" });
    }

    /// <summary>HeldUntil: when the rule may send again; null before its first alert.</summary>
    internal sealed record Passage(bool MaySend, DateTimeOffset? HeldUntil, bool AggregationEnabled);

    private sealed record Source(Guid? RuleId, string? RuleName, Guid UserId, string AlertType, string Severity, int Priority);

    private sealed record Details(IReadOnlyList<AlertedRun> Runs);

    private static class Sql
    {
        // The rule's row is locked before it is looked at: of runs that end at once, one sends, and the others see that it did.
        internal const string Pass =
            """
            WITH rule AS (
                SELECT id, greatest(last_alert_sent_at + make_interval(mins => cooldown_minutes),
                                    CASE WHEN alerts_this_hour >= max_alerts_per_hour THEN hourly_reset_at END) AS held_until
                FROM alerts.alert_rules
                WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND is_active AND NOT is_paused
                FOR NO KEY UPDATE
            ), gate AS (
                SELECT id, held_until, coalesce(held_until <= $2, true) AS may_send FROM rule
            )
            UPDATE alerts.alert_rules r
            SET last_alert_sent_at = CASE WHEN may_send THEN $2 ELSE last_alert_sent_at END,
                alerts_this_hour = CASE WHEN NOT may_send THEN alerts_this_hour WHEN hourly_reset_at > $2 THEN alerts_this_hour + 1 ELSE 1 END,
                hourly_reset_at = CASE WHEN may_send AND coalesce(hourly_reset_at <= $2, true) THEN $2::timestamptz + interval '1 hour' ELSE hourly_reset_at END,
                suppressed_count = suppressed_count + ($3 AND NOT may_send AND NOT aggregation_enabled)::integer
            FROM gate
            WHERE r.tenant_id = kernel.current_tenant_id() AND r.id = gate.id
            RETURNING may_send, held_until, aggregation_enabled
            """;

        internal const string Add =
            """
            INSERT INTO alerts.alert_history AS h (
                tenant_id, id, rule_id, user_id, task_id, execution_id, alert_type, severity, priority, title, message, details, channels, status, triggered_at, created_at)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, '[]', $12, $13, $13)
            ON CONFLICT (tenant_id, rule_id) WHERE status = 'folding' DO UPDATE
            SET match_count = h.match_count + 1, task_id = excluded.task_id, execution_id = excluded.execution_id,
                details = CASE WHEN jsonb_array_length(h.details -> 'runs') < 100
                               THEN jsonb_build_object('runs', (h.details -> 'runs') || (excluded.details -> 'runs')) ELSE h.details END
            RETURNING *
            """;

        internal const string Tell =
            """
            UPDATE alerts.alert_history SET status = 'pending', title = $2, message = $3, severity = $4, priority = $5, triggered_at = $6
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND status = 'folding'
            RETURNING *
            """;

        internal const string Deliver =
            """
            WITH told AS (
                UPDATE alerts.alert_history SET channels = $8 WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            )
            INSERT INTO alerts.alert_delivery_queue (tenant_id, id, alert_history_id, channel, destination, payload, priority, scheduled_for, created_at)
            SELECT kernel.current_tenant_id(), p.id, $1, p.channel, p.destination, $5, $6, $7, $7
            FROM unnest($2::uuid[], $3::text[], $4::text[]) AS p (id, channel, destination)
            """;
    }
}
