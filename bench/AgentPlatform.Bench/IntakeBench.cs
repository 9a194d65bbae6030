using System.Diagnostics;
using AgentPlatform.Bench.Engine;
using Npgsql;

namespace AgentPlatform.Bench;

/// <summary>
/// The front door under load: webhooks against the machine's own commit limit, the way from a webhook to the provider call, and what
/// an idle host weighs.
/// </summary>
internal static class IntakeBench
{
    /// <summary>Messages a second of the latency phase.</summary>
    private const int PacedRate = 20;

    /// <summary>Messages of the phase that finds what one costs, each from a sender of its own.</summary>
    private const int Through = 1000;

    /// <summary>One for all questions: a connection of its own for each would be counted as what a message costs the database.</summary>
    private static readonly NpgsqlDataSource Admin = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(BenchOptions.AdminConnectionString) { CommandTimeout = 120 });

    /// <summary>Senders of the throughput phase, so that no conversation becomes the bottleneck.</summary>
    private const int Senders = 1000;

    internal static async Task<int> RunAsync(BenchOptions options)
    {
        var clock = TimeProvider.System;
        await using var twilio = await FakeTwilio.StartAsync();
        var port = HostProcess.FreePort();
        var target = await BenchTenant.CreateAsync($"http://localhost:{port}", twilio.Address);
        await using var host = await HostProcess.StartAsync(BenchOptions.ConnectionString, twilio.Address, port, clock);
        try
        {
            return await MeasureAsync(options, twilio, target, host, clock);
        }
        catch (Exception e) when (e is InvalidOperationException or TimeoutException or HttpRequestException)
        {
            Console.Error.WriteLine($"{e.Message}\n{string.Join('\n', host.Warnings.TakeLast(20))}");
            return 1;
        }
    }

    private static async Task<int> MeasureAsync(BenchOptions options, FakeTwilio twilio, WebhookTarget target, HostProcess host, TimeProvider clock)
    {
        using var client = new WebhookClient(target);

        // Idle is a host that has trained the classifiers of its agents and has been left alone since.
        await Task.Delay(TimeSpan.FromSeconds(15), clock);
        var idle = host.ResidentMegabytes;

        Say("warming up");
        await PacedAsync(client, twilio, series: 200, count: 200, clock);
        // Autovacuum would do this within a minute: until then Postgres plans for empty tables.
        await AdminAsync("VACUUM ANALYZE");
        await PacedAsync(client, twilio, series: 203, count: 40, clock);
        if (options.Only == "flood")
        {
            return Report.Write("intake", await FloodAsync(client, host, target, options), options.JsonFile);
        }

        Say($"latency at {PacedRate} messages/s, each from a sender who was not known before");
        var first = await PacedAsync(client, twilio, series: 201, count: PacedRate * options.Seconds, clock);
        Say("the same senders again");
        var again = await PacedAsync(client, twilio, series: 201, count: PacedRate * options.Seconds, clock);

        var flood = await FloodAsync(client, host, target, options);
        var memory = (idle, host.ResidentMegabytes);
        Say($"{Through} messages, each answered");
        var through = await ThroughAsync(client, twilio, host, options, clock);
        Figure[] figures = [.. flood, .. Figures(first, again, memory), .. through];
        if (BenchOptions.Page is { Length: > 0 } page)
        {
            await BenchPage.WriteAsync(page, BenchPage.Intake(options), figures);
        }

        return Report.Write("intake", figures, options.JsonFile);
    }

    private static List<Figure> Figures(IReadOnlyCollection<double> first, IReadOnlyCollection<double> again, (double Idle, double AfterLoad) memory) =>
    [
        new($"webhook to provider p50, {PacedRate}/s", Report.Percentile(again, 50), "ms", Goal: 15),
        new($"webhook to provider p99, {PacedRate}/s", Report.Percentile(again, 99), "ms", Goal: 50),
        new("the same for a sender's first text, p50", Report.Percentile(first, 50), "ms", Goal: 15),
        new("the same for a sender's first text, p99", Report.Percentile(first, 99), "ms", Goal: 50),
        new("idle host memory", memory.Idle, "MB", Goal: 150),
        new("host memory after the load", memory.AfterLoad, "MB"),
    ];

    /// <summary>What one message costs when the machine is full: the constants of <c>AgentPlatform.Cli capacity</c>.</summary>
    private static async Task<IReadOnlyList<Figure>> ThroughAsync(WebhookClient client, FakeTwilio twilio, HostProcess host, BenchOptions options, TimeProvider clock)
    {
        await IdleAsync(clock);
        var (cpu, bytes, start) = (await CpuMeter.StartAsync(host, Admin), await SizeAsync(), Stopwatch.GetTimestamp());
        var next = -1;
        async Task ClientAsync()
        {
            for (var i = Interlocked.Increment(ref next); i < Through; i = Interlocked.Increment(ref next))
            {
                await client.SendAsync(WebhookClient.Number(204, i), "hello");
            }
        }

        await Task.WhenAll(Enumerable.Range(0, options.Clients).Select(_ => Task.Run(ClientAsync)));
        await IdleAsync(clock);
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        var used = cpu.PerMessage(Through);
        var answered = Enumerable.Range(0, Through).Count(i => twilio.Calls.ContainsKey(WebhookClient.Number(204, i)));
        return answered != Through
            ? throw new InvalidOperationException($"{answered} of {Through} messages were answered.")
            :
            [
                new("taken in and answered", Through / seconds, "msg/s"),
                new("host CPU per message", used.Host, "ms"),
                new("database CPU per message", used.Database, "ms"),
                new("stored per message", (await SizeAsync() - bytes) / 1024.0 / Through, "kB"),
            ];
    }

    /// <summary>Until nothing is due any more.</summary>
    private static async Task IdleAsync(TimeProvider clock)
    {
        while ((long)(await AdminAsync("SELECT count(*) FROM work.items WHERE finished_at IS NULL AND (state = 'running' OR state = 'ready' AND run_at <= now())"))! > 0)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(250), clock);
        }
    }

    private static async Task<long> SizeAsync() => (long)(await AdminAsync("SELECT pg_database_size(current_database())"))!;

    /// <summary>Sends at a steady rate whatever the answers do, and returns the milliseconds from each webhook to its reply's provider call.</summary>
    private static async Task<IReadOnlyCollection<double>> PacedAsync(WebhookClient client, FakeTwilio twilio, int series, int count, TimeProvider clock)
    {
        var starts = new Dictionary<string, long>(StringComparer.Ordinal);
        var requests = new List<Task>();
        using var pace = new PeriodicTimer(TimeSpan.FromSeconds(1.0 / PacedRate), clock);
        for (var i = 0; i < count && await pace.WaitForNextTickAsync(); i++)
        {
            var from = WebhookClient.Number(series, i);
            twilio.Calls.TryRemove(from, out _);
            starts[from] = Stopwatch.GetTimestamp();
            requests.Add(client.SendAsync(from, "hello"));
        }

        await Task.WhenAll(requests);
        var waiting = clock.GetTimestamp();
        while (starts.Keys.Any(from => !twilio.Calls.ContainsKey(from)))
        {
            if (clock.GetElapsedTime(waiting) > TimeSpan.FromSeconds(30))
            {
                throw new TimeoutException($"{starts.Keys.Count(from => !twilio.Calls.ContainsKey(from))} of {count} messages got no reply within 30 s.");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), clock);
        }

        return [.. starts.Select(s => Stopwatch.GetElapsedTime(s.Value, twilio.Calls[s.Key]).TotalMilliseconds)];
    }

    /// <summary>As many requests as can be answered, against as many inserts as can be committed.</summary>
    private static async Task<IReadOnlyList<Figure>> FloodAsync(WebhookClient client, HostProcess host, WebhookTarget target, BenchOptions options)
    {
        Say("the machine's single-insert limit");
        var limit = await Pgbench.SingleInsertsPerSecondAsync(BenchOptions.ConnectionString, options.Clients, options.Seconds);
        var requests = Enumerable.Range(0, (int)limit * options.Seconds).Select(i => client.Bytes(WebhookClient.Number(202, i % Senders), "hello")).ToArray();

        Say($"intake with {options.Clients} clients");
        var (before, cpu) = (await CountAsync(), await CpuMeter.StartAsync(host, Admin));
        var (answers, seconds) = await SendAsync(target, requests, options);
        var used = cpu.PerMessage(answers.Count);
        var stored = await CountAsync() - before;
        return stored != answers.Count
            ? throw new InvalidOperationException($"{answers.Count} webhooks were answered with 200, but {stored} messages are stored.")
            :
            [
                new("intake", answers.Count / seconds, "req/s"),
                new("pgbench single insert", limit, "tx/s"),
                new("intake / single insert", answers.Count / seconds / limit * 100, "%", Goal: 50, AtLeast: true),
                new("intake p50", Report.Percentile(answers, 50), "ms"),
                new("intake p99", Report.Percentile(answers, 99), "ms"),
                new("CPU per request: the senders", used.Bench, "ms"),
                new("CPU per request: the host, turns beside it included", used.Host, "ms"),
                new("CPU per request: the database, the same", used.Database, "ms"),
            ];
    }

    private static async Task<(IReadOnlyCollection<double> Milliseconds, double Seconds)> SendAsync(WebhookTarget target, byte[][] requests, BenchOptions options)
    {
        var start = Stopwatch.GetTimestamp();
        var next = -1;
        async Task<List<double>> ClientAsync()
        {
            var times = new List<double>();
            using var connection = await WebhookConnection.OpenAsync(new Uri(target.Url));
            for (var i = Interlocked.Increment(ref next); i < requests.Length && Stopwatch.GetElapsedTime(start).TotalSeconds < options.Seconds; i = Interlocked.Increment(ref next))
            {
                times.Add((await connection.SendAsync(requests[i])).TotalMilliseconds);
            }

            return times;
        }

        var clients = await Task.WhenAll(Enumerable.Range(0, options.Clients).Select(_ => Task.Run(ClientAsync)));
        return ([.. clients.SelectMany(times => times)], Stopwatch.GetElapsedTime(start).TotalSeconds);
    }

    private static async Task<long> CountAsync() => (long)(await AdminAsync("SELECT (SELECT count(*) FROM channels.inbound_messages) + (SELECT count(*) FROM channels.inbox)"))!;

    private static async Task<object?> AdminAsync(string sql)
    {
        await using var command = Admin.CreateCommand(sql);
        return await command.ExecuteScalarAsync();
    }

    private static void Say(string what) => Console.Error.WriteLine($"  … {what}");
}
