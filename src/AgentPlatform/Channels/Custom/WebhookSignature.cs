using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace AgentPlatform.Channels.Custom;

/// <summary>
/// Signatures of custom webhooks, in and out: Standard Webhooks 1.0 (<c>v1,</c> base64 of HMAC-SHA256 over <c>id.timestamp.body</c>),
/// or plain HMAC-SHA256 of the body in hex, as GitHub and many others send it.
/// </summary>
public static class WebhookSignature
{
    public const string IdHeader = "webhook-id";
    public const string TimestampHeader = "webhook-timestamp";
    public const string SignatureHeader = "webhook-signature";
    public const string PlainHeader = "X-Signature-256";

    public static readonly TimeSpan Tolerance = TimeSpan.FromMinutes(5);

    private const string SecretPrefix = "whsec_";

    /// <summary>A new secret in the form receivers expect: <c>whsec_</c> and 24 random bytes in base64.</summary>
    public static string NewSecret() => SecretPrefix + Convert.ToBase64String(RandomNumberGenerator.GetBytes(24));

    /// <summary>The <c>webhook-signature</c> of a message: one signature a secret, separated by spaces, so that receivers can rotate.</summary>
    public static string Sign(IEnumerable<string> secrets, string id, DateTimeOffset timestamp, ReadOnlySpan<byte> body)
    {
        var signed = Signed(id, timestamp.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture), body);
        return string.Join(' ', secrets.Select(secret => $"v1,{Convert.ToBase64String(HMACSHA256.HashData(Key(secret), signed))}"));
    }

    /// <summary>The plain signature: <c>sha256=</c> and the hex digest, with the secret's text as the key.</summary>
    public static string SignPlain(string secret, ReadOnlySpan<byte> body) =>
        $"sha256={Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), body))}";

    public static bool Verify(IReadOnlyList<string> secrets, string? id, string? timestamp, string? signatures, ReadOnlySpan<byte> body, DateTimeOffset now)
    {
        if (string.IsNullOrEmpty(id) || string.IsNullOrEmpty(signatures)
            || !long.TryParse(timestamp, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
            || Math.Abs(now.ToUnixTimeSeconds() - seconds) > Tolerance.TotalSeconds)
        {
            return false;
        }

        var signed = Signed(id, timestamp, body);
        var expected = secrets.Select(secret => Encoding.ASCII.GetBytes($"v1,{Convert.ToBase64String(HMACSHA256.HashData(Key(secret), signed))}")).ToList();
        return signatures.Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(Encoding.ASCII.GetBytes)
            .Any(presented => expected.Any(e => CryptographicOperations.FixedTimeEquals(e, presented)));
    }

    /// <summary>Accepts <c>sha256=hex</c> and the bare hex digest.</summary>
    public static bool VerifyPlain(IReadOnlyList<string> secrets, string? signature, ReadOnlySpan<byte> body)
    {
        if (string.IsNullOrEmpty(signature))
        {
            return false;
        }

        var hex = signature.StartsWith("sha256=", StringComparison.OrdinalIgnoreCase) ? signature[7..] : signature;
        var presented = Encoding.ASCII.GetBytes($"sha256={hex.Trim().ToLowerInvariant()}");
        foreach (var secret in secrets)
        {
            if (CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(SignPlain(secret, body)), presented))
            {
                return true;
            }
        }

        return false;
    }

    private static byte[] Signed(string id, string timestamp, ReadOnlySpan<byte> body) => [.. Encoding.UTF8.GetBytes($"{id}.{timestamp}."), .. body];

    // Standard Webhooks keys are base64 behind whsec_; a secret a customer chose is used as its text.
    private static byte[] Key(string secret)
    {
        if (!secret.StartsWith(SecretPrefix, StringComparison.Ordinal))
        {
            return Encoding.UTF8.GetBytes(secret);
        }

        var bytes = new byte[secret.Length];
        return Convert.TryFromBase64String(secret[SecretPrefix.Length..], bytes, out var written) ? bytes[..written] : Encoding.UTF8.GetBytes(secret);
    }
}
