using System.Reflection;
using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.LocalHost.Invocation;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.LocalHost.Http;

/// <summary><c>/admin</c>, opened by the master key: which functions there are and how the host does.</summary>
internal static class AdminEndpoints
{
    internal static void MapAdmin(this IEndpointRouteBuilder routes, FunctionCatalog catalog, HostKeys keys, HostJson host, TimeProvider clock)
    {
        var started = clock.GetTimestamp();
        var admin = routes.MapGroup("/admin").AddEndpointFilter(async (context, next) =>
            keys.Admits(context.HttpContext.Request, AuthorizationLevel.Admin, function: null)
                ? await next(context)
                : TypedResults.StatusCode(StatusCodes.Status401Unauthorized));

        admin.MapGet("/functions", (HttpRequest request) => TypedResults.Ok(catalog.All.Select(f => Describe(f, host, request))));
        admin.MapGet("/host/status", () => TypedResults.Ok(new
        {
            id = Environment.MachineName,
            state = "Running",
            version = typeof(AdminEndpoints).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion,
            processUptime = (long)clock.GetElapsedTime(started).TotalMilliseconds,
            functionCount = catalog.All.Count,
        }));
    }

    private static object Describe(LocalFunction function, HostJson host, HttpRequest request) => new
    {
        name = function.Name,
        language = "dotnet-isolated",
        isDisabled = false,
        href = $"{request.Scheme}://{request.Host}/admin/functions/{function.Name}",
        invoke_url_template = function.Trigger is HttpTriggerAttribute http
            ? $"{request.Scheme}://{request.Host}/{HttpFunctions.Route(function, http, host.RoutePrefix)}"
            : null,
        config = new { entryPoint = function.EntryPoint, bindings = new[] { Bindings(function) } },
    };

    private static Dictionary<string, object?> Bindings(LocalFunction function)
    {
        var binding = new Dictionary<string, object?>
        {
            ["type"] = function.Kind.Name,
            ["direction"] = "in",
            ["name"] = function.InputBindings.Keys.Single(),
        };
        switch (function.Trigger)
        {
            case HttpTriggerAttribute http:
                binding["authLevel"] = http.AuthLevel.ToString().ToLowerInvariant();
                binding["methods"] = http.Methods;
                binding["route"] = http.Route;
                break;
            case QueueTriggerAttribute queue:
                binding["queueName"] = queue.QueueName;
                break;
            case TimerTriggerAttribute timer:
                binding["schedule"] = timer.Schedule;
                binding["runOnStartup"] = timer.RunOnStartup;
                break;
        }

        return binding;
    }
}
