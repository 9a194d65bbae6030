using AgentPlatform.Workflows;
using AgentPlatform.Workflows.Running;

namespace AgentPlatform.Functions;

/// <summary>
/// One orchestration for each running workflow: it moves the workflow on, and then waits for news or for time. It holds nothing that the workflow's
/// rows do not say, so another build may go on with it, and a lost one is started again.
/// </summary>
public sealed class WorkflowFunctions(WorkflowEngine engine, WorkflowSweep sweep, DurableWorkflows workflows, TimeProvider clock)
{
    private const string News = "news";

    /// <summary>After so many moves the history begins anew.</summary>
    private const int MostMoves = 50;

    private static readonly TimeSpan KeptFor = TimeSpan.FromDays(7);

    private static readonly TaskOptions Patient = TaskOptions.FromRetryPolicy(new RetryPolicy(
        maxNumberOfAttempts: 100, firstRetryInterval: TimeSpan.FromSeconds(1), backoffCoefficient: 2, maxRetryInterval: TimeSpan.FromMinutes(1)));

    [Function(nameof(RunWorkflow))]
    public static async Task RunWorkflow([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        var workflow = context.GetInput<WorkflowRef>()!;
        for (var moves = 0; moves < MostMoves; moves++)
        {
            var move = await context.CallActivityAsync<WorkflowMove>(nameof(AdvanceWorkflow), workflow, Patient);
            if (move.IsOver)
            {
                return;
            }

            await NewsAsync(context, move.WakeAt);
        }

        context.ContinueAsNew(workflow);
    }

    [Function(nameof(AdvanceWorkflow))]
    public Task<WorkflowMove> AdvanceWorkflow([ActivityTrigger] WorkflowRef workflow, CancellationToken ct) => engine.AdvanceAsync(workflow, ct);

    /// <summary>At the start, too, so that a host that has just come up can wake workflows.</summary>
    [Function("WorkflowSweep")]
    public Task Sweep([TimerTrigger("20 * * * * *", UseMonitor = false, RunOnStartup = true)] TimerInfo timer, [DurableClient] DurableTaskClient durable, CancellationToken ct)
    {
        workflows.Use(durable);
        return sweep.RunAsync(ct);
    }

    [Function("OrchestrationRetention")]
    public Task Purge([TimerTrigger("0 40 3 * * *")] TimerInfo timer, [DurableClient] DurableTaskClient durable, CancellationToken ct) =>
        PurgeAsync(durable, clock.GetUtcNow() - KeptFor, ct);

    /// <summary>What has ended is told by the workflows' own rows; the orchestration's history goes.</summary>
    public static Task PurgeAsync(DurableTaskClient durable, DateTimeOffset createdBefore, CancellationToken ct) => durable.PurgeAllInstancesAsync(
        new PurgeInstancesFilter(null, createdBefore, [OrchestrationRuntimeStatus.Completed, OrchestrationRuntimeStatus.Failed, OrchestrationRuntimeStatus.Terminated]), ct);

    internal static async Task WakeAsync(DurableTaskClient durable, WorkflowRef workflow, CancellationToken ct)
    {
        var id = workflow.InstanceId.ToString("n");
        if (await durable.GetInstanceAsync(id, ct) is null or { IsCompleted: true })
        {
            await durable.ScheduleNewOrchestrationInstanceAsync(nameof(RunWorkflow), workflow, new StartOrchestrationOptions(id), ct);
        }
        else
        {
            await durable.RaiseEventAsync(id, News, cancellation: ct);
        }
    }

    private static async Task NewsAsync(TaskOrchestrationContext context, DateTimeOffset? until)
    {
        if (until is not { } at)
        {
            await context.WaitForExternalEvent<object?>(News);
            return;
        }

        try
        {
            await context.WaitForExternalEvent<object?>(News, at.UtcDateTime > context.CurrentUtcDateTime ? at.UtcDateTime - context.CurrentUtcDateTime : TimeSpan.Zero);
        }
        catch (OperationCanceledException)
        {
            // It is time.
        }
    }
}

/// <summary>
/// Wakes workflows for work that is done outside of a function. One client serves a process for its life: the host's own where it offers one to
/// everybody, as the local host does; else that of the first function that was given one, which is the one that drains.
/// </summary>
public sealed class DurableWorkflows : IWorkflowRuntime
{
    private readonly TaskCompletionSource<DurableTaskClient> _client = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public DurableWorkflows(DurableTaskClient? client)
    {
        if (client is not null)
        {
            Use(client);
        }
    }

    public void Use(DurableTaskClient client) => _client.TrySetResult(client);

    public async Task WakeAsync(WorkflowRef workflow, CancellationToken ct) => await WorkflowFunctions.WakeAsync(await _client.Task.WaitAsync(ct), workflow, ct);
}

public static class DurableWorkflowsRegistration
{
    public static IServiceCollection AddDurableWorkflows(this IServiceCollection services) => services
        .AddSingleton(p => new DurableWorkflows(p.GetService<DurableTaskClient>())).AddSingleton<IWorkflowRuntime>(p => p.GetRequiredService<DurableWorkflows>());
}
