using AgentPlatform.Resilience;
using AgentPlatform.Tests.Sandbox;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Resilience;

/// <summary>The circuit of a channel's provider.</summary>
public sealed class ProviderCircuitTests : IAsyncLifetime
{
    private ChannelStage _stage = null!;

    public async Task InitializeAsync() => _stage = await ChannelStage.StartAsync(services => services.Configure<ResilienceOptions>(o => o.FailuresToOpen = 2));

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("mk-circuit-breaker")]
    public async Task A_provider_that_is_down_is_left_alone_costs_no_attempts_and_gets_the_messages_when_it_is_back()
    {
        var channel = await _stage.SmsChannelAsync();
        _stage.Twilio.Next(new TwilioAnswer.Refuse(503), new TwilioAnswer.Refuse(503));
        await _stage.TextAsync(channel, "+14155550100", "one");
        await _stage.Platform.DrainAsync();
        await _stage.TextAsync(channel, "+14155550101", "two");
        await _stage.Platform.DrainAsync();
        Assert.Equal($"twilio/{channel.Id}", await _stage.ValueAsync<string>("SELECT service FROM resilience.circuits WHERE state = 'OPEN'"));

        await _stage.TextAsync(channel, "+14155550102", "three");
        await HastenAsync();
        await HastenAsync();

        Assert.Equal(2, _stage.Twilio.Requests.Count);
        Assert.Equal(2, await _stage.CountAsync("SELECT count(*) FROM messaging.effects"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM events.events WHERE event_type = 'message.postponed' AND payload->>'reason' = 'circuit_open' AND payload->>'queue_id' = (SELECT id::text FROM messaging.message_queue WHERE message_data->>'text' LIKE '%three')"));
        Assert.Equal(0, await _stage.CountAsync("SELECT max(attempts)::bigint FROM work.items WHERE kind = 'messaging.dispatch' AND key = (SELECT coalesce(idempotency_key, id::text) FROM messaging.message_queue WHERE message_data->>'text' LIKE '%three')"));

        await _stage.ValueAsync<long>("WITH u AS (UPDATE resilience.circuits SET open_until = now() - interval '1 second' RETURNING 1) SELECT count(*) FROM u");
        await Eventually.SeeAsync(
            async () =>
            {
                await HastenAsync();
                return await _stage.CountAsync("SELECT count(*) FROM messaging.message_queue WHERE status = 'sent'");
            },
            sent => sent == 3);

        Assert.Equal("CLOSED", await _stage.ValueAsync<string>("SELECT state FROM resilience.circuits"));
        Assert.Equal(3, _stage.Twilio.Messages.Count);
    }

    private async Task HastenAsync()
    {
        await _stage.Platform.DrainAsync();
        await _stage.ValueAsync<long>("WITH u AS (UPDATE work.items SET run_at = now() WHERE state = 'ready' RETURNING 1) SELECT count(*) FROM u");
        await _stage.Platform.DrainAsync();
    }
}
