using System.Globalization;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Identity;

/// <summary>Bearer API keys and access tokens: who calls (401), how often (429), and whether this key may do this (403), in that order.</summary>
internal sealed class KeyAuthentication(
    RequestDelegate next, Authenticator authenticator, ClientOrigins origins, RequestLog log, IOptions<ApiOptions> options, TimeProvider clock)
{
    private const string Scheme = "Bearer ";

    public async Task InvokeAsync(HttpContext http)
    {
        var endpoint = http.GetEndpoint();
        if (endpoint is null || endpoint.Metadata.GetMetadata<PublicEndpoint>() is not null)
        {
            await next(http);
            return;
        }

        var name = $"{http.Request.Method} {http.Route()}";
        var authenticated = await authenticator.AuthenticateAsync(SecretOf(http), name, origins.Of(http) with { TraceId = RequestTrace.TraceIdOf(http) }, http.RequestAborted);
        if (authenticated.IsOk)
        {
            http.Features.Set(authenticated.Value);
            Record(http, authenticated.Value);
        }

        var refusal = authenticated.IsOk ? Limit(http, endpoint, authenticated.Value) ?? Permit(http, endpoint, authenticated.Value) : authenticated.Problem;
        await (refusal is null ? next(http) : ProblemWriter.WriteAsync(http, refusal));
    }

    /// <summary>The presented key or token, which is never logged; empty when there is none.</summary>
    internal static string SecretOf(HttpContext http) =>
        http.Request.Headers.Authorization.FirstOrDefault() is { } header && header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? header[Scheme.Length..].Trim() : "";

    /// <summary>Logs the request once its answer is complete. A request without a valid key has no tenant to log it for.</summary>
    private void Record(HttpContext http, Caller caller)
    {
        var (started, began, route) = (clock.GetUtcNow(), clock.GetTimestamp(), http.Route());
        http.Response.OnCompleted(() => log.AddAsync(
            caller.Actor.TenantId,
            new ApiRequest(
                clock.NewId(), caller.KeyId, caller.Actor.UserId, http.Request.Method, route, http.Response.StatusCode,
                (int)clock.GetElapsedTime(began).TotalMilliseconds, caller.Actor.Origin?.IpAddress, caller.Actor.Origin?.UserAgent,
                RequestTrace.TraceIdOf(http), started),
            CancellationToken.None).AsTask());
    }

    private Problem? Limit(HttpContext http, Endpoint endpoint, Caller caller)
    {
        var limit = endpoint.Metadata.GetMetadata<RateLimit>()?.RequestsPerMinute ?? options.Value.RequestsPerMinute;
        var left = caller.Rate.Ends - clock.GetUtcNow();
        var headers = http.Response.Headers;
        headers["RateLimit-Limit"] = limit.ToString(CultureInfo.InvariantCulture);
        headers["RateLimit-Remaining"] = Math.Max(0, limit - caller.Rate.Requests).ToString(CultureInfo.InvariantCulture);
        headers["RateLimit-Reset"] = Math.Max(0, (int)Math.Ceiling(left.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        return caller.Rate.Requests > limit ? Problem.TooManyRequests(left) : null;
    }

    private static Problem? Permit(HttpContext http, Endpoint endpoint, Caller caller)
    {
        var scope = endpoint.Metadata.GetMetadata<RequiredScope>()?.Scope;
        if (scope is not null && !Scopes.Allow(caller.Scopes, scope))
        {
            return new Problem("missing_scope", 403, "The API key lacks a scope.", $"This needs {scope}.");
        }

        var reads = HttpMethods.IsGet(http.Request.Method) || HttpMethods.IsHead(http.Request.Method);
        return caller.Actor.Role == "viewer" && !reads && endpoint.Metadata.GetMetadata<OpenToViewers>() is null ? Problem.Forbidden("read_only_role", "Viewers may read, not write.") : null;
    }
}
