using System.Security.Cryptography;
using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Channels;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Configuration;

namespace AgentPlatform.Demo;

/// <summary>The channels of the demo tenant, with secrets that the demo file keeps, because the platform never shows them again.</summary>
public sealed class DemoChannels(ManageChannels channels, VerifyChannel verify, IConfiguration configuration)
{
    public const string Sms = "sms";
    public const string Email = "email";
    public const string Custom = "custom";

    /// <summary>The SMS channel of the agent that gets to know a person before it helps.</summary>
    public const string Concierge = "concierge";

    /// <summary>Nobody shall run into the limits of a demo by typing.</summary>
    private const int PerMinute = 600;
    private const int PerHour = 10_000;

    public static IReadOnlyList<string> All { get; } = [Sms, Email, Custom, Concierge];

    /// <summary>The channel type (<c>sms</c>, <c>email</c>, <c>custom_webhook</c>) of a demo channel.</summary>
    public static string TypeOf(string name) => name switch
    {
        Email => ChannelTypes.Email,
        Custom => ChannelTypes.CustomWebhook,
        _ => ChannelTypes.Sms,
    };

    /// <summary>The channel as it was, or a new one when it is no longer there; in both cases sending as the settings say now.</summary>
    internal async Task<Result<DemoChannel>> EnsureAsync(Actor actor, Guid agentId, string name, DemoChannel? known, string baseUrl, CancellationToken ct)
    {
        if (known is not null && (await channels.FindAsync(actor, known.Id, ct)).IsOk)
        {
            var changed = await channels.ChangeAsync(actor, known.Id, new ChannelInput(null, null) { ProviderConfig = ProviderConfig(name, known) }, IfMatch.Any, ct);
            return changed.Map(view => known with { WebhookUrl = Url(baseUrl, view), StatusUrl = StatusUrl(name, Url(baseUrl, view)) });
        }

        var fresh = Fresh(name);
        var created = await channels.CreateAsync(
            actor,
            new ChannelInput(TypeOf(name), $"Demo {name}")
            {
                AgentId = agentId,
                Secret = fresh.AuthToken ?? fresh.Secret,
                ProviderConfig = ProviderConfig(name, fresh),
                RateLimitPerMinute = PerMinute,
                RateLimitPerHour = PerHour,
            },
            ct);
        if (!created.IsOk)
        {
            return created.Problem;
        }

        var channel = created.Value.Channel;
        await verify.TrustAsync(actor, channel.Id, ct);
        return fresh with { Id = channel.Id, WebhookUrl = Url(baseUrl, channel), StatusUrl = StatusUrl(name, Url(baseUrl, channel)) };
    }

    private static DemoChannel Fresh(string name) => name switch
    {
        Email => new(Guid.Empty, "", "jobs@demo.agentplatform.example") { Secret = RandomNumberGenerator.GetHexString(32, lowercase: true) },
        Custom => new(Guid.Empty, "", "demo") { Secret = AgentPlatform.Channels.Custom.WebhookSignature.NewSecret() },
        _ => new(Guid.Empty, "", name == Concierge ? "+14155550198" : "+14155550199")
        {
            AccountSid = $"AC{RandomNumberGenerator.GetHexString(32, lowercase: true)}",
            AuthToken = RandomNumberGenerator.GetHexString(32, lowercase: true),
        },
    };

    /// <summary>
    /// Text messages go to the Twilio the settings name, when they name one. The account of the demo is made up, so the real Twilio
    /// would refuse it: without such a setting they go to the outbox.
    /// </summary>
    private JsonElement ProviderConfig(string name, DemoChannel channel) => TypeOf(name) switch
    {
        ChannelTypes.Sms => Json.Of(new { provider = HasTwilio ? "twilio" : "outbox", account_sid = channel.AccountSid, from = channel.From }),
        ChannelTypes.Email => Json.Of(new { from = channel.From }),
        _ => Json.Of(new { }),
    };

    private bool HasTwilio =>
        Uri.TryCreate(configuration["Channels:Twilio:ApiBaseUrl"], UriKind.Absolute, out var url) && !url.Host.EndsWith("twilio.com", StringComparison.OrdinalIgnoreCase);

    private static string Url(string baseUrl, ChannelView channel) => channel.ChannelType switch
    {
        ChannelTypes.Sms => $"{baseUrl}/webhooks/twilio/{channel.WebhookToken}/sms",
        ChannelTypes.Email => $"{baseUrl}/webhooks/email/{channel.WebhookToken}",
        _ => $"{baseUrl}/webhooks/custom/{channel.WebhookToken}",
    };

    private static string? StatusUrl(string name, string webhookUrl) => TypeOf(name) == ChannelTypes.Sms ? $"{webhookUrl[..^"sms".Length]}status" : null;
}
