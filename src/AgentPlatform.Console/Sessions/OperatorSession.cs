using AgentPlatform.Api;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Http;

namespace AgentPlatform.Console.Sessions;

/// <summary>Who is signed in, as far as pages need to know: never the key itself.</summary>
public sealed record OperatorSession(Actor Actor, Guid KeyId, IReadOnlyList<string> Scopes)
{
    /// <summary>What the role and the key's scopes allow together.</summary>
    public bool May(string scope) => Api.Scopes.Allow(Scopes, scope) && (Actor.Role != "viewer" || scope.EndsWith(":read", StringComparison.Ordinal));

    /// <summary>Owners and admins look after the workspace.</summary>
    public bool Manages => Actor.Role is "owner" or "admin";

    internal static OperatorSession Of(HttpContext http) =>
        http.Features.Get<OperatorSession>() ?? throw new InvalidOperationException("The endpoint is open to all, and nobody is signed in.");
}
