using System.Net;
using System.Net.Http.Json;
using System.Text;
using AgentPlatform.LocalHost;
using AgentPlatform.LocalHost.Invocation;
using AgentPlatform.LocalHost.Queues;
using Azure.Storage.Queues.Models;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.LocalHost;

public sealed class QueueFunctionTests
{
    private readonly Inbox _inbox = new();

    [Fact]
    public async Task A_message_binds_to_text_bytes_classes_and_the_official_message()
    {
        await using var app = await StartAsync(typeof(Shapes));

        await SendAsync(app, "as-text", "plain ✓");
        Assert.Equal("plain ✓", await _inbox.NextAsync());
        await SendAsync(app, "as-bytes", "bytes");
        Assert.Equal("bytes", Encoding.UTF8.GetString((byte[])await _inbox.NextAsync()));
        await SendAsync(app, "as-record", """{"name":"Ada","age":36}""");
        Assert.Equal(new Person("Ada", 36), await _inbox.NextAsync());
        await SendAsync(app, "as-message", "whole");
        var message = Assert.IsType<QueueMessage>(await _inbox.NextAsync());
        Assert.Equal(("whole", 1L), (message.Body.ToString(), message.DequeueCount));
        await SendAsync(app, "as-properties", "named");
        Assert.Equal("named 1 True True", await _inbox.NextAsync());
    }

    [Fact]
    public async Task A_function_is_run_by_hand_with_the_master_key_and_the_input_is_its_message()
    {
        await using var app = await StartAsync(typeof(Text));
        Task<HttpResponseMessage> RunAsync(string name, string key) => app.Client.PostAsJsonAsync($"admin/functions/{name}?code={app.Keys()[key]}", new { input = "by hand" });

        using var run = await RunAsync("text", "_master");
        using var unknown = await RunAsync("nothing", "_master");
        using var keyless = await RunAsync("text", "default");

        Assert.Equal((HttpStatusCode.Accepted, HttpStatusCode.NotFound, HttpStatusCode.Unauthorized), (run.StatusCode, unknown.StatusCode, keyless.StatusCode));
        Assert.Equal("by hand", await _inbox.NextAsync());
    }

    [Fact]
    public async Task A_message_that_ran_is_gone()
    {
        await using var app = await StartAsync(typeof(Text));

        await SendAsync(app, "as-text", "x");
        await _inbox.NextAsync();

        Assert.Equal(0, await CountAsync(app, seen => seen == 0));
    }

    [Fact]
    public async Task Sending_in_process_wakes_the_listener_at_once()
    {
        var clock = FakeClock.AtNoon();
        await using var app = await LocalHostApp.StartAsync(Host(_inbox, typeof(Text)) with { Clock = clock, HostJson = HostJson("\"maxPollingInterval\": \"01:00:00\"") });

        // Nothing moves the clock, so that only the wake-up can bring the message.
        await SendAsync(app, "as-text", "woken");

        Assert.Equal("woken", await _inbox.NextAsync());
    }

    [Fact]
    public async Task A_failed_message_comes_back_after_the_visibility_timeout_and_is_poisoned_after_the_last_attempt()
    {
        var clock = FakeClock.AtNoon();
        _inbox.Fails = true;
        await using var app = await LocalHostApp.StartAsync(Host(_inbox, typeof(Text)) with
        {
            Clock = clock,
            HostJson = HostJson("\"maxDequeueCount\": 2, \"visibilityTimeout\": \"00:00:40\", \"maxPollingInterval\": \"00:00:05\""),
        });

        await SendAsync(app, "as-text", "bad");
        await _inbox.NextAsync();
        var due = clock.GetUtcNow().AddSeconds(40);
        Assert.Equal(due, await VisibleAtAsync(app, seen => seen == due), TimeSpan.FromMilliseconds(1));
        await MoveAsync(clock, app, TimeSpan.FromSeconds(39));
        Assert.Equal(1, _inbox.Count);
        Assert.Equal(2, await Eventually.SeeAsync(
            () =>
            {
                clock.Advance(TimeSpan.FromSeconds(1));
                return Task.FromResult(_inbox.Count);
            },
            seen => seen == 2));

        Assert.Equal("as-text-poison", await Eventually.SeeAsync(() => QueueAsync(app), seen => seen == "as-text-poison"));
        Assert.Equal(2, _inbox.Count);
    }

    [Theory]
    [InlineData("base64", "not base64!", "as-text-poison")]
    [InlineData("base64", "cGxhaW4=", null)]
    [InlineData("none", "not base64!", null)]
    public async Task Text_that_the_encoding_cannot_read_goes_to_the_poison_queue_unrun(string encoding, string stored, string? endsIn)
    {
        await using var app = await LocalHostApp.StartAsync(Host(_inbox, typeof(Text)) with { HostJson = HostJson($"\"messageEncoding\": \"{encoding}\"") });

        await Queue(app, "as-text").SendAsync(stored, default);

        if (endsIn is null)
        {
            Assert.Equal(encoding == "base64" ? "plain" : stored, await _inbox.NextAsync());
        }
        else
        {
            Assert.Equal(endsIn, await Eventually.SeeAsync(() => QueueAsync(app), seen => seen == endsIn));
            Assert.Equal(stored, await app.Database.ScalarAsync<string>("SELECT body FROM localhost.queue_messages"));
            Assert.Equal(0, _inbox.Count);
        }
    }

    [Fact]
    public async Task A_message_whose_hosts_all_died_is_poisoned_without_another_run()
    {
        await using var app = await StartAsync(typeof(Other));
        await SendAsync(app, "as-text", "killer");
        Assert.Equal(1, await app.Database.ScalarAsync<int>("UPDATE localhost.queue_messages SET dequeue_count = 5 RETURNING 1"));

        await using var next = await LocalHostApp.StartAsync(Host(_inbox, typeof(Text)) with { Database = app.Database });

        Assert.Equal("as-text-poison", await Eventually.SeeAsync(() => QueueAsync(next), seen => seen == "as-text-poison"));
        Assert.Equal(0, _inbox.Count);
    }

    [Fact]
    public async Task A_poison_queue_has_no_poison_queue_and_keeps_what_fails()
    {
        var clock = FakeClock.AtNoon();
        _inbox.Fails = true;
        await using var app = await LocalHostApp.StartAsync(Host(_inbox, typeof(Poison)) with { Clock = clock, HostJson = HostJson("\"maxDequeueCount\": 1") });

        await Queue(app, "as-text-poison").SendAsync("not base64!", default);

        Assert.Equal("not base64!", await _inbox.NextAsync());
        var due = clock.GetUtcNow().AddMinutes(1);
        Assert.Equal(due, await VisibleAtAsync(app, seen => seen == due), TimeSpan.FromMilliseconds(1));
        Assert.Equal("as-text-poison", await QueueAsync(app));
    }

    [Fact]
    public async Task The_next_batch_is_fetched_when_no_more_than_the_threshold_run()
    {
        using var permits = new SemaphoreSlim(0);
        _inbox.Permits = permits;
        await using var filler = await StartAsync(typeof(Other));
        for (var i = 0; i < 12; i++)
        {
            await SendAsync(filler, "as-text", $"{i}");
        }

        await using var app = await LocalHostApp.StartAsync(Host(_inbox, typeof(Text)) with
        {
            Database = filler.Database,
            HostJson = HostJson("\"batchSize\": 4, \"newBatchThreshold\": 2, \"maxPollingInterval\": \"00:00:00.100\""),
        });

        Assert.Equal(4, await StartedAsync(4));
        permits.Release(2);
        Assert.Equal(8, await StartedAsync(8));
        Assert.Equal(6, _inbox.MostRunning);
        permits.Release(10);
        Assert.Equal(12, await StartedAsync(12));
        Assert.Equal(6, _inbox.MostRunning);
    }

    [Fact]
    public async Task A_long_run_keeps_its_message_hidden()
    {
        var clock = FakeClock.AtNoon();
        var gate = new TaskCompletionSource();
        _inbox.Gate = gate.Task;
        await using var app = await LocalHostApp.StartAsync(Host(_inbox, typeof(Text)) with { Clock = clock });
        await SendAsync(app, "as-text", "long");
        await _inbox.NextAsync();

        for (var i = 0; i < 6; i++)
        {
            clock.Advance(TimeSpan.FromSeconds(30));
            var hidden = clock.GetUtcNow() + QueueListener.Hidden;
            Assert.Equal(hidden, await VisibleAtAsync(app, seen => seen == hidden), TimeSpan.FromMilliseconds(1));
        }

        gate.SetResult();
        Assert.Equal(0, await CountAsync(app, seen => seen == 0));
        Assert.Equal(1, _inbox.Count);
    }

    [Fact]
    public async Task A_run_whose_message_was_taken_over_is_cancelled_and_deletes_nothing()
    {
        var clock = FakeClock.AtNoon();
        _inbox.Gate = new TaskCompletionSource().Task;
        await using var app = await LocalHostApp.StartAsync(Host(_inbox, typeof(Text)) with { Clock = clock });
        await SendAsync(app, "as-text", "stolen");
        await _inbox.NextAsync();
        Assert.Equal(1, await app.Database.ScalarAsync<int>(
            "UPDATE localhost.queue_messages SET pop_receipt = gen_random_uuid(), visible_at = 'infinity' RETURNING 1"));

        clock.Advance(TimeSpan.FromSeconds(30));
        await _inbox.EndedAsync();

        Assert.Equal(1, await CountAsync(app, _ => true));
    }

    internal static LocalHostApp.Setup Host(Inbox inbox, params Type[] functions) => new(functions)
    {
        HostJson = HostJson("\"maxPollingInterval\": \"00:00:00.200\""),
        Configure = builder => builder.Services.AddSingleton(inbox),
    };

    private static string HostJson(string queues) => $$"""{ "extensions": { "queues": { {{queues}} } } }""";

    private static IMessageQueue Queue(LocalHostApp app, string name) =>
        app.Services.GetRequiredService<QueueFactory>().Open(FunctionCatalog.Find([typeof(Text)]).All[0], new QueueTriggerAttribute(name));

    private static Task SendAsync(LocalHostApp app, string queue, string text) =>
        Queue(app, queue).SendAsync(Convert.ToBase64String(Encoding.UTF8.GetBytes(text)), default);

    private static Task<string> QueueAsync(LocalHostApp app) => app.Database.ScalarAsync<string>("SELECT queue FROM localhost.queue_messages");

    private static Task<int> CountAsync(LocalHostApp app, Predicate<int> enough) =>
        Eventually.SeeAsync(() => app.Database.ScalarAsync<int>("SELECT count(*)::integer FROM localhost.queue_messages"), seen => enough(seen));

    private static Task<DateTimeOffset> VisibleAtAsync(LocalHostApp app, Predicate<DateTimeOffset> enough) => Eventually.SeeAsync(
        async () => new DateTimeOffset(await app.Database.ScalarAsync<DateTime>("SELECT visible_at FROM localhost.queue_messages")),
        seen => enough(seen));

    // Second by second, and after each one until the listener sleeps again, as it would with a clock that runs.
    private static async Task MoveAsync(FakeClock clock, LocalHostApp app, TimeSpan by)
    {
        for (var passed = TimeSpan.Zero; passed < by; passed += TimeSpan.FromSeconds(1))
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            await app.Database.ScalarAsync<int>("SELECT 1");
        }
    }

    private Task<int> StartedAsync(int count) => Eventually.SeeAsync(() => Task.FromResult(_inbox.Count), seen => seen >= count);

    private Task<LocalHostApp> StartAsync(params Type[] functions) => LocalHostApp.StartAsync(Host(_inbox, functions));

    public sealed record Person(string Name, int Age);

    public sealed class Text(Inbox inbox)
    {
        [Function("Text")]
        public Task RunAsync([QueueTrigger("as-text")] string message, CancellationToken ct) => inbox.TakeAsync(message, ct);
    }

    public sealed class Poison(Inbox inbox)
    {
        [Function("Poison")]
        public Task RunAsync([QueueTrigger("as-text-poison")] string message, CancellationToken ct) => inbox.TakeAsync(message, ct);
    }

    public sealed class Other(Inbox inbox)
    {
        [Function("Other")]
        public Task RunAsync([QueueTrigger("other-queue")] string message) => inbox.TakeAsync(message);
    }

    public sealed class Shapes(Inbox inbox)
    {
        [Function("AsText")]
        public Task TextAsync([QueueTrigger("as-text")] string message) => inbox.TakeAsync(message);

        [Function("AsBytes")]
        public Task BytesAsync([QueueTrigger("as-bytes")] byte[] message) => inbox.TakeAsync(message);

        [Function("AsRecord")]
        public Task RecordAsync([QueueTrigger("as-record")] Person message) => inbox.TakeAsync(message);

        [Function("AsMessage")]
        public Task MessageAsync([QueueTrigger("as-message")] QueueMessage message) => inbox.TakeAsync(message);

        [Function("AsProperties")]
        public Task PropertiesAsync(
            [QueueTrigger("as-properties")] string message, string id, int dequeueCount, DateTimeOffset insertionTime, FunctionContext context) =>
            inbox.TakeAsync($"{message} {dequeueCount} {Guid.TryParse(id, out _)} {insertionTime > DateTimeOffset.UnixEpoch && context.BindingContext.BindingData.ContainsKey("PopReceipt")}");
    }
}
