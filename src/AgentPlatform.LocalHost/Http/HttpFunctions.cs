using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.LocalHost.Invocation;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Mvc.Abstractions;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.LocalHost.Http;

/// <summary>An endpoint for each HTTP-triggered function: key check, execution, result.</summary>
internal sealed class HttpFunctions(FunctionCatalog catalog, FunctionExecutor executor, HostKeys keys, HostJson host, ILogger<HttpFunctions> log)
{
    internal IEnumerable<Endpoint> Endpoints() => catalog.Of<HttpTriggerAttribute>().Select(f => Endpoint(f.Function, f.Trigger));

    /// <summary>The whole route template of a function, without a leading slash.</summary>
    internal static string Route(LocalFunction function, HttpTriggerAttribute trigger, string prefix)
    {
        var route = (trigger.Route ?? function.Name).TrimStart('/');
        return prefix.Length == 0 ? route : $"{prefix}/{route}";
    }

    private RouteEndpoint Endpoint(LocalFunction function, HttpTriggerAttribute trigger)
    {
        RoutePattern pattern;
        try
        {
            pattern = RoutePatternFactory.Parse(Route(function, trigger, host.RoutePrefix));
        }
        catch (RoutePatternException e)
        {
            throw new SettingException($"Function {function.Name}: bad route '{e.Pattern}': {e.Message}");
        }

        var endpoint = new RouteEndpointBuilder(http => RunAsync(function, trigger.AuthLevel, http), pattern, order: 0) { DisplayName = function.Name };
        if (trigger.Methods is { Length: > 0 } methods)
        {
            endpoint.Metadata.Add(new FunctionMethods(methods));
        }

        return (RouteEndpoint)endpoint.Build();
    }

    private async Task RunAsync(LocalFunction function, AuthorizationLevel level, HttpContext http)
    {
        if (!keys.Admits(http.Request, level, function.Name))
        {
            http.Response.StatusCode = StatusCodes.Status401Unauthorized;
            return;
        }

        try
        {
            var result = await executor.ExecuteAsync(
                function, HttpTriggerKind.Data(http), http.RequestServices, new(FunctionContextExtensions.HttpContextKey, http), http.RequestAborted);
            await WriteAsync(result, http);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client is gone; there is nobody to answer.
        }
        catch (BadHttpRequestException e) when (!http.Response.HasStarted)
        {
            http.Response.Clear();
            http.Response.StatusCode = e.StatusCode;
        }
        catch (Exception e)
        {
            log.FunctionFailed(function.Name, http.TraceIdentifier, e);
            Fail(http);
        }
    }

    // A response that has begun can only be cut off, so that the client does not take it for a whole one.
    private static void Fail(HttpContext http)
    {
        if (http.Response.HasStarted)
        {
            http.Abort();
            return;
        }

        http.Response.Clear();
        http.Response.StatusCode = StatusCodes.Status500InternalServerError;
    }

    private static Task WriteAsync(object? result, HttpContext http) => result switch
    {
        null => Task.CompletedTask,
        IResult typed => typed.ExecuteAsync(http),
        IActionResult action => action.ExecuteResultAsync(new ActionContext(http, http.GetRouteData(), new ActionDescriptor())),
        string text => http.Response.WriteAsync(text, http.RequestAborted),
        _ => http.Response.WriteAsJsonAsync(result, result.GetType(), http.RequestAborted),
    };
}
