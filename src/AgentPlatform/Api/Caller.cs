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

    /// <summary>
    /// What a key does not do that was made for another member, nor what is made with it: act for its member beyond the tenant's daily work. Who made it has
    /// its secret, and would answer for two, or have the account and all its tenants (decision 0802).
    /// </summary>
    internal static IReadOnlyList<string> NotForOthers { get; } = ["-approvals", "-account", "-tenants"];

    /// <summary>Whether they are those of a member's own: what the account itself does, such as leaving, is for these.</summary>
    public static bool AreOwn(IReadOnlyCollection<string> granted) => !NotForOthers.Any(denied => granted.Contains(denied, StringComparer.Ordinal));

    /// <summary>Everything, with nothing taken away.</summary>
    public static bool AreAll(IReadOnlyCollection<string> granted) => granted.Contains(All, StringComparer.Ordinal) && !granted.Any(Denies);

    public static bool Allow(IReadOnlyCollection<string> granted, string needed) =>
        !granted.Contains($"-{needed.Split(':')[0]}", StringComparer.Ordinal)
        && granted.Any(scope => scope == All || scope == needed || (needed.EndsWith(":read", StringComparison.Ordinal) && scope == $"{needed[..^5]}:write"));

    [GeneratedRegex(@"^(\*|[a-z][a-z_]{0,40}:(read|write)|-[a-z][a-z_]{0,40})\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Shape();
}
