#if AZURE_FUNCTIONS
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;
#else
using AgentPlatform.LocalHost;
#endif
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Tests.LocalHost.Durable;

/// <summary>Orchestrators of activities, timers, events and sub-orchestrations.</summary>
public static class Orchestrators
{
    [Function("Greet")]
    public static async Task<string[]> Greet([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        var names = context.GetInput<string[]>()!;
        var greetings = new List<string>();
        foreach (var name in names)
        {
            greetings.Add(await context.CallActivityAsync<string>("Hello", name));
        }

        return [.. greetings];
    }

    [Function("InputByParameter")]
    public static Task<int> InputByParameter([OrchestrationTrigger] TaskOrchestrationContext context, Order[] orders) =>
        context.CallActivityAsync<int>(nameof(Activities.Total), orders);

    [Function("FanOut")]
    public static async Task<int> FanOut([OrchestrationTrigger] TaskOrchestrationContext context, int width)
    {
        var doubled = await Task.WhenAll(Enumerable.Range(0, width).Select(n => context.CallActivityAsync<int>("Double", n)));
        return doubled.Sum();
    }

    [Function("FirstOf")]
    public static async Task<string> FirstOf([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        var wait = context.CallActivityAsync<int>("Wait", context.InstanceId);
        var hello = context.CallActivityAsync<string>("Hello", "first");
        return await Task.WhenAny(wait, hello) == hello ? await hello : "the wait";
    }

    [Function("Various")]
    public static async Task<string[]> Various([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        await context.CallActivityAsync("Nothing");
        await context.CallActivityAsync("Nothing", "input");
        return
        [
            await context.CallActivityAsync<string>("WhoCalls"),
            await context.CallActivityAsync<string>("whichinstance", "in"),
            (await context.CallActivityAsync<bool>("IsNull")).ToString(),
        ];
    }

    [Function("Catch")]
    public static async Task<string> Catch([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        try
        {
            return await context.CallActivityAsync<string>("Throw", "no pears");
        }
        catch (TaskFailedException e)
        {
            var failure = e.FailureDetails;
            return $"{e.TaskName} #{e.TaskId}: {failure.ErrorMessage}; {failure.IsCausedBy<OutOfStockException>()} {failure.IsCausedBy<Exception>()} "
                + $"{failure.IsCausedBy<ArgumentException>()}; {failure.InnerFailure?.ErrorMessage}; {failure.StackTrace is not null}; {e.Message}";
        }
    }

    [Function("LetFail")]
    public static Task<string> LetFail([OrchestrationTrigger] TaskOrchestrationContext context) =>
        context.CallActivityAsync<string>("Throw", context.GetInput<string>());

    [Function("ThrowItself")]
    public static string ThrowItself([OrchestrationTrigger] TaskOrchestrationContext context) => throw new OutOfStockException("at once");

    [Function("CallUnknown")]
    public static Task CallUnknown([OrchestrationTrigger] TaskOrchestrationContext context) => context.CallActivityAsync("NobodyKnows");

    [Function("Tick")]
    public static async Task<double> Tick([OrchestrationTrigger] TaskOrchestrationContext context, TimeSpan wait)
    {
        var start = context.CurrentUtcDateTime;
        await context.CreateTimer(wait, CancellationToken.None);
        return (context.CurrentUtcDateTime - start).TotalMilliseconds;
    }

    [Function("TickUntil")]
    public static async Task<DateTime> TickUntil([OrchestrationTrigger] TaskOrchestrationContext context, DateTime until)
    {
        await context.CreateTimer(until, CancellationToken.None);
        return context.CurrentUtcDateTime;
    }

    [Function("GiveUpTimer")]
    public static async Task<string> GiveUpTimer([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        using var over = new CancellationTokenSource();
        var timer = context.CreateTimer(TimeSpan.FromDays(365), over.Token);
        var hello = await context.CallActivityAsync<string>("Hello", "you");
        over.Cancel();
        try
        {
            await timer;
            return "fired";
        }
        catch (TaskCanceledException)
        {
            return hello;
        }
    }

    [Function("Approve")]
    public static async Task<string> Approve([OrchestrationTrigger] TaskOrchestrationContext context, TimeSpan limit)
    {
        try
        {
            return await context.WaitForExternalEvent<string>("Approval", limit);
        }
        catch (OperationCanceledException)
        {
            return "too late";
        }
    }

    [Function("Collect")]
    public static async Task<int[]> Collect([OrchestrationTrigger] TaskOrchestrationContext context, int count)
    {
        var got = new List<int>();
        while (got.Count < count)
        {
            got.Add(await context.WaitForExternalEvent<int>("Number"));
            context.SetCustomStatus(got.Count);
        }

        return [.. got];
    }

    /// <summary>Works first, so that its events come early.</summary>
    [Function("CollectLate")]
    public static async Task<string> CollectLate([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        await context.CallActivityAsync<int>("Wait", context.InstanceId);
        var first = await context.WaitForExternalEvent<string>("NEWS");
        var second = await context.WaitForExternalEvent<string>("news");
        return $"{first} {second}";
    }

    /// <summary>A wait that was given up must not swallow the next event.</summary>
    [Function("GiveUpWait")]
    public static async Task<string> GiveUpWait([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        using var over = new CancellationTokenSource();
        var given = context.WaitForExternalEvent<string>("Word", over.Token);
        over.Cancel();
        var word = await context.WaitForExternalEvent<string>("Word");
        return $"{given.IsCanceled} {word}";
    }

    [Function("Tell")]
    public static void Tell([OrchestrationTrigger] TaskOrchestrationContext context, string other) => context.SendEvent(other, "approval", $"from {context.InstanceId}");

    [Function("Parent")]
    public static async Task<string> Parent([OrchestrationTrigger] TaskOrchestrationContext context, string? childId)
    {
        var options = childId is null ? null : new SubOrchestrationOptions(instanceId: childId);
        return await context.CallSubOrchestratorAsync<string>("Child", "in", options);
    }

    [Function("Child")]
    public static async Task<string> Child([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        var hello = await context.CallActivityAsync<string>("Hello", context.GetInput<string>());
        return $"{context.Parent?.Name} {context.Parent?.InstanceId == context.InstanceId} {hello}";
    }

    [Function("ParentOfFailing")]
    public static async Task<string> ParentOfFailing([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        try
        {
            await context.CallSubOrchestratorAsync("LetFail", "deep");
            return "no failure";
        }
        catch (TaskFailedException e)
        {
            return $"{e.TaskName}: {e.FailureDetails.IsCausedBy<TaskFailedException>()} {e.FailureDetails.InnerFailure?.IsCausedBy<OutOfStockException>()}";
        }
    }

    [Function("ParentOfWaiting")]
    public static async Task<string> ParentOfWaiting([OrchestrationTrigger] TaskOrchestrationContext context, string childId)
    {
        try
        {
            return await context.CallSubOrchestratorAsync<string>("Approve", TimeSpan.FromDays(1), new SubOrchestrationOptions(instanceId: childId));
        }
        catch (TaskFailedException e)
        {
            return e.FailureDetails.ErrorMessage;
        }
    }

    [Function("Deterministic")]
    public static async Task<string> Deterministic([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        var log = context.CreateReplaySafeLogger("Deterministic");
        var (id, first, time) = (context.InstanceId, context.NewGuid(), context.CurrentUtcDateTime);
        log.LogInformation("{Instance} begins", id);
        await context.CallActivityAsync("Nothing", $"{first} {time:o}");
        var echo = await context.CallActivityAsync<string>("Echo", $"{first} {time:o}");
        log.LogInformation("{Instance} ends", id);
        return $"{echo == $"{first} {time:o}"} {first != context.NewGuid()} {first.Version} {context.IsReplaying} {time.Kind}";
    }

    [Function("Name")]
    public static string Name([OrchestrationTrigger] TaskOrchestrationContext context) =>
        $"{context.Name} {context.InstanceId} {context.Version} {context.Parent is null} {context.Properties.Count} {context.CompareVersionTo("1.10")}";

    [Function("AwaitForeign")]
    public static async Task AwaitForeign([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        // Long enough not to be over before it is awaited: then nobody could tell.
        await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System);
        await context.CallActivityAsync("Nothing");
    }

    [Function("Say")]
    public static async Task<string> Say([OrchestrationTrigger] TaskOrchestrationContext context, string status)
    {
        context.SetCustomStatus(new { status });
        return await context.WaitForExternalEvent<string>("Done");
    }

    [Function("BigEcho")]
    public static async Task<string> BigEcho([OrchestrationTrigger] TaskOrchestrationContext context, string text)
    {
        context.SetCustomStatus(text);
        var echo = await context.CallActivityAsync<string>("Echo", text);
        var below = await context.CallSubOrchestratorAsync<string>("EchoBelow", echo);
        return below + await context.WaitForExternalEvent<string>("More");
    }

    [Function("EchoBelow")]
    public static Task<string> EchoBelow([OrchestrationTrigger] TaskOrchestrationContext context, string text) => context.CallActivityAsync<string>("Echo", text);

    [Function("Sequence")]
    public static async Task<int> Sequence([OrchestrationTrigger] TaskOrchestrationContext context, int length)
    {
        var sum = 0;
        for (var n = 0; n < length; n++)
        {
            sum += await context.CallActivityAsync<int>("Double", n);
        }

        return sum;
    }
}
