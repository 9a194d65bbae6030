using System.Text.RegularExpressions;
using AgentPlatform.Postgres;

namespace AgentPlatform.Api;

/// <summary>Who calls the API: the actor of its transactions, the key it came with, what the key may do, and how busy it has been.</summary>
/// <param name="KeyId">The id of the key; of the session, for a person who signed in.</param>
public sealed record Caller(Actor Actor, Guid KeyId, IReadOnlyList<string> Scopes, RateWindow Rate)
{
    /// <summary>The session whose access token was presented; null for a key.</summary>
    public Guid? SessionId { get; init; }
}

/// <summary>Requests of one user to one endpoint in the running window, this one included.</summary>
public sealed record RateWindow(int Requests, DateTimeOffset Ends);

/// <summary>
/// What a key may do: <c>resource:read</c>, <c>resource:write</c> (which includes reading) or <c>*</c>. <c>-resource</c> takes one away,
/// whatever else grants it.
/// </summary>
public static partial class Scopes
{
    public const string All = "*";

    public static bool IsValid(string scope) => Shape().IsMatch(scope);

    /// <summary>A scope that takes away.</summary>
    public static bool Denies(string scope) => scope.StartsWith('-');

    public static bool Allow(IReadOnlyCollection<string> granted, string needed) =>
        !granted.Contains($"-{needed.Split(':')[0]}", StringComparer.Ordinal)
        && granted.Any(scope => scope == All || scope == needed || (needed.EndsWith(":read", StringComparison.Ordinal) && scope == $"{needed[..^5]}:write"));

    [GeneratedRegex(@"^(\*|[a-z][a-z_]{0,40}:(read|write)|-[a-z][a-z_]{0,40})$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Shape();
}
