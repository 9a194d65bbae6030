using System.Diagnostics;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.EndToEnd;

/// <summary>The main job, with real hosts: a text message comes in, one considered reply goes out, whatever happens in between.</summary>
[Collection("Alone")]
public sealed class TextMessageTests : IAsyncLifetime
{
    private const string Ask = "find me software engineer jobs in Berlin";
    private const string Answer = "Here is what I found for software engineer:\n1. Software Engineer, Acme\n2. Backend Engineer, Globex";

    private HostStage _stage = null!;

    public async Task InitializeAsync() => _stage = await HostStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("yp-sms-no-double-send")]
    public async Task A_message_that_is_delivered_three_times_is_answered_once()
    {
        await using var host = await _stage.HostAsync();
        for (var i = 0; i < 3; i++)
        {
            Assert.True(await _stage.TextAsync("+14155550100", Ask, "SM-thrice"), host.Output);
        }

        Assert.Equal([Answer], await _stage.RepliesAsync("+14155550100"));
        Assert.Single(_stage.Twilio.Requests);
        Assert.Single(_stage.Endpoint.Requests);
    }

    [Fact]
    public async Task A_message_is_one_trace_from_the_webhook_to_the_calls_and_on_the_rows_between()
    {
        await using var host = await _stage.HostAsync();
        using var activity = new Activity("provider").Start();
        Assert.True(await _stage.TextAsync("+14155550104", Ask, "SM-traced"), host.Output);
        Assert.Equal([Answer], await _stage.RepliesAsync("+14155550104"));

        var trace = activity.TraceId.ToHexString();
        Assert.Contains(trace, Assert.Single(_stage.Endpoint.Requests).Headers["traceparent"], StringComparison.Ordinal);
        Assert.Contains(trace, Assert.Single(_stage.Twilio.TraceParents), StringComparison.Ordinal);
        Assert.Equal(trace, await _stage.Platform.Postgres.ScalarAsync<string>("SELECT trace_id FROM conversations.turn_records"));
        Assert.Equal(trace, await _stage.Platform.Postgres.ScalarAsync<string>("SELECT trace_id FROM actions.action_execution_log"));
        Assert.Equal(1, await _stage.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM channels.outbound_messages WHERE trace_parent LIKE '00-' || $1 || '-%'", trace));
        Assert.Equal(3, await _stage.Platform.Postgres.ScalarAsync<long>(
            "SELECT count(*) FROM work.items WHERE kind IN ('conversation.turn', 'actions.execute', 'messaging.dispatch') AND trace_parent LIKE '00-' || $1 || '-%'", trace));
    }

    [Fact]
    public async Task A_provider_that_loses_its_answers_never_sends_twice()
    {
        _stage.Twilio.Next(new TwilioAnswer.AcceptThenFail(), new TwilioAnswer.AcceptThenHang(), new TwilioAnswer.Refuse(500));
        await using var host = await _stage.HostAsync(patience: 2);
        foreach (var from in new[] { "+14155550101", "+14155550102", "+14155550103" })
        {
            Assert.True(await _stage.TextAsync(from, Ask, $"SM-{from}"));
            Assert.Equal([Answer], await _stage.RepliesAsync(from));
        }
    }

    [Fact]
    public async Task Two_hosts_share_the_work_and_double_nothing()
    {
        await using var first = await _stage.HostAsync();
        await using var second = await _stage.HostAsync(second: true);
        var numbers = Enumerable.Range(0, 40).Select(i => $"+1415555{2000 + i}").ToList();
        await Parallel.ForEachAsync(numbers, async (from, _) =>
        {
            // Both hosts are given every message, at the same time.
            var taken = await Task.WhenAll(_stage.TextAsync(from, Ask, $"SM-{from}"), _stage.TextAsync(from, Ask, $"SM-{from}", second.Client.BaseAddress));
            Assert.All(taken, Assert.True);
        });

        foreach (var from in numbers)
        {
            Assert.Equal([Answer], await _stage.RepliesAsync(from));
        }

        Assert.Equal(numbers.Count, _stage.Twilio.Requests.Count);
        // A lease of two seconds can run out on a busy machine: then the call is made again, with the same key.
        Assert.Equal(numbers.Count, _stage.Endpoint.Requests.DistinctBy(request => request.Headers["Idempotency-Key"]).Count());
    }

    /// <summary>
    /// The host is killed at one message to the database after another. Where the webhook had no answer yet, the provider delivers it
    /// again, as providers do. A normal run takes a few steps from each stage; <c>AGENTPLATFORM_CRASH_EVERY_STEP=1</c> takes each of them.
    /// </summary>
    [Fact]
    public async Task A_host_that_is_killed_between_any_two_steps_still_answers_once()
    {
        int[] steps = Environment.GetEnvironmentVariable("AGENTPLATFORM_CRASH_EVERY_STEP") == "1" ? [.. Enumerable.Range(1, 200)] : [1, 6, 15, 30];
        var kills = 0;
        using var proxy = new DatabaseProxy(_stage.Platform.Postgres.ConnectionString);
        var host = await _stage.HostAsync(proxy.ConnectionString, patience: 2);
        foreach (var step in steps)
        {
            var (from, victim) = ($"+1415556{1000 + step}", host);
            proxy.Trap(step, victim.Kill);
            var taken = await _stage.TextAsync(from, Ask, $"SM-{step}");
            var answered = await AnsweredByAsync(victim, from);
            proxy.Trap(int.MaxValue, () => { });
            if (!answered)
            {
                kills++;
                await victim.DisposeAsync();
                host = await _stage.HostAsync(proxy.ConnectionString, patience: 2);
                Assert.True(taken || await _stage.TextAsync(from, Ask, $"SM-{step}"));
            }

            Assert.Equal([Answer], await _stage.RepliesAsync(from));
        }

        await host.DisposeAsync();
        // A reply takes more steps than this; fewer kills would mean that the trap has missed them.
        Assert.InRange(kills, 4, 199);
    }

    /// <summary>Whether the reply went out, and all work was over, while the host lived.</summary>
    private async Task<bool> AnsweredByAsync(HostProcess host, string from)
    {
        var answered = false;
        await Eventually.SeeAsync(
            async () => host.HasExited || (answered = _stage.Twilio.Messages.Any(m => m.To == from) && await _stage.OpenWorkAsync() == 0),
            over => over,
            seconds: 120);
        return answered;
    }
}
