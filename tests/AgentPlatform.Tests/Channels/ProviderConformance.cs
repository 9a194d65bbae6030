using AgentPlatform.Channels;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Channels;

/// <summary>What every way out has in common, whatever is behind it.</summary>
public sealed class ProviderConformance : IAsyncLifetime
{
    private readonly FakeSmtp _smtp = new();
    private FakeWebhookReceiver _receiver = null!;
    private ChannelStage _stage = null!;

    public static TheoryData<string> Providers => new("twilio", "smtp", "custom_webhook", "outbox");

    public async Task InitializeAsync()
    {
        _receiver = await FakeWebhookReceiver.StartAsync();
        _stage = await ChannelStage.StartAsync(null, ("Channels:Email:Smtp", _smtp.Address));
    }

    public async Task DisposeAsync()
    {
        await _stage.DisposeAsync();
        await _receiver.DisposeAsync();
        await _smtp.DisposeAsync();
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public async Task An_accepted_message_has_an_id_and_is_there_once(string provider)
    {
        var (chosen, message) = await MessageAsync(provider);
        Assert.Equal(provider, chosen.Name);
        var accepted = Assert.IsType<SendOutcome.Accepted>(await chosen.SendAsync(message, CancellationToken.None));
        Assert.NotEmpty(accepted.ExternalId!);
        Assert.Equal(1, Taken(provider));
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public async Task A_probe_of_what_was_never_sent_does_not_claim_that_it_was_unless_taking_it_is_harmless(string provider)
    {
        var (chosen, message) = await MessageAsync(provider);
        var probed = await chosen.ProbeAsync(message, CancellationToken.None);
        // The outbox takes what it is asked about: nothing outside the database is involved.
        Assert.True(provider == "outbox" ? probed is SendOutcome.Accepted : probed is SendOutcome.NotSent or SendOutcome.Unknown);
        Assert.Equal(provider == "outbox" ? 1 : 0, Taken(provider));
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public async Task After_an_answer_was_lost_probing_and_following_its_advice_leaves_one_message(string provider)
    {
        var (chosen, message) = await MessageAsync(provider);
        _stage.Twilio.Next(new TwilioAnswer.AcceptThenFail());
        _smtp.DropAfterData = true;
        await chosen.SendAsync(message, CancellationToken.None);
        if (await chosen.ProbeAsync(message, CancellationToken.None) is SendOutcome.NotSent)
        {
            await chosen.SendAsync(message, CancellationToken.None);
        }

        Assert.Equal(1, Taken(provider));
    }

    [Theory]
    [InlineData("twilio")]
    [InlineData("smtp")]
    [InlineData("custom_webhook")]
    public async Task A_provider_that_cannot_be_reached_has_surely_not_taken_the_message(string provider)
    {
        var (chosen, message) = await MessageAsync(provider);
        await _receiver.DisposeAsync();
        await _smtp.DisposeAsync();
        await _stage.Twilio.DisposeAsync();
        Assert.IsType<SendOutcome.NotSent>(await chosen.SendAsync(message, CancellationToken.None));
        _receiver = await FakeWebhookReceiver.StartAsync();
    }

    [Theory]
    [MemberData(nameof(Providers))]
    public async Task A_cancelled_call_ends_as_cancelled_or_has_an_outcome(string provider)
    {
        var (chosen, message) = await MessageAsync(provider);
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        try
        {
            Assert.NotNull(await chosen.SendAsync(message, cancelled.Token));
        }
        catch (OperationCanceledException)
        {
            Assert.Equal(0, Taken(provider));
        }
    }

    private int Taken(string provider) => provider switch
    {
        "twilio" => _stage.Twilio.Messages.Count,
        "smtp" => _smtp.Mails.Count,
        "custom_webhook" => _receiver.Taken.Count,
        _ => 1,
    };

    private async Task<(IMessageProvider Provider, OutboundMessage Message)> MessageAsync(string provider)
    {
        var (input, to) = provider switch
        {
            "twilio" => (new ChannelInput("sms", "c") { ProviderConfig = Json.Of(new { account_sid = FakeTwilio.AccountSid, from = "+15005550006" }), Secret = FakeTwilio.AuthToken }, "+14155550100"),
            "smtp" => (new ChannelInput("email", "c") { ProviderConfig = Json.Of(new { from = "agent@support.example" }) }, "jane@example.com"),
            "custom_webhook" => (new ChannelInput("custom_webhook", "c") { OutboundConfig = Json.Of(new { url = _receiver.Address }) }, "user-1"),
            _ => (new ChannelInput("sms", "c"), "+14155550100"),
        };
        var channel = await _stage.ChannelAsync(input);
        var route = await _stage.Platform.AsAsync(_stage.System, tx => _stage.Platform.Get<ChannelDirectory>().FindAsync(tx, channel.Id, CancellationToken.None));
        var now = TimeProvider.System.GetUtcNow();
        return (route!.Provider, new OutboundMessage(TimeProvider.System.NewId(), route.Channel, to, null, "hello") { FirstAttemptAt = now });
    }
}
