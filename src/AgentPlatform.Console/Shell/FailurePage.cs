using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Console.Shell;

/// <summary>A page for what no page answered, and for what went wrong. It says nothing about the cause; the log does.</summary>
internal sealed class FailurePage(RequestDelegate next, ILogger<FailurePage> log)
{
    public async Task InvokeAsync(HttpContext http)
    {
        try
        {
            await next(http);
        }
        catch (BadHttpRequestException e) when (!http.Response.HasStarted)
        {
            await Pages.Problem(e.StatusCode, "Not understood", "The request could not be read.").ExecuteAsync(http);
        }
        catch (Exception e) when (!http.Response.HasStarted && DatabaseProblem.Of(e) is { } problem)
        {
            log.PageFailed(RouteOf(http), e);
            http.Response.Clear();
            await Pages.Problem(problem.Status, problem.Title, problem.Status == StatusCodes.Status503ServiceUnavailable ? "Nothing was changed. Go back and try again." : "Nothing was changed.").ExecuteAsync(http);
        }
        catch (Exception e) when (e is not OperationCanceledException && !http.Response.HasStarted)
        {
            log.PageFailed(RouteOf(http), e);
            http.Response.Clear();
            await Pages.Problem(500, "Something went wrong", "It was logged. Nothing was sent or changed that you cannot see here.").ExecuteAsync(http);
        }

        if (http is { Response: { HasStarted: false, StatusCode: 404 or 405, ContentLength: null, ContentType: null } })
        {
            await (http.Response.StatusCode == 404 ? Pages.NotFound : Pages.Problem(405, "Not like this", "This address does not take that kind of request.")).ExecuteAsync(http);
        }
    }

    /// <summary>The template: what it stands for may be a token.</summary>
    private static string RouteOf(HttpContext http) => (http.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "(none)";
}
