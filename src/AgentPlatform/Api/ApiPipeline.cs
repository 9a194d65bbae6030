using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Api;

/// <summary>The REST API as one request delegate, which the function <c>api/{*path}</c> runs. Build it once.</summary>
public static class ApiPipeline
{
    public const string Prefix = "/api/v1";

    public static RequestDelegate Build(IServiceProvider services)
    {
        var app = new ApplicationBuilder(services);
        app.UseMiddleware<RequestTrace>();
        app.UseMiddleware<ProblemWriter>();
        app.UseRouting();
        services.GetRequiredService<ApiRoutes>().UseIdentity(app);
        app.UseEndpoints(Map);
        return app.Build();
    }

    private static void Map(IEndpointRouteBuilder endpoints)
    {
        endpoints.MapOpenApi("/api/openapi.json").WithMetadata(new PublicEndpoint());
        var v1 = endpoints.MapGroup(Prefix);
        endpoints.ServiceProvider.GetRequiredService<ApiRoutes>().Map(v1);
    }
}

/// <summary>Marks an endpoint that asks for no key.</summary>
internal sealed record PublicEndpoint;
