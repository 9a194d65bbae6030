using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Channels.Twilio;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Actions;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.EndToEnd;

/// <summary>
/// The product as it runs in production: hosts in processes of their own over one database, a tenant with an SMS channel, an action's
/// endpoint and Twilio as small servers on loopback.
/// </summary>
internal sealed class HostStage : IAsyncDisposable
{
    private readonly HttpClient _provider = new() { Timeout = TimeSpan.FromSeconds(60) };
    private readonly int _port = HostProcess.FreePort();
    private readonly List<HostProcess> _hosts = [];

    private HostStage(TestPlatform platform, FakeTwilio twilio, FakeEndpoint endpoint) => (Platform, Twilio, Endpoint) = (platform, twilio, endpoint);

    internal TestPlatform Platform { get; }

    internal FakeTwilio Twilio { get; }

    internal FakeEndpoint Endpoint { get; }

    /// <summary>What Twilio signs: the channel's address on the first host.</summary>
    internal string WebhookUrl { get; private set; } = "";

    internal static async Task<HostStage> StartAsync()
    {
        var platform = await TestPlatform.StartAsync();
        var stage = new HostStage(platform, await FakeTwilio.StartAsync(), await FakeEndpoint.StartAsync());
        stage.Endpoint.Answers(200, Jobs.Found);
        var tenant = await platform.ProvisionAsync();
        var actor = Actor.System(tenant.TenantId);
        var channel = (await platform.Get<ManageChannels>().CreateAsync(
            actor,
            new ChannelInput("sms", "Texts")
            {
                AgentId = tenant.AgentId,
                ProviderConfig = Json.Of(new { account_sid = FakeTwilio.AccountSid, from = "+15005550006" }),
                Secret = FakeTwilio.AuthToken,
                RateLimitPerMinute = 10_000,
                RateLimitPerHour = 100_000,
            },
            CancellationToken.None)).Value.Channel;
        await platform.Get<VerifyChannel>().TrustAsync(actor, channel.Id, CancellationToken.None);
        await platform.AsAsync(actor, tx => platform.Get<ActionRegistry>().CreateAsync(
            tx, tenant.AgentId, Jobs.Search with { ApiEndpoint = Jobs.Search.ApiEndpoint!.Replace("{endpoint}", stage.Endpoint.Url, StringComparison.Ordinal) }, CancellationToken.None));
        stage.WebhookUrl = $"http://127.0.0.1:{stage._port}/webhooks/twilio/{channel.WebhookToken}/sms";
        return stage;
    }

    /// <summary>
    /// A host, which ends with the stage at the latest; the first one answers at the address that webhooks are signed for, a second one at another.
    /// <paramref name="patience"/>: seconds that a provider may take to answer; few where a test waits for them to be over.
    /// </summary>
    internal async Task<HostProcess> HostAsync(string? connectionString = null, bool second = false, int patience = 10)
    {
        var host = await HostProcess.StartAsync(
            connectionString ?? Platform.Postgres.ConnectionString,
            second ? HostProcess.FreePort() : _port,
            ("PublicBaseUrl", $"http://127.0.0.1:{_port}"),
            ("Channels__Twilio__ApiBaseUrl", Twilio.Address.AbsoluteUri),
            ("Channels__Twilio__TimeoutSeconds", $"{patience}"),
            ("Actions__AllowPrivateTargets", "true"),
            // What a killed host held is taken over when its lease is over; longer than a send may take, as in production.
            ("Work__LeaseSeconds", $"{patience + 5}"),
            // Whatever hour it is.
            ("Messaging__QuietHoursStart", "00:00"),
            ("Messaging__QuietHoursEnd", "00:00"),
            ("Messaging__RetrySeconds", "0.2"));
        _hosts.Add(host);
        return host;
    }

    /// <summary>Delivers a text message as Twilio does; false when the host did not take it, so that Twilio will deliver it again.</summary>
    internal async Task<bool> TextAsync(string from, string body, string sid, Uri? host = null)
    {
        var form = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["MessageSid"] = sid,
            ["AccountSid"] = FakeTwilio.AccountSid,
            ["From"] = from,
            ["To"] = "+15005550006",
            ["Body"] = body,
            ["NumMedia"] = "0",
        };
        var target = host is null ? new Uri(WebhookUrl) : new Uri(host, new Uri(WebhookUrl).PathAndQuery);
        using var request = new HttpRequestMessage(HttpMethod.Post, target) { Content = new FormUrlEncodedContent(form) };
        request.Headers.Add(TwilioSignature.Header, TwilioSignature.Sign(FakeTwilio.AuthToken, WebhookUrl, form));
        try
        {
            using var response = await _provider.SendAsync(request);
            return response.IsSuccessStatusCode;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>What Twilio has taken for a number, once there is something and all work is over.</summary>
    internal async Task<IReadOnlyList<string>> RepliesAsync(string to)
    {
        await Eventually.SeeAsync(
            async () => Twilio.Messages.Any(m => m.To == to) && await OpenWorkAsync() == 0,
            over => over,
            seconds: 120);
        return [.. Twilio.Messages.Where(m => m.To == to).Select(m => m.Body)];
    }

    internal Task<long> OpenWorkAsync() =>
        Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM work.items WHERE state IN ('ready', 'running') AND kind <> 'events.consume' AND run_at < now() + interval '1 minute'");

    public async ValueTask DisposeAsync()
    {
        foreach (var host in _hosts)
        {
            await host.DisposeAsync();
        }

        _provider.Dispose();
        await Twilio.DisposeAsync();
        await Endpoint.DisposeAsync();
        await Platform.DisposeAsync();
    }
}
