#if AZURE_FUNCTIONS
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;
#else
using AgentPlatform.LocalHost;
#endif

namespace AgentPlatform.Tests.LocalHost.Durable;

/// <summary>Orchestrators whose answers come late, together, or in another order.</summary>
public static class RacingOrchestrators
{
    /// <summary>Leaves a timer and an activity behind when it begins anew.</summary>
    [Function("LeaveBehind")]
    public static async Task<string> LeaveBehind([OrchestrationTrigger] TaskOrchestrationContext context, bool again)
    {
        if (!again)
        {
            _ = context.CallActivityAsync<int>("Wait", context.InstanceId);
            _ = context.CreateTimer(TimeSpan.FromMilliseconds(20), CancellationToken.None);
            context.ContinueAsNew(true);
            return "";
        }

        var echo = context.CallActivityAsync<string>("Echo", "mine");
        return $"{await echo} {await context.WaitForExternalEvent<string>("Go")}";
    }

    /// <summary>Activities and events at once.</summary>
    [Function("Mixed")]
    public static async Task<int[]> Mixed([OrchestrationTrigger] TaskOrchestrationContext context, int count)
    {
        var doubled = Task.WhenAll(Enumerable.Range(0, count).Select(n => context.CallActivityAsync<int>("Double", n)));
        var heard = new List<int>();
        while (heard.Count < count)
        {
            heard.Add(await context.WaitForExternalEvent<int>("Number"));
        }

        return [(await doubled).Sum(), heard.Sum(), heard.Distinct().Count()];
    }

    /// <summary>The loser of a race fails when nobody looks at it any more.</summary>
    [Function("LoserFails")]
    public static async Task<string> LoserFails([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        var winner = context.CallActivityAsync<string>("Hello", "winner");
        var first = await Task.WhenAny(winner, context.CallSubOrchestratorAsync<string>("WaitAndThrow"));
        var isWinner = first == winner;
        await context.WaitForExternalEvent<string>("Go");
        return $"{isWinner} {await winner}";
    }

    [Function("WaitAndThrow")]
    public static async Task<string> WaitAndThrow([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        await context.CallActivityAsync<int>("Wait", context.InstanceId);
        return await context.CallActivityAsync<string>("Throw", "nobody looks");
    }

    [Function("RetryTomorrow")]
    public static Task<int> RetryTomorrow([OrchestrationTrigger] TaskOrchestrationContext context, string key) =>
        context.CallActivityAsync<int>("FailFirst", new FailFirst(key, 9), TaskOptions.FromRetryPolicy(new RetryPolicy(5, TimeSpan.FromDays(1))));

    [Function("ClearStatus")]
    public static async Task<string?> ClearStatus([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        context.SetCustomStatus("set");
        await context.WaitForExternalEvent<string?>("Go");
        context.SetCustomStatus(null);
        return await context.WaitForExternalEvent<string?>("Go");
    }
}
