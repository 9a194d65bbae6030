using System.Net;
using AgentPlatform.Channels;
using AgentPlatform.Channels.Custom;
using AgentPlatform.Channels.Email;
using AgentPlatform.Channels.Intake;
using AgentPlatform.Channels.Twilio;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Tests.Channels;

/// <summary>The decisions of the channels that need nobody: words, segments, windows, quotations, addresses, secrets.</summary>
public sealed class PureTests
{
    private static readonly DateTimeOffset Noon = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("STOP", ControlWord.Stop)]
    [InlineData(" stop. ", ControlWord.Stop)]
    [InlineData("Unsubscribe", ControlWord.Stop)]
    [InlineData("end", ControlWord.Stop)]
    [InlineData("QUIT!", ControlWord.Stop)]
    [InlineData("stopall", ControlWord.Stop)]
    [InlineData("revoke", ControlWord.Stop)]
    [InlineData("OptOut", ControlWord.Stop)]
    [InlineData("cancel", ControlWord.Stop)]
    [InlineData("start", ControlWord.Start)]
    [InlineData("UNSTOP", ControlWord.Start)]
    [InlineData("help", ControlWord.Help)]
    [InlineData("Info?", ControlWord.Help)]
    [InlineData("please stop by at noon", ControlWord.None)]
    [InlineData("cancel my application", ControlWord.None)]
    [InlineData("yes", ControlWord.None)]
    [InlineData("", ControlWord.None)]
    [InlineData(null, ControlWord.None)]
    public void A_control_word_is_a_message_that_is_nothing_else(string? text, ControlWord word) => Assert.Equal(word, ControlWords.Classify(text));

    [Theory]
    [InlineData("a", 160, SmsEncoding.Gsm7, 1)]
    [InlineData("a", 161, SmsEncoding.Gsm7, 2)]
    [InlineData("a", 306, SmsEncoding.Gsm7, 2)]
    [InlineData("a", 307, SmsEncoding.Gsm7, 3)]
    [InlineData("€", 80, SmsEncoding.Gsm7, 1)]
    [InlineData("€", 81, SmsEncoding.Gsm7, 2)]
    [InlineData("€", 153, SmsEncoding.Gsm7, 3)]
    [InlineData("я", 70, SmsEncoding.Ucs2, 1)]
    [InlineData("я", 71, SmsEncoding.Ucs2, 2)]
    [InlineData("😀", 35, SmsEncoding.Ucs2, 1)]
    [InlineData("😀", 66, SmsEncoding.Ucs2, 2)]
    [InlineData("😀", 67, SmsEncoding.Ucs2, 3)]
    public void Segments_are_counted_as_carriers_do(string character, int times, SmsEncoding encoding, int segments)
    {
        var counted = SmsSegments.Count(string.Concat(Enumerable.Repeat(character, times)));
        Assert.Equal((encoding, segments), (counted.Encoding, counted.Segments));
    }

    [Fact]
    public void A_window_slides_over_the_boundary_of_its_buckets()
    {
        var minute = new RateWindow(TimeSpan.FromMinutes(1), Noon, Count: 3, Before: 30);
        Assert.False(minute.Admits(30, Noon.AddSeconds(6)));
        Assert.True(minute.Admits(30, Noon.AddSeconds(30)));
        Assert.Equal(0, minute.Load(Noon.AddMinutes(2)));
        var wait = minute.RetryAfter(30, Noon.AddSeconds(1));
        Assert.False(minute.Admits(30, Noon.AddSeconds(1) + wait - TimeSpan.FromSeconds(1)));
        Assert.True(minute.Admits(30, Noon.AddSeconds(1) + wait));
    }

    [Theory]
    [InlineData("Yes, Tuesday.\n\nOn Mon, 3 Mar 2025 at 10:00, Jane <jane@example.com> wrote:\n> When?", "Yes, Tuesday.")]
    [InlineData("Yes.\r\n\r\nOn Mon, 3 Mar 2025 at 10:00, Jane Doe\r\n<jane@example.com> wrote:\r\n\r\n> When?", "Yes.")]
    [InlineData("Ja.\n\nAm 03.03.2025 um 10:00 schrieb Jane <jane@example.com>:\n> Wann?", "Ja.")]
    [InlineData("Fine\n\n-----Original Message-----\nFrom: Jane\nSent: Monday", "Fine")]
    [InlineData("Fine\n\nFrom: Jane\nSent: Monday\nTo: me", "Fine")]
    [InlineData("Thanks!\n-- \nJohn\nCEO", "Thanks!")]
    [InlineData("Ok\n\nSent from my iPhone", "Ok")]
    [InlineData("> When?\nTuesday\n> Where?\nHere", "> When?\nTuesday\n> Where?\nHere")]
    [InlineData("On Monday I can, he wrote me.", "On Monday I can, he wrote me.")]
    [InlineData("> only a quote", "> only a quote")]
    public void Quotations_and_signatures_are_stripped_but_never_everything(string mail, string said) => Assert.Equal(said, QuotedText.Strip(mail));

    [Fact]
    public void Html_becomes_what_a_reader_sees() =>
        Assert.Equal(
            "Hello & welcome\nsecond line",
            HtmlText.From("<html><head><style>p{}</style></head><body><p>Hello &amp; <b>welcome</b><br>second line</p><script>x()</script><blockquote>old</blockquote></body></html>"));

    [Theory]
    [InlineData("127.0.0.1", false)]
    [InlineData("10.1.2.3", false)]
    [InlineData("172.16.0.1", false)]
    [InlineData("192.168.1.1", false)]
    [InlineData("169.254.169.254", false)]
    [InlineData("100.64.0.1", false)]
    [InlineData("0.0.0.0", false)]
    [InlineData("224.0.0.1", false)]
    [InlineData("::1", false)]
    [InlineData("::", false)]
    [InlineData("fe80::1", false)]
    [InlineData("fd00::1", false)]
    [InlineData("::ffff:127.0.0.1", false)]
    [InlineData("64:ff9b::7f00:1", false)]
    [InlineData("8.8.8.8", true)]
    [InlineData("172.32.0.1", true)]
    [InlineData("2606:4700::1111", true)]
    public void Only_public_addresses_are_targets(string address, bool isPublic) => Assert.Equal(isPublic, PublicTargets.IsPublic(IPAddress.Parse(address)));

    [Fact]
    public void A_sealed_secret_opens_only_for_its_channel_and_with_a_configured_key()
    {
        var (first, second) = (Convert.ToBase64String(Enumerable.Repeat((byte)1, 32).ToArray()), Convert.ToBase64String(Enumerable.Repeat((byte)2, 32).ToArray()));
        var (id, other) = (Guid.Parse("00000000-0000-0000-0000-000000000001"), Guid.Parse("00000000-0000-0000-0000-000000000002"));
        var box = Box(first);
        var sealedSecret = box.Seal("token", id);
        Assert.DoesNotContain("token", sealedSecret);
        Assert.NotEqual(sealedSecret, box.Seal("token", id));
        Assert.Equal("token", box.Open(sealedSecret, id));
        Assert.Equal("token", Box(second, first).Open(sealedSecret, id));
        Assert.Null(box.Open(sealedSecret, other));
        Assert.Null(Box(second).Open(sealedSecret, id));
        Assert.True(Box().UsesDevelopmentKey);
    }

    [Fact]
    public void A_channel_takes_nothing_unless_it_is_active_verified_and_its_token_good()
    {
        Assert.Null(Channel().Refusal(Noon));
        Assert.Equal("channel_inactive", Channel(active: false).Refusal(Noon)!.Code);
        Assert.Equal("channel_unverified", Channel(verified: false).Refusal(Noon)!.Code);
        Assert.Equal((410, "token_expired"), Status(Channel(expires: Noon)));
        Assert.Null(Channel(expires: Noon.AddSeconds(1)).Refusal(Noon));
        Assert.Equal((410, "token_rotation_required"), Status(Channel(mustRotate: true)));
        Assert.Equal((410, "token_rotated"), Status(Channel() with { RetiredUntil = Noon }));
        Assert.Null((Channel() with { RetiredUntil = Noon.AddSeconds(1) }).Refusal(Noon));
    }

    [Fact]
    public void Headers_and_addresses_are_masked_in_logs()
    {
        var masked = WebhookLog.MaskHeaders([new("Authorization", "Bearer x"), new("X-Api-Key", "k"), new("Cookie", "c"), new("webhook-signature", "v1,x"), new("User-Agent", "u")]);
        Assert.Equal(["***", "***", "***", "***", "u"], masked.Select(h => h.Value!.GetValue<string>()));
        Assert.Equal("https://***@x.test/webhooks/custom/…5555", WebhookLog.MaskUrl("https://user:pass@x.test/webhooks/custom/11111111-2222-3333-4444-555555555555"));
    }

    [Theory]
    [InlineData("a=1&b=%E2%82%AC+x&c=", true)]
    [InlineData("a=%ff", false)]
    [InlineData("a=%f", false)]
    [InlineData("a=%zz", false)]
    [InlineData("=1", false)]
    [InlineData("novalue", false)]
    public void Forms_are_read_strictly(string body, bool ok)
    {
        var read = FormReading.Parse(System.Text.Encoding.ASCII.GetBytes(body));
        Assert.Equal(ok, read.IsOk);
        if (ok)
        {
            Assert.Equal("€ x", read.Value.Field("b"));
        }
    }

    private static (int Status, string Code) Status(InboundChannel channel) => (channel.Refusal(Noon)!.Status, channel.Refusal(Noon)!.Code);

    private static InboundChannel Channel(bool active = true, bool verified = true, DateTimeOffset? expires = null, bool mustRotate = false) =>
        new(new ChannelGateway.Row(Guid.Empty, Guid.Empty, Guid.Empty, "sms", default, default, active, verified, expires, mustRotate, 30, 200, Noon, null), [], null);

    private static SecretBox Box(params string[] keys) => new(Options.Create(new ChannelsOptions { EncryptionKeys = keys }));
}
