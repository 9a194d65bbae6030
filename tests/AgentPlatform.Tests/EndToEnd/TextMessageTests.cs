using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.EndToEnd;

/// <summary>The main job, with real hosts: a text message comes in, one considered reply goes out, whatever happens in between.</summary>
public sealed class TextMessageTests : IAsyncLifetime
{
    private const string Ask = "find me software engineer jobs in Berlin";
    private const string Answer = "Here is what I found for software engineer:\n1. Software Engineer, Acme\n2. Backend Engineer, Globex";

    private HostStage _stage = null!;

    public async Task InitializeAsync() => _stage = await HostStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact, Behaviour("yp-sms-no-double-send")]
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
    public async Task A_provider_that_loses_its_answers_never_sends_twice()
    {
        _stage.Twilio.Next(new TwilioAnswer.AcceptThenFail(), new TwilioAnswer.AcceptThenHang(), new TwilioAnswer.Refuse(500));
        await using var host = await _stage.HostAsync();
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
    /// Every message the host sends to the database is, in turn, the one at which the host is killed. Where the webhook had no answer
    /// yet, the provider delivers it again, as providers do.
    /// </summary>
    [Fact]
    public async Task A_host_that_is_killed_between_any_two_steps_still_answers_once()
    {
        using var proxy = new DatabaseProxy(_stage.Platform.Postgres.ConnectionString);
        var step = 1;
        for (var alive = false; !alive; step += Stride)
        {
            var from = $"+1415556{1000 + step}";
            using var killed = new SemaphoreSlim(0);
            await using (var victim = await _stage.HostAsync(proxy.ConnectionString))
            {
                proxy.Trap(step, () =>
                {
                    victim.Kill();
                    killed.Release();
                });
                var taken = await _stage.TextAsync(from, Ask, $"SM-{step}");
                alive = await AnsweredBeforeAsync(from, killed);
                proxy.Trap(int.MaxValue, () => { });
                victim.Kill();
                await using var successor = await _stage.HostAsync();
                Assert.True(taken || await _stage.TextAsync(from, Ask, $"SM-{step}"));
                Assert.Equal([Answer], await _stage.RepliesAsync(from));
            }
        }

        // A reply takes at least this many steps; fewer would mean that the trap has missed them.
        Assert.InRange(step, 15, 200);
    }

    /// <summary>Every n-th step in a normal run; <c>./dev chaos</c> sets 1.</summary>
    private static int Stride => int.TryParse(Environment.GetEnvironmentVariable("AGENTPLATFORM_CRASH_STRIDE"), out var stride) ? stride : 3;

    private async Task<bool> AnsweredBeforeAsync(string from, SemaphoreSlim killed)
    {
        var answered = false;
        await Eventually.SeeAsync(
            async () =>
            {
                answered = _stage.Twilio.Messages.Any(m => m.To == from) && await OpenWorkAsync() == 0;
                return answered || killed.CurrentCount > 0;
            },
            over => over,
            seconds: 30);
        return answered && killed.CurrentCount == 0;
    }

    private Task<long> OpenWorkAsync() =>
        _stage.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM work.items WHERE state IN ('ready', 'running') AND kind <> 'events.consume'");
}
