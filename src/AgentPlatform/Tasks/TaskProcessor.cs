using System.Text.Json;
using AgentPlatform.Postgres;

namespace AgentPlatform.Tasks;

/// <summary>
/// Does the tasks of the types it knows, in steps. Each step runs in a transaction of its own, which commits together with the record
/// of it: what is committed is seen while the task goes on, and an attempt that fails keeps what its earlier steps did. A new attempt
/// begins with the first step, so a step that is done twice must do no more than once.
/// </summary>
public interface IAgencyTaskProcessor
{
    bool Knows(string taskType);

    /// <summary>What is wrong with the task's <c>execution_config</c>; null when it can be run.</summary>
    string? Refuses(AgencyTask task);

    /// <summary>The steps of a task of that type, in their order.</summary>
    IReadOnlyList<TaskStep> StepsOf(string taskType);
}

/// <summary>One step; its name is shown as <c>current_step</c> while it runs.</summary>
public sealed record TaskStep(string Name, Func<TaskRun, Transaction, CancellationToken, Task<StepOutcome>> RunAsync);

/// <summary>The attempt a step belongs to.</summary>
public sealed record TaskRun(AgencyTask Task, Guid ExecutionId, int Attempt)
{
    /// <summary>What worked best for such tasks; null when nothing is known.</summary>
    public TaskGuide? Guide { get; init; }
}

/// <summary>What worked before for a kind of task: the steps, and of a success pattern of the member who put the task up the whole approach.</summary>
public sealed record TaskGuide(JsonElement Steps)
{
    public Guid? ActionPatternId { get; init; }
    public Guid? SuccessPatternId { get; init; }
    public JsonElement? Approach { get; init; }
}

/// <summary>Knows what worked before; every attempt at a task asks when it begins.</summary>
public interface ITaskGuides
{
    Task<TaskGuide?> FindAsync(Transaction tx, AgencyTask task, CancellationToken ct);
}

/// <summary>How a step ended: a closed set.</summary>
public abstract record StepOutcome
{
    private StepOutcome()
    {
    }

    /// <summary>Done; the last step's value is the task's result. <c>Summary</c> is what people are told of it.</summary>
    public sealed record Done(JsonElement Value, string? Summary = null) : StepOutcome;

    /// <summary>The rest is up to a queued action of the registry: the attempt goes on when that ends.</summary>
    public sealed record AwaitAction(Guid ActionQueueId) : StepOutcome;

    /// <summary>Failed. <c>Again</c>: trying it again may help.</summary>
    public sealed record Failed(TaskFailure Why, bool Again) : StepOutcome;
}

/// <summary>Why an attempt failed; <see cref="Code"/> is a stable word.</summary>
public sealed record TaskFailure(string Code, string Message)
{
    public string? Stack { get; init; }
}
