using System.Globalization;
using System.Text;
using System.Text.Json;
using AgentPlatform.Channels;
using AgentPlatform.Channels.Custom;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Channels.Twilio;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Tests.Sandbox;

/// <summary>
/// The platform with its webhook endpoints on loopback and a fake Twilio behind it. A turn is answered by an echo, so that these tests are
/// about what comes in and goes out, not about what is thought in between.
/// </summary>
public sealed class ChannelStage : IAsyncDisposable
{
    private readonly WebApplication _server;

    private ChannelStage(TestPlatform platform, WebApplication server, FakeTwilio twilio, ProvisionedTenant tenant)
    {
        (Platform, _server, Twilio, Tenant) = (platform, server, twilio, tenant);
        Http = new HttpClient();
    }

    public TestPlatform Platform { get; }

    public FakeTwilio Twilio { get; }

    public ProvisionedTenant Tenant { get; }

    public HttpClient Http { get; }

    public Actor System => Actor.System(Tenant.TenantId);

    public string BaseUrl => _server.Urls.First();

    public static async Task<ChannelStage> StartAsync(Action<IServiceCollection>? configure = null, params (string Key, string Value)[] settings)
    {
        var twilio = await FakeTwilio.StartAsync();
        WebhookEndpoints? endpoints = null;
        var server = Serve(() => endpoints!);
        await server.StartAsync();
        var platform = await TestPlatform.StartAsync(
            services =>
            {
                services.ReplaceTurn<EchoTurn>();
                configure?.Invoke(services);
            },
            Merge(settings,
                ("PublicBaseUrl", server.Urls.First()),
                ("Channels:Twilio:ApiBaseUrl", twilio.Address.AbsoluteUri),
                ("Channels:Twilio:TimeoutSeconds", "5"),
                ("Channels:Custom:AllowPrivateTargets", "true"),
                ("Messaging:RetrySeconds", "0.01")));
        endpoints = platform.Get<WebhookEndpoints>();
        return new ChannelStage(platform, server, twilio, await platform.ProvisionAsync());
    }

    /// <summary>A verified SMS channel on the fake account.</summary>
    public Task<ChannelView> SmsChannelAsync(Func<ChannelInput, ChannelInput>? change = null) => ChannelAsync(new ChannelInput("sms", "Texts")
    {
        ProviderConfig = Json.Of(new { account_sid = FakeTwilio.AccountSid, from = "+15005550006" }),
        Secret = FakeTwilio.AuthToken,
        RateLimitPerMinute = 10_000,
        RateLimitPerHour = 100_000,
    }, change);

    public async Task<ChannelView> ChannelAsync(ChannelInput input, Func<ChannelInput, ChannelInput>? change = null)
    {
        var made = await Platform.Get<ManageChannels>().CreateAsync(System, change?.Invoke(input) ?? input, CancellationToken.None);
        await Platform.Get<VerifyChannel>().TrustAsync(System, made.Value.Channel.Id, CancellationToken.None);
        return (await Platform.Get<ManageChannels>().FindAsync(System, made.Value.Channel.Id, CancellationToken.None)).Value;
    }

    /// <summary>Delivers a text message the way Twilio does.</summary>
    public Task<HttpResponseMessage> TextAsync(ChannelView channel, string from, string body, string? sid = null, params (string Name, string Value)[] more)
    {
        var form = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["MessageSid"] = sid ?? $"SM{TimeProvider.System.NewId():N}",
            ["AccountSid"] = FakeTwilio.AccountSid,
            ["From"] = from,
            ["To"] = "+15005550006",
            ["Body"] = body,
            ["NumMedia"] = "0",
        };
        foreach (var (name, value) in more)
        {
            form[name] = value;
        }

        return PostFormAsync(channel.WebhookUrl!, form, TwilioSignature.Sign(FakeTwilio.AuthToken, channel.WebhookUrl!, form));
    }

    public async Task<HttpResponseMessage> PostFormAsync(string url, IReadOnlyDictionary<string, string> form, string? signature)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new FormUrlEncodedContent(form) };
        if (signature is not null)
        {
            request.Headers.TryAddWithoutValidation(TwilioSignature.Header, signature);
        }

        return await Http.SendAsync(request);
    }

    /// <summary>Delivers a signed custom webhook.</summary>
    public async Task<HttpResponseMessage> CustomAsync(ChannelView channel, string secret, object body, string? id = null, DateTimeOffset? at = null)
    {
        var (text, now) = (body as string ?? Json.Text(body), at ?? TimeProvider.System.GetUtcNow());
        var webhookId = id ?? $"msg_{TimeProvider.System.NewId():N}";
        using var request = new HttpRequestMessage(HttpMethod.Post, channel.WebhookUrl) { Content = new StringContent(text, Encoding.UTF8, "application/json") };
        request.Headers.Add(WebhookSignature.IdHeader, webhookId);
        request.Headers.Add(WebhookSignature.TimestampHeader, now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
        request.Headers.Add(WebhookSignature.SignatureHeader, WebhookSignature.Sign([secret], webhookId, now, Encoding.UTF8.GetBytes(text)));
        return await Http.SendAsync(request);
    }

    /// <summary>Runs what is due until nothing is waiting for a later attempt any more.</summary>
    public async Task SettleAsync()
    {
        var open = await Eventually.SeeAsync(
            async () =>
            {
                await Platform.DrainAsync();
                return await CountAsync("SELECT count(*) FROM work.items WHERE state IN ('ready', 'running') AND run_at < now() + interval '1 minute'");
            },
            open => open == 0,
            seconds: 60);
        Assert.Equal(0, open);
    }

    /// <summary>One value, seen past row level security.</summary>
    public Task<T> ValueAsync<T>(string sql) => Platform.Postgres.ScalarAsync<T>(sql);

    public Task<long> CountAsync(string sql) => ValueAsync<long>(sql);

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _server.StopAsync();
        await _server.DisposeAsync();
        await Twilio.DisposeAsync();
        await Platform.DisposeAsync();
    }

    private static (string Key, string Value)[] Merge((string Key, string Value)[] first, params (string Key, string Value)[] otherwise) =>
        [.. first.Concat(otherwise).DistinctBy(s => s.Key)];

    // The routes of the functions that own these endpoints in production.
    private static WebApplication Serve(Func<WebhookEndpoints> endpoints)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = null);
        var server = builder.Build();
        server.MapPost("/webhooks/twilio/{token}/sms", (string token, HttpRequest request, CancellationToken ct) => endpoints().TwilioSmsAsync(request, token, ct));
        server.MapPost("/webhooks/twilio/{token}/status", (string token, HttpRequest request, CancellationToken ct) => endpoints().TwilioStatusAsync(request, token, ct));
        server.MapPost("/webhooks/email/{token}", (string token, HttpRequest request, CancellationToken ct) => endpoints().EmailAsync(request, token, ct));
        server.MapPost("/webhooks/custom/{token}", (string token, HttpRequest request, CancellationToken ct) => endpoints().CustomAsync(request, token, ct));
        return server;
    }
}

/// <summary>Answers every message with what it said.</summary>
internal sealed class EchoTurn(Database database, Outbox outbox, InboundMessages inbound) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var turn = item.Payload;
        var inboundId = turn.GetProperty("inbound_message_id").GetGuid();
        await using var tx = database.Begin(Actor.System(item.TenantId));
        var said = await tx.SingleAsync<string>("SELECT content FROM channels.inbound_messages WHERE id = $1", [inboundId], ct);
        inbound.Processing(tx, [inboundId]);
        outbox.Queue(tx, new OutgoingMessage(turn.GetProperty("contact_id").GetGuid(), turn.GetProperty("conversation_id").GetGuid(), "agent", $"You said: {said}")
        {
            InReplyToInboundId = inboundId,
            IdempotencyKey = $"echo:{inboundId}",
        });
        inbound.Processed(tx, [inboundId]);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }
}

internal static class TurnReplacement
{
    /// <summary>Puts a handler of the test's own in the place of the agent.</summary>
    internal static void ReplaceTurn<T>(this IServiceCollection services)
        where T : class, IWorkHandler
    {
        foreach (var registered in services.Where(s => s.ImplementationInstance is WorkKind { Name: "conversation.turn" }).ToList())
        {
            services.Remove(registered);
        }

        services.AddWorkHandler<T>("conversation.turn");
    }
}
