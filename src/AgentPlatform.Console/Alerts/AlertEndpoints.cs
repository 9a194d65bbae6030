using AgentPlatform.Alerts;
using AgentPlatform.Console.Sessions;
using AgentPlatform.Console.Shell;
using AgentPlatform.Console.Sops;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Console.Alerts;

/// <summary>What a member is told, and an alert with where it went and who looks after it.</summary>
internal static class AlertEndpoints
{
    private const string Read = "alerts:read";
    private const string Write = "alerts:write";
    private const int PerPage = 50;

    internal static void MapAlerts(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/console/notifications", ListAsync).WithMetadata(new NeedsScope(Read));
        endpoints.MapPost("/console/notifications/{id:guid}/read", async (HttpContext http, Notifications own, Guid id, CancellationToken ct) =>
            Listed(await own.ReadAsync(OperatorSession.Of(http).Actor, id, ct))).WithMetadata(new NeedsScope(Write));
        endpoints.MapPost("/console/notifications/{id:guid}/dismiss", async (HttpContext http, Notifications own, Guid id, CancellationToken ct) =>
            Listed(await own.DismissAsync(OperatorSession.Of(http).Actor, id, ct))).WithMetadata(new NeedsScope(Write));
        endpoints.MapGet("/console/alerts/{id:guid}", (HttpContext http, Database database, Guid id, CancellationToken ct) => ShowAsync(http, database, id, refusal: null, ct))
            .WithMetadata(new NeedsScope(Read));
        endpoints.MapPost("/console/alerts/{id:guid}/acknowledge", AcknowledgeAsync).WithMetadata(new NeedsScope(Write));
    }

    private static async Task<IResult> ListAsync(HttpContext http, Database database, Notifications own, string? cursor, CancellationToken ct)
    {
        var page = PageRequest.Parse(PerPage, cursor);
        if (!page.IsOk)
        {
            return Pages.NotFound;
        }

        var session = OperatorSession.Of(http);
        await using var tx = database.Begin(session.Actor);
        return new RazorComponentResult<NotificationsPage>(new
        {
            Told = await own.ListAsync(tx, session.Actor.UserId, unreadOnly: false, page.Value, ct),
            MayWrite = session.May(Write),
        });
    }

    private static async Task<IResult> AcknowledgeAsync(HttpContext http, Database database, ManageAlerts alerts, Guid id, CancellationToken ct)
    {
        var acknowledged = await alerts.AcknowledgeAsync(OperatorSession.Of(http).Actor, id, ct);
        return acknowledged.IsOk ? Pages.See($"/console/alerts/{id}") : await ShowAsync(http, database, id, acknowledged.Problem, ct);
    }

    private static async Task<IResult> ShowAsync(HttpContext http, Database database, Guid id, Problem? refusal, CancellationToken ct)
    {
        var session = OperatorSession.Of(http);
        await using var tx = database.Begin(session.Actor);
        return await ManageAlerts.FindAsync(tx, id, ct) is not { } alert
            ? Pages.NotFound
            : new RazorComponentResult<AlertPage>(new
            {
                Alert = alert,
                Deliveries = (await ManageAlerts.DeliveriesAsync(tx, id, status: null, PageRequest.Parse(PerPage, cursor: null).Value, ct)).Items,
                MayWrite = session.May(Write),
                Error = SopEndpoints.Words(refusal),
            })
            { StatusCode = refusal?.Status };
    }

    private static IResult Listed(Result<Notification> changed) => changed.IsOk ? Pages.See("/console/notifications") : Pages.NotFound;
}
