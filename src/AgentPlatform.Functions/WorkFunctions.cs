using AgentPlatform.Work;
using AgentPlatform.Work.Operate;
using Azure.Storage.Queues.Models;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Functions;

/// <summary>What sets the work engine going: a nudge, and a timer for the nudges that were lost.</summary>
public sealed class WorkFunctions(
    WorkRunner runner, WorkRetention retention, WorkMetrics metrics, DurableWorkflows workflows, IHostApplicationLifetime host, ILogger<WorkFunctions> log)
{
    private static readonly TimeSpan MaxDrain = TimeSpan.FromMinutes(3);

    [Function("WorkReady")]
    public Task WorkReady([QueueTrigger("work-ready")] string nudge, [DurableClient] DurableTaskClient durable, CancellationToken ct) => DrainAsync(durable, ct);

    /// <summary>A nudge that failed again and again says that draining fails. The work itself is in the database, so it is drained once more; while that fails too the message stays.</summary>
    [Function("WorkReadyPoison")]
    public Task WorkReadyPoison([QueueTrigger("work-ready-poison")] QueueMessage nudge, [DurableClient] DurableTaskClient durable, CancellationToken ct)
    {
        log.NudgePoisoned(nudge.MessageId, nudge.InsertedOn);
        return DrainAsync(durable, ct);
    }

    [Function("WorkSweep")]
    public Task WorkSweep([TimerTrigger("*/5 * * * * *", UseMonitor = false)] TimerInfo timer, [DurableClient] DurableTaskClient durable, CancellationToken ct) => DrainAsync(durable, ct);

    [Function("WorkRetention")]
    public Task WorkRetention([TimerTrigger("0 30 3 * * *")] TimerInfo timer, CancellationToken ct) => retention.PruneAsync(ct);

    [Function("WorkObserve")]
    public Task WorkObserve([TimerTrigger("*/15 * * * * *", UseMonitor = false)] TimerInfo timer, CancellationToken ct) => metrics.ObserveAsync(ct);

    // A drain goes on while work is due, but not for ever: the host ends a function that outlives its functionTimeout, and everything that
    // runs in it. After a while, or when the host stops, it claims no more, and what runs may finish; the next nudge or sweep goes on.
    private async Task DrainAsync(DurableTaskClient durable, CancellationToken ct)
    {
        workflows.Use(durable);
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(ct, host.ApplicationStopping);
        stopping.CancelAfter(MaxDrain);
        await runner.DrainAsync(stopping.Token);
    }
}
