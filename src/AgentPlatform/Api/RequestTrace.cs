using System.Diagnostics;
using Microsoft.AspNetCore.Http;

namespace AgentPlatform.Api;

/// <summary>
/// Echoes the client's X-Request-Id (or names the request by its trace) and the traceparent, so that both sides can speak of the
/// same request.
/// </summary>
internal sealed class RequestTrace(RequestDelegate next)
{
    private const string RequestIdHeader = "X-Request-Id";
    private const int MaxRequestIdLength = 128;

    public Task InvokeAsync(HttpContext http)
    {
        var context = ContextOf(http);
        var requestId = http.Request.Headers[RequestIdHeader].FirstOrDefault() is { } given && IsHarmless(given) ? given : context.TraceId.ToHexString();
        http.Features.Set(new RequestNames(requestId, context.TraceId.ToHexString()));
        http.Response.OnStarting(() =>
        {
            http.Response.Headers[RequestIdHeader] = requestId;
            http.Response.Headers.TraceParent = $"00-{context.TraceId}-{context.SpanId}-{(int)context.TraceFlags:x2}";
            return Task.CompletedTask;
        });
        return next(http);
    }

    internal static string IdOf(HttpContext http) => http.Features.Get<RequestNames>()?.RequestId ?? http.TraceIdentifier;

    internal static string TraceIdOf(HttpContext http) => http.Features.Get<RequestNames>()?.TraceId ?? http.TraceIdentifier;

    /// <summary>The host's activity, else the trace the client is in, else a trace that begins here.</summary>
    private static ActivityContext ContextOf(HttpContext http)
    {
        if (Activity.Current is { IdFormat: ActivityIdFormat.W3C } activity)
        {
            return activity.Context;
        }

        var known = ActivityContext.TryParse(http.Request.Headers.TraceParent.FirstOrDefault(), null, out var given) && given.TraceId != default;
        return new ActivityContext(known ? given.TraceId : ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), known ? given.TraceFlags : ActivityTraceFlags.None);
    }

    private static bool IsHarmless(string id) =>
        id.Length is > 0 and <= MaxRequestIdLength && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or ':');

    private sealed record RequestNames(string RequestId, string TraceId);
}
