using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Alerts;

internal static class AlertsApi
{
    internal const string Read = "alerts:read";
    internal const string Write = "alerts:write";

    internal static void Map(IEndpointRouteBuilder v1)
    {
        MapRules(v1.MapGroup("/alert-rules").WithTags("Alerts"));
        MapAlerts(v1.MapGroup("").WithTags("Alerts"));
        MapNotifications(v1.MapGroup("/notifications").WithTags("Alerts"));
    }

    private static void MapRules(RouteGroupBuilder rules)
    {
        rules.MapGet("", (HttpContext http, Database database, CancellationToken ct, string? rule_type = null, int? limit = null, string? cursor = null) =>
            http.PageAsync(
                database, limit, cursor, (tx, page) => ManageRules.ListAsync(tx, rule_type, page, ct),
                new Validation().OneOf("rule_type", rule_type, required: false, RuleCondition.Types).Problem))
            .RequireScope(Read).Describe("listAlertRules", "Rules, newest first, with when they last sent and what they suppressed.").Produces<Page<AlertRule>>();
        rules.MapPost("", async (HttpContext http, ManageRules manage, AlertRuleInput body, CancellationToken ct) =>
            (await manage.CreateAsync(http.Actor(), body, ct)).ToCreated(r => $"/api/v1/alert-rules/{r.Id}", r => r.ChangedAt))
            .RequireScope(Write).Describe("createAlertRule", "Be told of how scheduled tasks run.").Produces<AlertRule>(201);
        rules.MapGet("/{id:guid}", (HttpContext http, Database database, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => ManageRules.FindAsync(tx, id, ct), "alert_rule", r => r.ChangedAt))
            .RequireScope(Read).Describe("readAlertRule", "One rule.").Produces<AlertRule>();
        rules.MapPut("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageRules manage, Guid id, AlertRuleInput body, CancellationToken ct) =>
            (await manage.ReplaceAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(r => r.ChangedAt))
            .RequireScope(Write).Describe("replaceAlertRule", "Change a rule; what it last sent still counts.").Produces<AlertRule>();
        rules.MapDelete("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageRules manage, Guid id, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope(Write).Describe("deleteAlertRule", "Delete a rule with its alerts, their deliveries and notifications.").Produces(StatusCodes.Status204NoContent);
        rules.MapPost("/{id:guid}/pause", async (HttpContext http, IfMatch ifMatch, ManageRules manage, Guid id, CancellationToken ct) =>
            (await manage.PauseAsync(http.Actor(), id, ifMatch, ct)).ToHttp(r => r.ChangedAt))
            .RequireScope(Write).Describe("pauseAlertRule", "Look at no run until it is resumed.").Produces<AlertRule>();
        rules.MapPost("/{id:guid}/resume", async (HttpContext http, IfMatch ifMatch, ManageRules manage, Guid id, CancellationToken ct) =>
            (await manage.ResumeAsync(http.Actor(), id, ifMatch, ct)).ToHttp(r => r.ChangedAt))
            .RequireScope(Write).Describe("resumeAlertRule", "Look at runs again; what was folded before is told.").Produces<AlertRule>();
    }

    private static void MapAlerts(RouteGroupBuilder alerts)
    {
        alerts.MapGet("/alerts", ListAsync).RequireScope(Read).Describe("listAlerts", "What was raised, newest first.").Produces<Page<Alert>>();
        alerts.MapGet("/alerts/{id:guid}", (HttpContext http, Database database, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => ManageAlerts.FindAsync(tx, id, ct), "alert"))
            .RequireScope(Read).Describe("readAlert", "One alert, with the runs it tells of and how it was delivered.").Produces<Alert>();
        alerts.MapPost("/alerts/{id:guid}/acknowledge", async (HttpContext http, ManageAlerts manage, Guid id, CancellationToken ct) =>
            (await manage.AcknowledgeAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope(Write).Describe("acknowledgeAlert", "Say that you look after it; once.").Produces<Alert>();
        alerts.MapDelete("/alerts/{id:guid}", async (HttpContext http, ManageAlerts manage, Guid id, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), id, ct)).ToNoContent())
            .RequireScope(Write).Describe("deleteAlert", "Delete an alert with its deliveries and notifications.").Produces(StatusCodes.Status204NoContent);
        alerts.MapGet("/alert-deliveries", DeliveriesAsync).RequireScope(Read).Describe("listAlertDeliveries", "Where alerts went, or are to go, newest first.").Produces<Page<AlertDelivery>>();
    }

    private static void MapNotifications(RouteGroupBuilder notifications)
    {
        notifications.MapGet("", (HttpContext http, Database database, Notifications own, CancellationToken ct, bool? unread = null, int? limit = null, string? cursor = null) =>
            http.PageAsync(database, limit, cursor, (tx, page) => own.ListAsync(tx, http.Actor().UserId, unread ?? false, page, ct)))
            .RequireScope(Read).Describe("listNotifications", "Your own notifications that are neither dismissed nor expired, newest first.").Produces<Page<Notification>>();
        notifications.MapPost("/{id:guid}/read", async (HttpContext http, Notifications own, Guid id, CancellationToken ct) =>
            (await own.ReadAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope(Write).Describe("readNotification", "Mark one of your notifications as read.").Produces<Notification>();
        notifications.MapPost("/{id:guid}/dismiss", async (HttpContext http, Notifications own, Guid id, CancellationToken ct) =>
            (await own.DismissAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope(Write).Describe("dismissNotification", "Take one of your notifications off the list.").Produces<Notification>();
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, CancellationToken ct, string? status = null, string? severity = null, Guid? rule_id = null, Guid? task_id = null,
        bool? acknowledged = null, int? limit = null, string? cursor = null) => http.PageAsync(
            database, limit, cursor, (tx, page) => ManageAlerts.ListAsync(tx, new AlertFilter(status, severity, rule_id, task_id, acknowledged), page, ct),
            new Validation().OneOf("status", status, required: false, Alert.Statuses).OneOf("severity", severity, required: false, AlertRule.Severities).Problem);

    private static Task<IResult> DeliveriesAsync(
        HttpContext http, Database database, CancellationToken ct, Guid? alert_id = null, string? status = null, int? limit = null, string? cursor = null) => http.PageAsync(
            database, limit, cursor, (tx, page) => ManageAlerts.DeliveriesAsync(tx, alert_id, status, page, ct),
            new Validation().OneOf("status", status, required: false, AlertDelivery.Statuses).Problem);
}
