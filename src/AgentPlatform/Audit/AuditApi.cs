using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Audit;

internal static class AuditApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var group = v1.MapGroup("").WithTags("Audit").AddEndpointFilter(ManagersOnlyAsync);
        group.MapGet("/audit-logs", ChangesAsync)
            .RequireScope("audit:read").Describe("listAuditLogs", "List who changed what, newest first.").Produces<Page<AuditEntry>>();
        group.MapGet("/audit-logs/{id:guid}", (HttpContext http, Database database, Guid id, CancellationToken ct) =>
                http.OneAsync(database, tx => AuditLog.FindAsync(tx, id, ct), "audit_log"))
            .RequireScope("audit:read").Describe("getAuditLog", "Read a change, with the values before and after it.").Produces<AuditEntry>();
        group.MapGet("/security-audit-log", OperationsAsync)
            .RequireScope("audit:read").Describe("listSecurityAuditLog", "List sensitive operations, done and refused, newest first.").Produces<Page<SecurityEntry>>();
        group.MapGet("/security-audit-log/{id:guid}", (HttpContext http, Database database, Guid id, CancellationToken ct) =>
                http.OneAsync(database, tx => SecurityLog.FindAsync(tx, id, ct), "security_audit_log"))
            .RequireScope("audit:read").Describe("getSecurityAuditLog", "Read a sensitive operation.").Produces<SecurityEntry>();
        group.MapGet("/security-events", ThreatsAsync)
            .RequireScope("audit:read").Describe("listSecurityEvents", "List threats, newest first.").Produces<Page<SecurityEvent>>();
        group.MapGet("/security-events/{id:guid}", (HttpContext http, Database database, Guid id, CancellationToken ct) =>
                http.OneAsync(database, tx => SecurityEvents.FindAsync(tx, id, ct), "security_event"))
            .RequireScope("audit:read").Describe("getSecurityEvent", "Read a threat.").Produces<SecurityEvent>();
        group.MapPost("/security-events/{id:guid}/resolve", async (HttpContext http, SecurityEvents events, Guid id, Resolution body, CancellationToken ct) =>
                (await events.ResolveAsync(http.Actor(), id, body, ct)).ToHttp())
            .RequireScope("audit:write").Describe("resolveSecurityEvent", "Resolve a threat, once; what goes on is a new one.").Produces<SecurityEvent>();
    }

    private static Task<IResult> ChangesAsync(
        HttpContext http, Database database, CancellationToken ct, int? limit = null, string? cursor = null, Guid? user_id = null, string? action = null,
        string? entity_type = null, string? entity_id = null, DateTimeOffset? from = null, DateTimeOffset? to = null) =>
        http.PageAsync(
            database, limit, cursor, (tx, page) => AuditLog.ListAsync(tx, new(user_id, action, entity_type, entity_id, from, to), page, ct),
            new Validation().OneOf("action", action, required: false, "create", "update", "delete").Problem);

    private static Task<IResult> OperationsAsync(
        HttpContext http, Database database, CancellationToken ct, int? limit = null, string? cursor = null, Guid? user_id = null, string? action = null,
        string? resource_type = null, bool? success = null, DateTimeOffset? from = null, DateTimeOffset? to = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => SecurityLog.ListAsync(tx, new(user_id, action, resource_type, success, from, to), page, ct));

    private static Task<IResult> ThreatsAsync(
        HttpContext http, Database database, CancellationToken ct, int? limit = null, string? cursor = null, string? event_type = null, string? severity = null,
        bool? resolved = null, DateTimeOffset? from = null, DateTimeOffset? to = null) =>
        http.PageAsync(
            database, limit, cursor, (tx, page) => SecurityEvents.ListAsync(tx, new(event_type, severity, resolved, from, to), page, ct),
            new Validation().OneOf("severity", severity, required: false, "low", "medium", "high").Problem);

    /// <summary>Row level security shows others nothing; this tells them why.</summary>
    private static async ValueTask<object?> ManagersOnlyAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next) =>
        context.HttpContext.Actor().Role is "owner" or "admin" ? await next(context) : Problem.Forbidden("managers_only", "Only owners and admins read the audit.").ToHttp();
}
