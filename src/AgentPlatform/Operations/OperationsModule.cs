using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Operations;

public static class OperationsModule
{
    /// <summary>
    /// The health report, to which every module adds an <see cref="IHealthSource"/>, the log of what agents did, of <see cref="IActionsLogSource"/>s, and
    /// that of recurring jobs.
    /// </summary>
    public static IServiceCollection AddOperations(this IServiceCollection services)
    {
        services.AddSingleton(p => new Jobs(p.GetRequiredService<Database>(), p.GetRequiredService<TimeProvider>()));
        services.AddSingleton<HealthReport>();
        services.AddSingleton<ActionsLog>();
        return services;
    }

    /// <summary>Under <c>/api/v1/operations</c>; and <c>/api/v1/agent-actions-log</c>.</summary>
    public static void MapOperations(this IEndpointRouteBuilder v1)
    {
        var operations = v1.MapGroup("/operations").WithTags("Operations");
        operations.MapGet("/health", async (HttpContext http, HealthReport report, CancellationToken ct) =>
            ((Result<HealthView>)await report.ReadAsync(http.Actor(), ct)).ToHttp())
            .RequireScope("operations:read").Describe("readHealth", "Counts and backlogs of the tenant, the schema, triggers and recurring jobs.").Produces<HealthView>();

        operations.MapGet("/jobs", async (HttpContext http, Jobs jobs, CancellationToken ct) =>
            ((Result<Page<JobStatus>>)await jobs.ListAsync(http.Actor(), ct)).ToHttp())
            .RequireScope("operations:read").Describe("listJobs", "The recurring jobs, with the last run of each.").Produces<Page<JobStatus>>();

        v1.MapGet("/agent-actions-log", LogAsync).WithTags("Audit").RequireScope("audit:read")
            .Describe("listAgentActionsLog", "Every call of a model, every execution of an action and every event, newest first, in one form.").Produces<Page<ActionsLogEntry>>();
    }

    private static Task<IResult> LogAsync(
        HttpContext http, Database database, ActionsLog log, CancellationToken ct, int? limit = null, string? cursor = null, string? action_type = null,
        Guid? context_id = null, string context_type = "conversation", Guid? agent_id = null, bool? failed = null) =>
        http.PageAsync(
            database, limit, cursor, (tx, page) => log.ListAsync(tx, new ActionsLogFilter(action_type, context_id, agent_id, failed, context_type), page, ct),
            new Validation().OneOf("action_type", action_type, required: false, ActionsLog.ActionTypes).Text("context_type", context_type, 100).Problem);
}
