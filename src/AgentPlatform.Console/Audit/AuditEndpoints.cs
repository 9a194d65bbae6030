using AgentPlatform.Audit;
using AgentPlatform.Console.Sessions;
using AgentPlatform.Console.Shell;
using AgentPlatform.Console.Sops;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Console.Audit;

/// <summary>Who changed what, and what threatens the workspace: for its owners and admins, who resolve threats here.</summary>
internal static class AuditEndpoints
{
    private const int PerPage = 50;

    internal static void MapAudit(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/console/audit", ListAsync).WithMetadata(new NeedsScope("audit:read"));
        endpoints.MapPost("/console/audit/events/{id:guid}/resolve", ResolveAsync).WithMetadata(new NeedsScope("audit:write"));
    }

    private static Task<IResult> ListAsync(HttpContext http, ReadAudit audit, string? entity, string? cursor, CancellationToken ct) =>
        PageAsync(http, audit, entity, cursor, refusal: null, ct);

    private static async Task<IResult> ResolveAsync(HttpContext http, SecurityEvents events, ReadAudit audit, Guid id, CancellationToken ct)
    {
        var session = OperatorSession.Of(http);
        if (!session.Manages)
        {
            return NotYours;
        }

        var form = await http.Request.ReadFormAsync(ct);
        var resolved = await events.ResolveAsync(session.Actor, id, new Resolution(form["notes"].ToString()), ct);
        return resolved.IsOk ? Pages.See("/console/audit") : await PageAsync(http, audit, entity: null, cursor: null, resolved.Problem, ct);
    }

    private static async Task<IResult> PageAsync(HttpContext http, ReadAudit audit, string? entity, string? cursor, Problem? refusal, CancellationToken ct)
    {
        var session = OperatorSession.Of(http);
        var page = PageRequest.Parse(PerPage, cursor);
        if (!session.Manages || !page.IsOk)
        {
            return session.Manages ? Pages.NotFound : NotYours;
        }

        var type = entity?.Trim() is { Length: > 0 } given ? given : null;
        var overview = await audit.ReadAsync(session.Actor, new AuditFilter(null, null, type, null, null, null), page.Value, ct);
        return new RazorComponentResult<AuditPage>(new { Overview = overview, Entity = type, MayResolve = session.May("audit:write"), Error = SopEndpoints.Words(refusal) })
        {
            StatusCode = refusal?.Status,
        };
    }

    private static IResult NotYours => Pages.Problem(403, "Not with this key", "Only owners and admins read the audit.");
}
