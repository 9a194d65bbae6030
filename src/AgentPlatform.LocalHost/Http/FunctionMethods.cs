using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Matching;

namespace AgentPlatform.LocalHost.Http;

/// <summary>The methods a function answers; endpoint metadata.</summary>
internal sealed record FunctionMethods(IReadOnlyList<string> Methods);

/// <summary>
/// Chooses between functions of one route by method. ASP.NET Core's own policy would answer 405 for a method nobody takes;
/// the Functions host answers 404, and so do we.
/// </summary>
internal sealed class FunctionMethodPolicy : MatcherPolicy, IEndpointSelectorPolicy
{
    public override int Order => -1000;

    public bool AppliesToEndpoints(IReadOnlyList<Endpoint> endpoints) => endpoints.Any(e => e.Metadata.GetMetadata<FunctionMethods>() is not null);

    public Task ApplyAsync(HttpContext httpContext, CandidateSet candidates)
    {
        for (var i = 0; i < candidates.Count; i++)
        {
            if (candidates.IsValidCandidate(i)
                && candidates[i].Endpoint.Metadata.GetMetadata<FunctionMethods>() is { } taken
                && !taken.Methods.Contains(httpContext.Request.Method, StringComparer.OrdinalIgnoreCase))
            {
                candidates.SetValidity(i, value: false);
            }
        }

        return Task.CompletedTask;
    }
}
