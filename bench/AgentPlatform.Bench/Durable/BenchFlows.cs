using System.Collections.Concurrent;
using AgentPlatform.LocalHost;

namespace AgentPlatform.Bench.Durable;

/// <summary>How late each sleeper woke, in milliseconds.</summary>
internal sealed class Wakes
{
    internal ConcurrentBag<double> Late { get; } = [];
}

/// <summary>The orchestrations and activities that the bench runs.</summary>
internal sealed class BenchFlows(Wakes wakes)
{
    [Function(nameof(Add))]
    public static int Add([ActivityTrigger] int number) => number + 1;

    [Function(nameof(Woken))]
    public void Woken([ActivityTrigger] DateTime due) => wakes.Late.Add((TimeProvider.System.GetUtcNow().UtcDateTime - due).TotalMilliseconds);

    [Function(nameof(FiveSteps))]
    public static async Task<int> FiveSteps([OrchestrationTrigger] TaskOrchestrationContext context, int number)
    {
        for (var i = 0; i < 5; i++)
        {
            number = await context.CallActivityAsync<int>(nameof(Add), number);
        }

        return number;
    }

    [Function(nameof(FanOut))]
    public static async Task<int> FanOut([OrchestrationTrigger] TaskOrchestrationContext context, int width) =>
        (await Task.WhenAll(Enumerable.Range(0, width).Select(i => context.CallActivityAsync<int>(nameof(Add), i)))).Length;

    /// <summary>Sleeps until a time, and has somebody note when it was woken.</summary>
    [Function(nameof(Sleep))]
    public static async Task Sleep([OrchestrationTrigger] TaskOrchestrationContext context, DateTime due)
    {
        await context.CreateTimer(due, CancellationToken.None);
        await context.CallActivityAsync(nameof(Woken), due);
    }
}
