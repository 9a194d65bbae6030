using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace AgentPlatform.Identity;

/// <summary>A key as it may be shown: never its secret, which exists only in the hands of who created it.</summary>
public sealed record ApiKey(
    Guid Id,
    Guid UserId,
    string Name,
    string Prefix,
    string Role,
    string[] Scopes,
    DateTimeOffset? ExpiresAt,
    DateTimeOffset? LastUsedAt,
    DateTimeOffset? RevokedAt,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt);

/// <summary>A key just made, with its secret: the only time it is shown.</summary>
public sealed record IssuedKey(ApiKey Key, string Secret);

/// <summary>The form of a key: <c>ap_</c>, eight characters that identify it, and forty (238 bits) that are its secret.</summary>
internal static partial class KeyFormat
{
    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    private const int PrefixLength = 11;

    internal static string Create() => $"ap_{RandomNumberGenerator.GetString(Alphabet, 8)}_{RandomNumberGenerator.GetString(Alphabet, 40)}";

    internal static string PrefixOf(string secret) => secret[..PrefixLength];

    internal static bool IsValid(string text) => Shape().IsMatch(text);

    /// <summary>SHA-256 without salt suffices: the secret is random, there is no dictionary to try.</summary>
    internal static string Hash(string secret) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(secret)));

    [GeneratedRegex(@"^ap_[A-Za-z0-9]{8}_[A-Za-z0-9]{40}\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Shape();
}

/// <summary>The roles of a tenant's members, by what they may do.</summary>
public static class Roles
{
    private static readonly string[] Ascending = ["viewer", "member", "admin", "owner"];

    public static bool IsValid(string role) => Ascending.Contains(role);

    /// <summary>The weaker of the two: a key never does more than its user, nor a user through a key more than the key.</summary>
    public static string Weaker(string a, string b) => Rank(a) <= Rank(b) ? a : b;

    public static bool AtLeast(string role, string needed) => Rank(role) >= Rank(needed);

    private static int Rank(string role) => role is "system" or "service" ? Ascending.Length : Array.IndexOf(Ascending, role);
}
