using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Http;

namespace AgentPlatform.Audit;

/// <summary>
/// Logs requests to endpoints marked <see cref="ApiConventions.Sensitive"/> with what came of them, before their answer leaves. Who presents no
/// valid key is nobody here: the key, if it ever was one, is a matter of the <see cref="ThreatLog"/>.
/// </summary>
internal sealed class SensitiveRequests(RequestDelegate next, SecurityLog log)
{
    public Task InvokeAsync(HttpContext http)
    {
        if (http.GetEndpoint()?.Metadata.GetMetadata<SensitiveEndpoint>() is { } sensitive)
        {
            http.Response.OnStarting(() => http.Features.Get<Caller>() is { } caller
                ? log.WriteAsync(OperationOf(http, sensitive, caller.Actor), CancellationToken.None)
                : Task.CompletedTask);
        }

        return next(http);
    }

    private static SensitiveOperation OperationOf(HttpContext http, SensitiveEndpoint sensitive, Actor actor)
    {
        var problem = http.Features.Get<Problem>();
        return new SensitiveOperation(actor.TenantId, actor.UserId, sensitive.Action, sensitive.ResourceType, ResourceOf(http), problem?.Title)
        {
            Details = new { http.Request.Method, Route = http.Route(), Status = http.Response.StatusCode, problem?.Code, actor.Origin?.ApiKeyId, actor.Origin?.SessionId },
            Origin = actor.Origin,
        };
    }

    /// <summary>The one in the address, else the one that was made; null when none was.</summary>
    private static string? ResourceOf(HttpContext http) =>
        http.Request.RouteValues.Values.OfType<string>().LastOrDefault() ?? http.Response.Headers.Location.ToString().Split('/') switch
        {
            [.., { Length: > 0 } made] => made,
            _ => null,
        };
}
