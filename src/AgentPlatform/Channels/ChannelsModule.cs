using AgentPlatform.Channels.Intake;
using System.ComponentModel.DataAnnotations;
using AgentPlatform.Channels.Custom;
using AgentPlatform.Channels.Email;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Channels.Twilio;

using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Channels;

public sealed class ChannelsOptions : IValidatableObject
{
    /// <summary>
    /// Keys (32 bytes in base64) that seal the secrets of channels: the first seals, all open. Default none: in the environment
    /// Development a known key with a warning at start; elsewhere the host does not start.
    /// </summary>
    public string[] EncryptionKeys { get; set; } = [];

    /// <summary>How long a rotated token, and a rotated secret, still serve. Default 24 hours.</summary>
    [Range(0, 24 * 30)]
    public int RotationGraceHours { get; set; } = 24;

    /// <summary>How long a verification code is good for. Default 15 minutes.</summary>
    [Range(1, 24 * 60)]
    public int VerificationMinutes { get; set; } = 15;

    /// <summary>Days that messages are kept as they came in and left, with attachments and receipts; 0 for ever. What was said stays in the conversation. Default 90.</summary>
    [KeepDays]
    public int MessageRetentionDays { get; set; } = 90;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext) =>
        EncryptionKeys.Any(key => !IsKey(key))
            ? [new ValidationResult("Each of Channels:EncryptionKeys is 32 bytes in base64.", [nameof(EncryptionKeys)])]
            : [];

    private static bool IsKey(string key)
    {
        var bytes = new byte[key.Length];
        return Convert.TryFromBase64String(key, bytes, out var written) && written == 32;
    }
}

public static class ChannelsModule
{
    public static IServiceCollection AddChannels(this IServiceCollection services)
    {
        services.AddSingleton<IKeepsPersonalData, KeptOfContacts>();
        services.AddOptions<ChannelsOptions>().BindConfiguration("Channels").ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<TwilioOptions>().BindConfiguration("Channels:Twilio").ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<EmailOptions>().BindConfiguration("Channels:Email").ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<CustomOptions>().BindConfiguration("Channels:Custom").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<SecretBox>().AddSingleton<ChannelSecrets>().AddSingleton<PublicAddress>();
        services.AddSingleton<ChannelGateway>().AddSingleton<InboundMessages>().AddSingleton<RateWindows>().AddSingleton<StoreInbound>().AddSingleton<RefusedCalls>().AddSingleton<Inbox>();
        services.AddSingleton(p => new InboundIntake(
            p.GetRequiredService<ChannelGateway>(), p.GetRequiredService<Database>(), p.GetRequiredService<StoreInbound>(), p.GetRequiredService<Inbox>(), p.GetRequiredService<RateWindows>(),
            p.GetRequiredService<ForegroundLoad>(), p.GetRequiredService<TimeProvider>(), p.GetRequiredService<RefusedCalls>()));
        services.AddWorkHandler<StoreInbox>(StoreInbox.Kind, kind => kind.ForgetDone = true);
        services.AddSingleton(p => new WebhookEndpoints(
            p.GetRequiredService<InboundIntake>(), p.GetRequiredService<DeliveryReports>(), p.GetRequiredService<PublicAddress>(),
            p.GetRequiredService<TwilioInbound>(), p.GetRequiredService<EmailInbound>(), p.GetRequiredService<CustomInbound>(), p.GetRequiredService<ForegroundLoad>()));
        services.AddSingleton<TwilioInbound>().AddSingleton<EmailInbound>().AddSingleton<CustomInbound>();
        services.AddSingleton<ChannelDirectory>().AddSingleton<OutboundLog>().AddSingleton<DeliveryReports>().AddSingleton<WebhookAttempts>().AddSingleton<WebhookLogRetention>();
        services.AddProviders();

        services.AddSingleton<ManageChannels>().AddSingleton<RotateChannel>().AddSingleton<VerifyChannel>().AddSingleton<MessageLists>().AddSingleton<ManageInbox>();
        services.AddSingleton<Contacts.IContactMergeParticipant, MergedContacts>();
        services.AddHostedService<KeyCheck>();
        return services;
    }

    public static void MapChannels(this IEndpointRouteBuilder v1)
    {
        ChannelsApi.MapChannels(v1);
        ChannelsApi.MapChannelActions(v1);
        ChannelsApi.MapMessages(v1);
        ChannelsApi.MapInbox(v1);
    }

    private static void AddProviders(this IServiceCollection services)
    {
        // The factory's own loggers write whole addresses, and addresses of endpoints may hold secrets.
        services.AddHttpClient(TwilioProvider.ClientName).RemoveAllLoggers().ConfigurePrimaryHttpMessageHandler(() => new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        });
        services.AddHttpClient(CustomProvider.ClientName).RemoveAllLoggers().ConfigurePrimaryHttpMessageHandler(p =>
            PublicTargets.Handler(p.GetRequiredService<IOptions<CustomOptions>>().Value.AllowPrivateTargets));
        services.AddSingleton<IMessageProvider, TwilioProvider>();
        services.AddSingleton<SmtpProvider>().AddSingleton<IMessageProvider>(p => p.GetRequiredService<SmtpProvider>()).AddSingleton<PlatformMail>();
        services.AddSingleton<IMessageProvider, CustomProvider>();
        services.AddSingleton<IMessageProvider, OutboxProvider>();
        services.AddSingleton<MessageProviders>();
    }

    /// <summary>Says at start what would otherwise be noticed when it is too late.</summary>
    private sealed class KeyCheck(SecretBox box, IHostEnvironment environment, ILogger<SecretBox> log) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken)
        {
            if (box.UsesDevelopmentKey)
            {
                if (!environment.IsDevelopment())
                {
                    throw new OptionsValidationException(
                        "Channels", typeof(ChannelsOptions), ["Channels__EncryptionKeys__0 is missing: 32 bytes in base64 that seal the secrets of channels."]);
                }

                Log.DevelopmentKey(log);
            }

            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
