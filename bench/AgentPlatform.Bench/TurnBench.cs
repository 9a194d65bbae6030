using System.Collections.Concurrent;
using System.Diagnostics;
using AgentPlatform.Bench.Engine;
using AgentPlatform.Brain;
using AgentPlatform.Brain.Rules;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentPlatform.Bench;

/// <summary>What a turn of a large agent takes inside the process, when no language model is asked: all of it, and its decision alone.</summary>
internal sealed class TurnBench(ServiceProvider services, ProvisionedTenant tenant)
{
    private const int WarmUp = 100;
    private const int Measured = 300;

    /// <summary>What the contacts say in turn. The second is an answer in the scenario that the first enters; the rest stand for themselves.</summary>
    private static readonly (string Kind, string[] Says)[] Talks =
    [
        ("a scenario's answer", ["book the garden 7", "ada@example.com"]),
        ("an action by name", ["order crate 321"]),
        ("a rule", ["tell me of topic 777 please"]),
        ("small talk", ["thank you"]),
        ("nothing understood", ["the quick brown fox jumps over my lazy neighbour"]),
    ];

    private readonly ConcurrentQueue<double> _turns = [];

    private readonly Actor _actor = Actor.System(tenant.TenantId);

    internal static async Task<int> RunAsync(BenchOptions options)
    {
        // The agent's classifier is trained after the run: what is measured is the reading of its phrases.
        var configuration = new ConfigurationBuilder().AddEnvironmentVariables()
            .AddInMemoryCollection(new Dictionary<string, string?>(StringComparer.Ordinal) { ["Brain:TrainAfterSeconds"] = "3600" })
            .Build();
        await using var services = new ServiceCollection()
            .AddSingleton<IConfiguration>(configuration)
            .AddSingleton(TimeProvider.System)
            .AddLogging()
            .AddAgentPlatform(configuration)
            .BuildServiceProvider();
        await services.GetRequiredService<Migrator>().MigrateAsync(CancellationToken.None);
        var (plain, large) = (await TenantAsync(services, "plain"), await TenantAsync(services, "large"));
        await LargeAgent.BuildAsync(services, Actor.System(large.TenantId), large.AgentId);
        var figures = Figures(await new TurnBench(services, plain).TurnsAsync(), await new TurnBench(services, large).TurnsAsync(), await new TurnBench(services, large).DecisionsAsync());
        if (BenchOptions.Page is { Length: > 0 } page)
        {
            await BenchPage.WriteAsync(page, BenchPage.Turn, figures);
        }

        return Report.Write("turn", figures, options.JsonFile);
    }

    private static IReadOnlyList<Figure> Figures(IReadOnlyCollection<double> plain, IReadOnlyCollection<double> turns, IReadOnlyList<(string Kind, double Milliseconds)> decisions) =>
    [
        new("turn p50", Report.Percentile(turns, 50), "ms", Goal: 5),
        new("turn p99", Report.Percentile(turns, 99), "ms", Goal: 20),
        new("the same of an agent that has nothing, p50", Report.Percentile(plain, 50), "ms"),
        new("the same of an agent that has nothing, p99", Report.Percentile(plain, 99), "ms"),
        new("decision p50", Report.Percentile(decisions.Select(d => d.Milliseconds), 50), "ms"),
        new("decision p99", Report.Percentile(decisions.Select(d => d.Milliseconds), 99), "ms"),
        .. decisions.GroupBy(d => d.Kind).Select(kind => new Figure($"decision of {kind.Key}, p50", Report.Percentile(kind.Select(d => d.Milliseconds), 50), "ms")),
    ];

    private static async Task<ProvisionedTenant> TenantAsync(ServiceProvider services, string name) =>
        (await services.GetRequiredService<TenantProvisioning>().CreateAsync(new NewTenant(name, name, $"{name}@example.test"), CancellationToken.None)).Value;

    /// <summary>Milliseconds of each turn, once everything is warm.</summary>
    private async Task<IReadOnlyCollection<double>> TurnsAsync()
    {
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == WorkRunner.Activities.Name,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = Stopped,
        };
        ActivitySource.AddActivityListener(listener);
        await PlayAsync(WarmUp);
        // Autovacuum would do this within a minute: until then Postgres plans for empty tables.
        await AnalyzeAsync();
        await PlayAsync(WarmUp);
        _turns.Clear();
        await PlayAsync(Measured);
        return _turns;
    }

    private void Stopped(Activity activity)
    {
        if (activity.DisplayName.Contains(BrainModule.TurnWork, StringComparison.Ordinal))
        {
            _turns.Enqueue(activity.Duration.TotalMilliseconds);
        }
    }

    /// <summary>At least so many turns, one after the other, each talk with a visitor of its own.</summary>
    private async Task PlayAsync(int turns)
    {
        var runner = services.GetRequiredService<WorkRunner>();
        for (var (said, talk) = (0, 0); said < turns; talk++)
        {
            var conversation = (await InAsync(tx => services.GetRequiredService<Chat>().StartAsync(tx, tenant.AgentId, new StartChat(null, null, null), CancellationToken.None))).Value.ConversationId;
            foreach (var text in Talks[talk % Talks.Length].Says)
            {
                _ = (await InAsync(tx => services.GetRequiredService<Chat>().SayAsync(tx, conversation, new ChatText(text), CancellationToken.None))).Value;
                await runner.DrainAsync(CancellationToken.None);
                said++;
            }
        }
    }

    /// <summary>The same without I/O, as the first message of a talk.</summary>
    private async Task<IReadOnlyList<(string Kind, double Milliseconds)>> DecisionsAsync()
    {
        var book = await InAsync(tx => services.GetRequiredService<AgentBooks>().OfAgentAsync(tx, tenant.AgentId, CancellationToken.None));
        var agent = await InAsync(tx => services.GetRequiredService<AgentDirectory>().FindAsync(tx, tenant.AgentId, CancellationToken.None));
        var contact = await InAsync(tx => services.GetRequiredService<ContactDirectory>().GetOrCreateAsync(tx, new ChannelAddress(ChannelAddress.Web, "bench"), null, CancellationToken.None));
        var now = TimeProvider.System.GetUtcNow();
        var times = new List<(string, double)>();
        for (var i = 0; i < Measured; i++)
        {
            var (kind, says) = Talks[i % Talks.Length];
            var input = new TurnInput
            {
                Messages = [says[0]],
                Text = says[0],
                Channel = "web",
                Turn = 1,
                Today = DateOnly.FromDateTime(now.UtcDateTime),
                Now = now,
                State = new SessionState(),
                Contact = contact,
                Agent = agent!,
                Actions = book.Actions,
                Scenarios = book.Scenarios,
                Declared = book.Variables,
                Rules = book.Rules,
                Options = services.GetRequiredService<IOptions<BrainOptions>>().Value,
            };
            var start = Stopwatch.GetTimestamp();
            _ = TurnDecision.Decide(input);
            times.Add((says.Length > 1 ? "a scenario's entry" : kind, Stopwatch.GetElapsedTime(start).TotalMilliseconds));
        }

        return times;
    }

    private static async Task AnalyzeAsync()
    {
        await using var source = NpgsqlDataSource.Create(BenchOptions.AdminConnectionString);
        await using var command = source.CreateCommand("VACUUM ANALYZE");
        await command.ExecuteNonQueryAsync();
    }

    private async Task<T> InAsync<T>(Func<Transaction, Task<T>> work)
    {
        await using var tx = services.GetRequiredService<Database>().Begin(_actor);
        var value = await work(tx);
        await tx.CommitAsync(CancellationToken.None);
        return value;
    }
}
