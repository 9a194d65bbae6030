using System.Net;
using System.Net.Sockets;
using System.Text;
using AgentPlatform.LocalHost;
using AgentPlatform.LocalHost.Invocation;
using AgentPlatform.LocalHost.Queues;
using AgentPlatform.Tests.EndToEnd;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.LocalHost;

public sealed class DrainTests
{
    private readonly TaskCompletionSource _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Inbox _inbox = new();

    public DrainTests() => _inbox.Gate = _gate.Task;

    [Fact]
    public async Task Stopping_waits_for_the_running_message_and_takes_no_other()
    {
        await using var app = await LocalHostApp.StartAsync(Setup("00:00:30") with { HostJson = """{ "extensions": { "queues": { "batchSize": 1, "newBatchThreshold": 0 } } }""" });
        var queue = Queue(app);
        await queue.SendAsync("Zmlyc3Q=", default);
        Assert.Equal("first", await _inbox.NextAsync());
        await queue.SendAsync("c2Vjb25k", default);

        var stopping = app.StopAsync();
        await RefusesAsync(app.Client.BaseAddress!);
        Assert.False(stopping.IsCompleted);
        _gate.SetResult();
        await stopping;

        Assert.Equal(1, _inbox.Count);
        Assert.Equal("c2Vjb25k 0", await app.Database.ScalarAsync<string>("SELECT string_agg(body || ' ' || dequeue_count, ',') FROM localhost.queue_messages"));
    }

    [Fact]
    public async Task After_the_limit_the_running_message_is_cut_off_and_given_back()
    {
        await using var app = await LocalHostApp.StartAsync(Setup("00:00:01"));
        await Queue(app).SendAsync("Zmlyc3Q=", default);
        await _inbox.NextAsync();

        await app.StopAsync();

        Assert.True(await app.Database.ScalarAsync<bool>("SELECT visible_at <= now() AND dequeue_count = 1 FROM localhost.queue_messages"));
    }

    [Fact]
    public async Task Stopping_waits_for_the_running_timer_and_gives_its_lease_back()
    {
        await using var app = await LocalHostApp.StartAsync(Setup("00:00:30", typeof(SlowTimer)));
        await _inbox.NextAsync();

        var stopping = app.StopAsync();
        await RefusesAsync(app.Client.BaseAddress!);
        Assert.False(stopping.IsCompleted);
        _gate.SetResult();
        await stopping;

        Assert.True(await app.Database.ScalarAsync<bool>("SELECT owner IS NULL AND last_at IS NOT NULL FROM localhost.timers"));
    }

    [Fact]
    public async Task Stopping_waits_for_the_running_request()
    {
        await using var app = await LocalHostApp.StartAsync(Setup("00:00:30", typeof(SlowRequest)));
        var request = app.Client.GetStringAsync("slow");
        await _inbox.NextAsync();

        var stopping = app.StopAsync();
        await RefusesAsync(app.Client.BaseAddress!);
        _gate.SetResult();

        Assert.Equal("done", await request);
        await stopping;
    }

    [Fact]
    public async Task On_SIGTERM_a_process_finishes_its_request_refuses_others_and_exits_with_0()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using var host = await HostProcess.StartAsync(database.ConnectionString);
        using var connection = await HalfARequestAsync(host.Client.BaseAddress!);

        host.Terminate();
        await RefusesAsync(host.Client.BaseAddress!);
        var stream = connection.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes("=b"));
        using var reader = new StreamReader(stream, Encoding.ASCII);
        var answer = await reader.ReadLineAsync();

        // The request is answered by the application: the token is no channel's.
        Assert.Equal("HTTP/1.1 404 Not Found", answer);
        Assert.Equal(0, await host.ExitAsync());
    }

    private LocalHostApp.Setup Setup(string limit, params Type[] functions) => new(functions.Length == 0 ? [typeof(SlowQueue)] : functions)
    {
        Settings = [("Host:DrainLimit", limit)],
        Configure = builder => builder.Services.AddSingleton(_inbox),
    };

    private static IMessageQueue Queue(LocalHostApp app) =>
        app.Services.GetRequiredService<QueueFactory>().Open(app.Services.GetRequiredService<FunctionCatalog>().All[0], new QueueTriggerAttribute("slow"));

    private static async Task<TcpClient> HalfARequestAsync(Uri address)
    {
        var connection = new TcpClient();
        await connection.ConnectAsync(address.Host, address.Port);
        await connection.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
            "POST /webhooks/twilio/0f8fad5b-d9cb-469f-a165-70867728950e/sms HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\n"));
        // The server asks for the body when the function reads it: so it runs.
        var buffer = new byte[25];
        await connection.GetStream().ReadExactlyAsync(buffer);
        Assert.Equal("HTTP/1.1 100 Continue\r\n\r\n", Encoding.ASCII.GetString(buffer));
        await connection.GetStream().WriteAsync("a"u8.ToArray());
        return connection;
    }

    private static async Task RefusesAsync(Uri address)
    {
        var refused = await Eventually.SeeAsync(
            async () =>
            {
                using var fresh = new HttpClient();
                try
                {
                    using var response = await fresh.GetAsync(new Uri(address, "health/live"));
                    return response.StatusCode == HttpStatusCode.ServiceUnavailable;
                }
                catch (HttpRequestException)
                {
                    return true;
                }
            },
            seen => seen);
        Assert.True(refused, "The host still takes requests.");
    }

    public sealed class SlowQueue(Inbox inbox)
    {
        [Function("SlowQueue")]
        public Task RunAsync([QueueTrigger("slow")] string message, CancellationToken ct) => inbox.TakeAsync(message, ct);
    }

    public sealed class SlowTimer(Inbox inbox)
    {
        [Function("SlowTimer")]
        public Task RunAsync([TimerTrigger("1.00:00:00", RunOnStartup = true)] TimerInfo timer, CancellationToken ct) => inbox.TakeAsync(timer, ct);
    }

    public sealed class SlowRequest(Inbox inbox)
    {
        [Function("SlowRequest")]
        public async Task<string> RunAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "slow")] HttpRequest request, CancellationToken ct)
        {
            await inbox.TakeAsync("request", ct);
            return "done";
        }
    }
}
