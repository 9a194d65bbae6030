// This folder is also compiled against the official packages; see OfficialDurable.csproj.
#if AZURE_FUNCTIONS
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;
#else
using AgentPlatform.LocalHost;
#endif
using System.Collections.Concurrent;

namespace AgentPlatform.Tests.LocalHost.Durable;

/// <summary>What activities did, and when they may end.</summary>
public sealed class Bench
{
    private readonly ConcurrentDictionary<string, int> _runs = new(StringComparer.Ordinal);

    /// <summary>Activities that wait do so until it completes.</summary>
    public TaskCompletionSource Gate { get; set; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What befalls the host in an activity's run of this number.</summary>
    public Func<int, Task> Blow { get; set; } = _ => Task.CompletedTask;

    public int Count(string key) => _runs.GetValueOrDefault(key);

    public int Run(string key) => _runs.AddOrUpdate(key, 1, (_, n) => n + 1);
}

public sealed record Order(string Item, int Amount);

public sealed class OutOfStockException(string message, Exception? inner = null) : Exception(message, inner);

public sealed class Activities(Bench bench)
{
    [Function("Hello")]
    public static string Hello([ActivityTrigger] string name) => $"Hello, {name}!";

    [Function("Double")]
    public static Task<int> DoubleAsync([ActivityTrigger] int n) => Task.FromResult(2 * n);

    [Function("Total")]
    public static ValueTask<int> Total([ActivityTrigger] Order[] orders) => ValueTask.FromResult(orders.Sum(o => o.Amount));

    [Function("WhoCalls")]
    public static string WhoCalls([ActivityTrigger] FunctionContext context) => $"{context.FunctionDefinition.Name} of {context.BindingContext.BindingData["instanceId"]}";

    [Function("WhichInstance")]
    public static string WhichInstance([ActivityTrigger] string input, string instanceId, FunctionContext context) =>
        $"{input} {instanceId} {context.FunctionDefinition.Name}";

    [Function("Nothing")]
    public static void Nothing([ActivityTrigger] string? input)
    {
        // Called for its effect, which it has not.
    }

    [Function("IsNull")]
    public static bool IsNull([ActivityTrigger] Order? order) => order is null;

    [Function("Throw")]
    public static string Throw([ActivityTrigger] string message) => throw new OutOfStockException(message, new InvalidOperationException("the shelf is empty"));

    /// <summary>Fails the first times.</summary>
    [Function("FailFirst")]
    public int FailFirst([ActivityTrigger] FailFirst input) =>
        bench.Run(input.Key) is var run && run <= input.Times ? throw new OutOfStockException($"attempt {run}") : run;

    [Function("Count")]
    public int Count([ActivityTrigger] string key) => bench.Run(key);

    /// <summary>Waits at the gate.</summary>
    [Function("Wait")]
    public async Task<int> WaitAsync([ActivityTrigger] string key, CancellationToken ct)
    {
        var run = bench.Run(key);
        await bench.Gate.Task.WaitAsync(ct);
        return run;
    }

    [Function("Echo")]
    public static string Echo([ActivityTrigger] string text) => text;
}

public sealed record FailFirst(string Key, int Times);
