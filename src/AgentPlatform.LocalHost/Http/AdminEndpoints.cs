using System.Reflection;
using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.LocalHost.Invocation;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.LocalHost.Http;

/// <summary><c>/admin</c>, opened by the master key: which functions there are, a run of one by hand, and how the host does.</summary>
internal static class AdminEndpoints
{
    internal static void MapAdmin(this IEndpointRouteBuilder routes, FunctionCatalog catalog, FunctionExecutor executor, HostKeys keys, HostJson host, TimeProvider clock, ILogger log)
    {
        var started = clock.GetTimestamp();
        var admin = routes.MapGroup("/admin").AddEndpointFilter(async (context, next) =>
            keys.Admits(context.HttpContext.Request, AuthorizationLevel.Admin, function: null)
                ? await next(context)
                : TypedResults.StatusCode(StatusCodes.Status401Unauthorized));

        admin.MapGet("/functions", (HttpRequest request) => TypedResults.Ok(catalog.All.Select(f => Describe(f, host, request))));
        admin.MapPost("/functions/{name}", async (string name, ManualRun run, CancellationToken ct) =>
            await RunAsync(catalog.All.FirstOrDefault(f => name.Equals(f.Name, StringComparison.OrdinalIgnoreCase)), run.Input ?? "", executor, clock, log, ct));
        admin.MapGet("/host/status", () => TypedResults.Ok(new
        {
            id = Environment.MachineName,
            state = "Running",
            version = typeof(AdminEndpoints).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion,
            processUptime = (long)clock.GetElapsedTime(started).TotalMilliseconds,
            functionCount = catalog.All.Count,
        }));
    }

    /// <summary>As on Azure the answer says that it was run, not how that went: a failure is in the log.</summary>
    private static async Task<IResult> RunAsync(LocalFunction? function, string input, FunctionExecutor executor, TimeProvider clock, ILogger log, CancellationToken ct)
    {
        if (function is null)
        {
            return TypedResults.NotFound();
        }

        if (function.Kind.ByHand(input, clock.GetUtcNow()) is not { } data)
        {
            return TypedResults.BadRequest($"{function.Name} is not a function that is run by hand: call its own endpoint.");
        }

        try
        {
            await executor.ExecuteAsync(function, data, ct);
        }
        catch (Exception e)
        {
            log.ManualRunFailed(function.Name, e);
        }

        return TypedResults.Accepted(uri: null as string);
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

    private sealed record ManualRun(string? Input);
}
