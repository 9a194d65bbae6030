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
    /// <summary>The health report, to which every module adds an <see cref="IHealthSource"/>, and the log of recurring jobs.</summary>
    public static IServiceCollection AddOperations(this IServiceCollection services)
    {
        services.AddSingleton(p => new Jobs(p.GetRequiredService<Database>(), p.GetRequiredService<TimeProvider>()));
        services.AddSingleton<HealthReport>();
        return services;
    }

    /// <summary>Under <c>/api/v1/operations</c>.</summary>
    public static void MapOperations(this IEndpointRouteBuilder v1)
    {
        var operations = v1.MapGroup("/operations").WithTags("Operations");
        operations.MapGet("/health", async (HttpContext http, HealthReport report, CancellationToken ct) =>
            ((Result<HealthView>)await report.ReadAsync(http.Actor(), ct)).ToHttp())
            .RequireScope("operations:read").Describe("readHealth", "Counts and backlogs of the tenant, the schema, triggers and recurring jobs.").Produces<HealthView>();

        operations.MapGet("/jobs", async (HttpContext http, Jobs jobs, CancellationToken ct) =>
            ((Result<Page<JobStatus>>)await jobs.ListAsync(http.Actor(), ct)).ToHttp())
            .RequireScope("operations:read").Describe("listJobs", "The recurring jobs, with the last run of each.").Produces<Page<JobStatus>>();
    }
}
