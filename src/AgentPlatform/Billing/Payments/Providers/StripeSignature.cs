using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace AgentPlatform.Billing.Payments.Providers;

/// <summary>The header <c>Stripe-Signature</c>: <c>t=seconds,v1=hex</c>, of HMAC-SHA256 over <c>t.body</c>; several v1 while a secret is rolled.</summary>
internal static class StripeSignature
{
    private static readonly TimeSpan Tolerance = TimeSpan.FromMinutes(5);

    internal static string Sign(string secret, string body, DateTimeOffset at) => $"t={at.ToUnixTimeSeconds()},v1={Digest(secret, at.ToUnixTimeSeconds(), body)}";

    internal static bool IsGenuine(string secret, string header, string body, DateTimeOffset now)
    {
        var parts = header.Split(',').Select(p => p.Split('=', 2)).Where(p => p.Length == 2).ToLookup(p => p[0].Trim(), p => p[1].Trim(), StringComparer.Ordinal);
        return long.TryParse(parts["t"].FirstOrDefault(), NumberStyles.None, CultureInfo.InvariantCulture, out var at)
            && Math.Abs(now.ToUnixTimeSeconds() - at) <= Tolerance.TotalSeconds
            && parts["v1"].Any(v1 => CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(v1), Encoding.ASCII.GetBytes(Digest(secret, at, body))));
    }

    private static string Digest(string secret, long at, string body) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{at}.{body}"))));
}
