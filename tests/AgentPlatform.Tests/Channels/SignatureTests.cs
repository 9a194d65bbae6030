using System.Text;
using AgentPlatform.Channels.Custom;
using AgentPlatform.Channels.Twilio;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Channels;

/// <summary>Signatures, against the published examples and against the official npm clients.</summary>
public sealed class SignatureTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1614265330);

    // The example of Twilio's security documentation.
    private static readonly Dictionary<string, string> TwilioForm = new(StringComparer.Ordinal)
    {
        ["CallSid"] = "CA1234567890ABCDE",
        ["Digits"] = "1234",
        ["From"] = "+14158675309",
        ["To"] = "+18005551212",
        ["Caller"] = "+14158675309",
    };

    [Fact]
    public void Twilios_documented_example_signs_as_documented() =>
        Assert.Equal("RSOYDt4T1cUTdK1PDd93/VVr8B8=", TwilioSignature.Sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", TwilioForm));

    [Fact]
    public void Any_change_to_url_parameters_or_token_breaks_the_signature()
    {
        const string url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        var signature = TwilioSignature.Sign("12345", url, TwilioForm);
        Assert.True(TwilioSignature.Verify(["12345"], [url], [.. TwilioForm], signature));
        Assert.False(TwilioSignature.Verify(["12346"], [url], [.. TwilioForm], signature));
        Assert.False(TwilioSignature.Verify(["12345"], [url + "3"], [.. TwilioForm], signature));
        Assert.False(TwilioSignature.Verify(["12345"], [url], [.. TwilioForm.Where(f => f.Key != "Digits")], signature));
        Assert.False(TwilioSignature.Verify(["12345"], [url], [.. TwilioForm], null));
        Assert.False(TwilioSignature.Verify([], [url], [.. TwilioForm], signature));
    }

    [Fact]
    public void A_json_body_is_covered_by_its_digest_in_the_url()
    {
        var body = """{"property": "value", "boolean": true}"""u8.ToArray();
        Assert.True(TwilioSignature.BodyMatches(body, "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"));
        Assert.False(TwilioSignature.BodyMatches([.. body, (byte)' '], "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"));
        Assert.False(TwilioSignature.BodyMatches(body, null));
    }

    [Fact]
    public async Task The_official_twilio_client_accepts_our_signature_and_we_accept_its()
    {
        const string url = "https://hooks.example.com/webhooks/twilio/abc/sms?x=1";
        var form = new Dictionary<string, string>(StringComparer.Ordinal) { ["Body"] = "Grüße & 100% = \"ok\"", ["From"] = "+14155550100", ["MessageSid"] = "SM1", ["body"] = "", ["Z"] = " z " };
        var answer = await Witness.AskAsync(
            """
            import twilio from 'twilio';
            let text = ''; for await (const part of process.stdin) text += part;
            const { token, url, form, signature } = JSON.parse(text);
            console.log(JSON.stringify({
              theirs: twilio.getExpectedTwilioSignature(token, url, form),
              acceptsOurs: twilio.validateRequest(token, signature, url, form),
              acceptsForged: twilio.validateRequest(token, signature, url + '2', form) }));
            """,
            new { token = "secret", url, form, signature = TwilioSignature.Sign("secret", url, form) });
        Assert.True(answer.GetProperty("acceptsOurs").GetBoolean());
        Assert.False(answer.GetProperty("acceptsForged").GetBoolean());
        Assert.True(TwilioSignature.Verify(["secret"], [url], [.. form], answer.GetProperty("theirs").GetString()));
    }

    [Fact]
    public void What_svix_has_signed_verifies_within_five_minutes_only()
    {
        var body = """{"test": 2432232314}"""u8.ToArray();
        string[] secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLasw"];
        const string signature = "v1,V5xCPQDdTB0l0m2VMsjB/ZVwuDV5WIe462vC5sKC8ds=";
        bool Verify(DateTimeOffset now, string presented, byte[] signed) =>
            WebhookSignature.Verify(secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", presented, signed, now);
        Assert.True(Verify(Now, signature, body));
        Assert.True(Verify(Now.AddMinutes(5), signature, body));
        Assert.False(Verify(Now.AddMinutes(5).AddSeconds(1), signature, body));
        Assert.False(Verify(Now.AddMinutes(-5).AddSeconds(-1), signature, body));
        Assert.False(Verify(Now, "v1,AAAA" + signature[7..], body));
        Assert.False(Verify(Now, signature, [.. body, (byte)' ']));
        Assert.True(Verify(Now, $"v1,bm9ub25vbm9ubm9u v2,{signature} {signature}", body));
    }

    [Fact]
    [Behaviour("bb-webhook-hmac")]
    public async Task The_official_svix_client_accepts_our_signature_under_either_secret_of_a_rotation()
    {
        var (oldSecret, newSecret) = (WebhookSignature.NewSecret(), WebhookSignature.NewSecret());
        var now = TimeProvider.System.GetUtcNow();
        const string body = """{"type":"message.created","data":{"text":"Grüße"}}""";
        var signature = WebhookSignature.Sign([newSecret, oldSecret], "msg_1", now, Encoding.UTF8.GetBytes(body));
        var answer = await Witness.AskAsync(
            """
            import { Webhook } from 'svix';
            let text = ''; for await (const part of process.stdin) text += part;
            const { secrets, body, headers } = JSON.parse(text);
            const accepts = (secret, b) => { try { new Webhook(secret).verify(b, headers); return true; } catch { return false; } };
            const at = new Date(); const theirs = new Webhook(secrets[0]).sign('msg_2', at, body);
            console.log(JSON.stringify({ accepted: secrets.map(s => accepts(s, body)), forged: accepts(secrets[0], body + ' '), theirs, at: Math.floor(at / 1000) }));
            """,
            new
            {
                secrets = new[] { newSecret, oldSecret },
                body,
                headers = new Dictionary<string, string> { ["webhook-id"] = "msg_1", ["webhook-timestamp"] = $"{now.ToUnixTimeSeconds()}", ["webhook-signature"] = signature },
            });
        Assert.All(answer.GetProperty("accepted").EnumerateArray(), accepted => Assert.True(accepted.GetBoolean()));
        Assert.False(answer.GetProperty("forged").GetBoolean());
        Assert.True(WebhookSignature.Verify(
            [newSecret], "msg_2", $"{answer.GetProperty("at").GetInt64()}", answer.GetProperty("theirs").GetString(), Encoding.UTF8.GetBytes(body), TimeProvider.System.GetUtcNow()));
    }

    [Fact]
    public void A_plain_hmac_is_read_with_and_without_its_prefix()
    {
        var body = "Hello, World!"u8.ToArray();
        // GitHub's documented example.
        const string digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        string[] secrets = ["It's a Secret to Everybody"];
        Assert.Equal($"sha256={digest}", WebhookSignature.SignPlain(secrets[0], body));
        Assert.True(WebhookSignature.VerifyPlain(secrets, $"sha256={digest}", body));
        Assert.True(WebhookSignature.VerifyPlain(["other", .. secrets], digest.ToUpperInvariant(), body));
        Assert.False(WebhookSignature.VerifyPlain(secrets, digest, [.. body, (byte)'!']));
        Assert.False(WebhookSignature.VerifyPlain([], digest, body));
    }
}
