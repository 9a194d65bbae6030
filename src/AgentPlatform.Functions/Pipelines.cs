using AgentPlatform.Api;
using AgentPlatform.Console;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Functions;

/// <summary>The ASP.NET Core pipelines behind functions. Each is built once, at its first request, and serves every later one.</summary>
public sealed class Pipelines(IServiceProvider services)
{
    private readonly Lazy<RequestDelegate> _api = new(() => ApiPipeline.Build(services));

    private readonly Lazy<RequestDelegate> _console = new(() => ConsolePipeline.Build(services));

    /// <summary>The REST API.</summary>
    public Task<IResult> ApiAsync(HttpContext http) => RunAsync(_api.Value, http);

    /// <summary>The web pages.</summary>
    public Task<IResult> ConsoleAsync(HttpContext http) => RunAsync(_console.Value, http);

    // The runtime has matched the function's own route already. The pipeline routes anew, and would take that match for its own.
    private static async Task<IResult> RunAsync(RequestDelegate pipeline, HttpContext http)
    {
        http.SetEndpoint(null);
        http.Request.RouteValues = new RouteValueDictionary();
        await pipeline(http);
        return Results.Empty;
    }
}
