using System.Security.Cryptography;

namespace AgentPlatform.Identity.Login;

/// <summary>
/// The form of the tokens of a session: <c>aps_</c> (access) or <c>apr_</c> (refresh), a part of 22 characters (131 bits) that lasts as long as the session,
/// and 43 (256 bits) that are new with each token. Only hashes of the whole are stored. What is sealed for the caller is sealed with the lasting part,
/// which the server knows only while a token is presented, so that it can be opened after a refresh.
/// </summary>
internal static class SessionTokens
{
    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    private const string AccessPrefix = "aps_";
    private const string RefreshPrefix = "apr_";
    private const int LastingLength = 22;
    private const int SecretLength = 43;
    private const int Length = 4 + LastingLength + 1 + SecretLength;

    internal static string NewLastingPart() => RandomNumberGenerator.GetString(Alphabet, LastingLength);

    internal static string NewAccess(string lasting) => New(AccessPrefix, lasting);

    internal static string NewRefresh(string lasting) => New(RefreshPrefix, lasting);

    internal static bool IsAccess(string? text) => IsOf(AccessPrefix, text);

    internal static bool IsRefresh(string? text) => IsOf(RefreshPrefix, text);

    /// <summary>The part that outlives a token; an API key lasts as a whole.</summary>
    internal static string LastingPartOf(string secret) => IsAccess(secret) || IsRefresh(secret) ? secret.Substring(4, LastingLength) : secret;

    private static string New(string prefix, string lasting) => $"{prefix}{lasting}_{RandomNumberGenerator.GetString(Alphabet, SecretLength)}";

    private static bool IsOf(string prefix, string? text) =>
        text is { Length: Length } && text.StartsWith(prefix, StringComparison.Ordinal) && text.AsSpan(4).IndexOfAnyExcept(Shape) < 0;

    private static readonly System.Buffers.SearchValues<char> Shape = System.Buffers.SearchValues.Create(Alphabet + "_");
}
