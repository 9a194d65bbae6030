#if AZURE_FUNCTIONS
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;
#else
using AgentPlatform.LocalHost;
#endif

namespace AgentPlatform.Tests.LocalHost.Durable;

public sealed record Retries(string Key, int Failures, int Attempts);

/// <summary>Orchestrators that try again, begin again, or both.</summary>
public static class RetryingOrchestrators
{
    [Function("RetryByPolicy")]
    public static Task<int> RetryByPolicy([OrchestrationTrigger] TaskOrchestrationContext context, Retries retries)
    {
        var policy = new RetryPolicy(retries.Attempts, TimeSpan.FromMilliseconds(10), backoffCoefficient: 2, maxRetryInterval: TimeSpan.FromMilliseconds(30));
        return context.CallActivityAsync<int>("FailFirst", new FailFirst(retries.Key, retries.Failures), TaskOptions.FromRetryPolicy(policy));
    }

    [Function("RetryByHandler")]
    public static async Task<string> RetryByHandler([OrchestrationTrigger] TaskOrchestrationContext context, Retries retries)
    {
        var seen = new List<string>();
        var options = TaskOptions.FromRetryHandler(async retry =>
        {
            seen.Add($"{retry.LastAttemptNumber} {retry.LastFailure.ErrorMessage} {retry.LastFailure.IsCausedBy<OutOfStockException>()}");
            await retry.OrchestrationContext.CreateTimer(TimeSpan.FromMilliseconds(5), CancellationToken.None);
            return retry.LastAttemptNumber < retries.Attempts;
        });
        try
        {
            seen.Add((await context.CallActivityAsync<int>("FailFirst", new FailFirst(retries.Key, retries.Failures), options)).ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
        catch (TaskFailedException e)
        {
            seen.Add(e.FailureDetails.ErrorMessage);
        }

        return string.Join(", ", seen);
    }

    [Function("RetryNever")]
    public static Task<int> RetryNever([OrchestrationTrigger] TaskOrchestrationContext context, string key) =>
        context.CallActivityAsync<int>("FailFirst", new FailFirst(key, 9), new TaskOptions(new RetryPolicy(5, TimeSpan.FromMilliseconds(5))
        {
            HandleFailure = failure => !failure.IsCausedBy<OutOfStockException>(),
        }));

    [Function("RetryChild")]
    public static Task<int> RetryChild([OrchestrationTrigger] TaskOrchestrationContext context, Retries retries) =>
        context.CallSubOrchestratorAsync<int>(
            "FailingChild", retries, new TaskOptions(new RetryPolicy(retries.Attempts, TimeSpan.FromMilliseconds(5))).WithInstanceId($"{context.InstanceId}-child"));

    [Function("FailingChild")]
    public static Task<int> FailingChild([OrchestrationTrigger] TaskOrchestrationContext context, Retries retries) =>
        context.CallActivityAsync<int>("FailFirst", new FailFirst(retries.Key, retries.Failures));

    [Function("CountDown")]
    public static async Task<string> CountDown([OrchestrationTrigger] TaskOrchestrationContext context, int from)
    {
        await context.CallActivityAsync("Count", context.InstanceId);
        if (from > 0)
        {
            context.ContinueAsNew(from - 1);
            return "not seen";
        }

        return "done";
    }

    /// <summary>Takes one event an execution; the others are to survive.</summary>
    [Function("OneEach")]
    public static async Task<int> OneEach([OrchestrationTrigger] TaskOrchestrationContext context, int sum)
    {
        await context.CallActivityAsync<int>("Wait", context.InstanceId);
        sum += await context.WaitForExternalEvent<int>("Number");
        if (sum < 6)
        {
            context.ContinueAsNew(sum);
        }

        return sum;
    }

    [Function("ForgetEvents")]
    public static async Task<string> ForgetEvents([OrchestrationTrigger] TaskOrchestrationContext context, bool again)
    {
        if (!again)
        {
            await context.CallActivityAsync<int>("Wait", context.InstanceId);
            context.ContinueAsNew(true, preserveUnprocessedEvents: false);
            return "";
        }

        try
        {
            return await context.WaitForExternalEvent<string>("Word", TimeSpan.FromMilliseconds(50));
        }
        catch (OperationCanceledException)
        {
            return "forgotten";
        }
    }

    [Function("NextVersion")]
    public static string NextVersion([OrchestrationTrigger] TaskOrchestrationContext context, bool again)
    {
        if (!again)
        {
            context.ContinueAsNew(new ContinueAsNewOptions { NewInput = true, NewVersion = "2.0" });
        }

        return context.Version;
    }

    /// <summary>Two things fail, and are told at once.</summary>
    [Function("FailBoth")]
    public static async Task<int> FailBoth([OrchestrationTrigger] TaskOrchestrationContext context, string key)
    {
        var before = await context.CallActivityAsync<int>("Count", $"{key}-before");
        var both = await Task.WhenAll(
            context.CallActivityAsync<int>("FailFirst", new FailFirst($"{key}-a", 1)),
            context.CallSubOrchestratorAsync<int>("FailingChild", new Retries($"{key}-b", 1, 1)),
            context.CallActivityAsync<int>("Count", $"{key}-c"));
        return before + both.Sum();
    }

    [Function("BeforeAndAfter")]
    public static async Task<string> BeforeAndAfter([OrchestrationTrigger] TaskOrchestrationContext context, string key)
    {
        var before = await context.CallActivityAsync<int>("Count", $"{key}-before");
        var waited = await context.CallActivityAsync<int>("Wait", $"{key}-wait");
        var after = await context.CallActivityAsync<int>("Count", $"{key}-after");
        return $"{before} {waited} {after}";
    }

    /// <summary>One of each: activity, timer, event, sub-orchestration, parallel branches of which one fails.</summary>
    [Function("SixSteps")]
    public static async Task<string> SixSteps([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        var hello = await context.CallActivityAsync<string>("Hello", context.InstanceId);
        await context.CreateTimer(TimeSpan.FromSeconds(2), CancellationToken.None);
        context.SendEvent(context.InstanceId, "Note", "noted");
        var note = await context.WaitForExternalEvent<string>("note");
        var below = await context.CallSubOrchestratorAsync<string>("EchoBelow", "below");
        var branches = new[] { context.CallActivityAsync<string>("Echo", "branch"), context.CallActivityAsync<string>("Throw", "breaks") };
        try
        {
            await Task.WhenAll(branches);
        }
        catch (TaskFailedException e)
        {
            await context.CallActivityAsync("Count", context.InstanceId);
            return $"{hello} {note} {below} {await branches[0]} {e.FailureDetails.ErrorMessage}";
        }

        return "the failing branch did not fail";
    }
}
