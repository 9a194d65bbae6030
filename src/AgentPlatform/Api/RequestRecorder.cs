using AgentPlatform.Identity;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Api;

/// <summary>Hands each request of a known caller to the request log when it has ended. A request without a valid key has no tenant to log it for.</summary>
internal sealed class RequestRecorder(RequestDelegate next, RequestLog log, TimeProvider clock)
{
    public async Task InvokeAsync(HttpContext http)
    {
        var (started, began) = (clock.GetUtcNow(), clock.GetTimestamp());
        await next(http);
        if (http.Features.Get<Caller>() is not { } caller)
        {
            return;
        }

        var request = new ApiRequest(
            clock.NewId(), caller.KeyId, caller.Actor.UserId, http.Request.Method, RouteOf(http), http.Response.StatusCode,
            (int)clock.GetElapsedTime(began).TotalMilliseconds, http.Connection.RemoteIpAddress?.ToString(),
            http.Request.Headers.UserAgent.FirstOrDefault(), RequestTrace.TraceIdOf(http), started);
        await log.AddAsync(caller.Actor.TenantId, request, CancellationToken.None);
    }

    /// <summary>The template, so that neither ids nor query strings are kept.</summary>
    internal static string RouteOf(HttpContext http) => (http.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "";
}
