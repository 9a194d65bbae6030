using System.Security.Cryptography;
using System.Text;

namespace AgentPlatform.Channels.Twilio;

/// <summary>
/// Twilio's request signature: HMAC-SHA1 over the public URL followed by the form's parameters sorted by name, in base64. A body that
/// is not a form is covered by the SHA-256 in the URL's <c>bodySHA256</c> parameter instead.
/// </summary>
public static class TwilioSignature
{
    public const string Header = "X-Twilio-Signature";

    public static string Sign(string authToken, string url, IEnumerable<KeyValuePair<string, string>> form)
    {
        var text = new StringBuilder(url);
        // Twilio's libraries sort by name and drop a repeated (name, value) pair.
        foreach (var (name, value) in form.Distinct().OrderBy(p => p.Key, StringComparer.Ordinal).ThenBy(p => p.Value, StringComparer.Ordinal))
        {
            text.Append(name).Append(value);
        }

#pragma warning disable CA5350 // Twilio defines the signature with SHA-1; as an HMAC it is not known to be forgeable.
        return Convert.ToBase64String(HMACSHA1.HashData(Encoding.UTF8.GetBytes(authToken), Encoding.UTF8.GetBytes(text.ToString())));
#pragma warning restore CA5350
    }

    /// <summary>True when one of the auth tokens (two while one is being rotated) signed exactly this request.</summary>
    public static bool Verify(IEnumerable<string> authTokens, IReadOnlyList<string> urls, IReadOnlyList<KeyValuePair<string, string>> form, string? signature)
    {
        if (string.IsNullOrEmpty(signature))
        {
            return false;
        }

        var presented = Encoding.ASCII.GetBytes(signature);
        return authTokens.Any(token => urls.Any(url => CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(Sign(token, url, form)), presented)));
    }

    /// <summary>The <c>bodySHA256</c> of a request whose body is not a form.</summary>
    public static bool BodyMatches(ReadOnlySpan<byte> body, string? bodySha256) =>
        bodySha256 is { Length: 64 }
        && CryptographicOperations.FixedTimeEquals(
            Encoding.ASCII.GetBytes(Convert.ToHexStringLower(SHA256.HashData(body))), Encoding.ASCII.GetBytes(bodySha256.ToLowerInvariant()));

    /// <summary>Twilio signs with or without the port, whichever its edge saw; its own libraries accept both.</summary>
    public static IReadOnlyList<string> WithAndWithoutPort(string url)
    {
        var uri = new Uri(url);
        var authority = url.IndexOf("//", StringComparison.Ordinal) + 2;
        var path = url.IndexOfAny(['/', '?'], authority);
        var rest = path < 0 ? "" : url[path..];
        return [url, $"{uri.Scheme}://{uri.Host}{rest}", $"{uri.Scheme}://{uri.Host}:{uri.Port}{rest}"];
    }
}
