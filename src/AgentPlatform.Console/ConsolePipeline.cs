using AgentPlatform.Console.Agents;
using AgentPlatform.Console.Alerts;
using AgentPlatform.Console.Approvals;
using AgentPlatform.Console.Audit;
using AgentPlatform.Console.Queues;
using AgentPlatform.Console.Sessions;
using AgentPlatform.Console.Shell;
using AgentPlatform.Console.Simulator;
using AgentPlatform.Console.Sops;
using AgentPlatform.Console.Verification;
using AgentPlatform.Console.Workflows;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Console;

/// <summary>The web pages as one request delegate, which the functions <c>console/{*path}</c>, <c>simulator/{*path}</c>, <c>workflows/{*path}</c> and <c>verify/{*path}</c> run. Build it once.</summary>
public static class ConsolePipeline
{
    public static RequestDelegate Build(IServiceProvider services)
    {
        var app = new ApplicationBuilder(services);
        app.UseMiddleware<PublicScheme>();
        app.UseMiddleware<SecurityHeaders>();
        app.UseMiddleware<FailurePage>();
        app.UseRouting();
        app.UseMiddleware<SessionGate>();
        app.UseMiddleware<FormGuard>();
        app.UseEndpoints(Map);
        return app.Build();
    }

    private static void Map(IEndpointRouteBuilder endpoints)
    {
        endpoints.ServiceProvider.GetRequiredService<StaticAssets>().Map(endpoints);
        endpoints.MapSessions();
        endpoints.MapPasswords();
        endpoints.MapShell();
        endpoints.MapSimulator();
        endpoints.MapWorkflows();
        endpoints.MapSops();
        endpoints.MapAgents();
        endpoints.MapApprovals();
        endpoints.MapWork();
        endpoints.MapAudit();
        endpoints.MapAlerts();
        endpoints.MapVerification();
    }
}

/// <summary>
/// Marks an endpoint that anybody may call. Who is signed in is not looked at: a page that a mailed link opens comes without the cookie of the session, and its
/// form with it, and both must be the same visitor's.
/// </summary>
internal sealed record OpenToAll
{
    /// <summary>It is about the session itself.</summary>
    internal bool TakesSession { get; init; }
}

/// <summary>What the operator's key must allow.</summary>
internal sealed record NeedsScope(string Scope);
