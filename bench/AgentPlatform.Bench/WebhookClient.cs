using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace AgentPlatform.Bench;

/// <summary>Where the bench's messages go, and the secret they are signed with.</summary>
internal sealed record WebhookTarget(string Url, string AccountSid, string AuthToken, string To);

/// <summary>Sends text messages as Twilio does: form body, X-Twilio-Signature over address and sorted fields.</summary>
internal sealed class WebhookClient(WebhookTarget target) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.FromMinutes(5), UseProxy = false });
    private readonly byte[] _key = Encoding.UTF8.GetBytes(target.AuthToken);

    /// <summary>How long the answer took; anything but 200 is a failure of the run.</summary>
    internal async Task<TimeSpan> SendAsync(string from, string text)
    {
        using var request = Request(from, text);
        var start = Stopwatch.GetTimestamp();
        using var response = await _http.SendAsync(request);
        var took = Stopwatch.GetElapsedTime(start);
        return response.IsSuccessStatusCode ? took
            : throw new InvalidOperationException($"The webhook was answered with {(int)response.StatusCode}: {await response.Content.ReadAsStringAsync()}");
    }

    /// <summary>A distinct, valid number per message.</summary>
    internal static string Number(int series, int index) => string.Create(CultureInfo.InvariantCulture, $"+1{series:000}{2_000_000 + index:0000000}");

    public void Dispose() => _http.Dispose();

    /// <summary>The bytes of a request, signed: for a <see cref="WebhookConnection"/>.</summary>
    internal byte[] Bytes(string from, string text)
    {
        var (form, signature) = Signed(from, text);
        var url = new Uri(target.Url);
        var body = string.Join('&', form.Select(field => $"{Uri.EscapeDataString(field.Key)}={Uri.EscapeDataString(field.Value)}"));
        return Encoding.ASCII.GetBytes(
            $"POST {url.AbsolutePath} HTTP/1.1\r\nHost: {url.Authority}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            + $"X-Twilio-Signature: {signature}\r\nContent-Length: {body.Length}\r\n\r\n{body}");
    }

    private HttpRequestMessage Request(string from, string text)
    {
        var (form, signature) = Signed(from, text);
        return new HttpRequestMessage(HttpMethod.Post, target.Url) { Content = new FormUrlEncodedContent(form), Headers = { { "X-Twilio-Signature", signature } } };
    }

    private (SortedDictionary<string, string> Form, string Signature) Signed(string from, string text)
    {
        var sid = $"SM{RandomNumberGenerator.GetHexString(32, lowercase: true)}";
        var form = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["AccountSid"] = target.AccountSid,
            ["Body"] = text,
            ["From"] = from,
            ["MessageSid"] = sid,
            ["NumMedia"] = "0",
            ["To"] = target.To,
        };
        var signed = form.Aggregate(new StringBuilder(target.Url), (all, field) => all.Append(field.Key).Append(field.Value)).ToString();
#pragma warning disable CA5350 // X-Twilio-Signature is HMAC-SHA1 by Twilio's definition.
        var signature = Convert.ToBase64String(HMACSHA1.HashData(_key, Encoding.UTF8.GetBytes(signed)));
#pragma warning restore CA5350
        return (form, signature);
    }
}
