using System.Text.Json;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Knowledge.Errors;
using AgentPlatform.Postgres;
using AgentPlatform.Tasks;

namespace AgentPlatform.Knowledge.Patterns;

/// <summary>
/// The ends of agency tasks, which carry a type, steps and a time. Whoever did the task may tell in its result the <c>steps</c> that were taken, and
/// its <c>approach</c> and <c>selectors</c>; without that, what the attempt was given is what was done.
/// </summary>
internal sealed class LearnFromTasks(ActionPatterns actions, SuccessPatterns successes, ErrorPatterns errors, TaskBoard board) : IEventConsumer
{
    internal const string Consumer = "knowledge.tasks";

    internal static readonly string[] Types = ["agency_task.attempt_failed", "agency_task.failed", "agency_task.completed"];

    /// <summary>A failure that is an action's: it is known as that.</summary>
    private const string OfAnAction = "action_";

    public async Task HandleAsync(StoredEvent e, Transaction tx, CancellationToken ct)
    {
        if (await board.FindAsync(tx, e.AggregateId, ct) is not { } task)
        {
            return;
        }

        if (e.EventType != "agency_task.completed")
        {
            Occurred(tx, task, e);
        }

        if (e.EventType != "agency_task.attempt_failed")
        {
            var attempts = await board.AttemptsAsync(tx, task.Id, ct);
            var succeeded = e.EventType == "agency_task.completed";
            if (attempts.FirstOrDefault(a => a.Status == (succeeded ? "completed" : "failed")) is { CompletedAt: { } at } last)
            {
                await LearnAsync(tx, task, last, succeeded, at, ct);
            }

            Recovered(tx, task, attempts, succeeded);
        }
    }

    private void Occurred(Transaction tx, AgencyTask task, StoredEvent e)
    {
        var failure = Json.Read<Failure>(e.Payload);
        if (!failure.ErrorCode.StartsWith(OfAnAction, StringComparison.Ordinal))
        {
            errors.Occurred(tx, new ToldError(failure.ErrorCode, failure.Error), ErrorPattern.OfTask(task.Kind), e.CreatedAt);
        }
    }

    /// <summary>After a failed attempt every further one is a retry; now it is known whether that helped.</summary>
    private void Recovered(Transaction tx, AgencyTask task, IReadOnlyList<TaskExecution> attempts, bool succeeded)
    {
        var failed = attempts.Where(a => a is { Status: "failed", Error: not null, ErrorCode: { } code } && !code.StartsWith(OfAnAction, StringComparison.Ordinal))
            .Select(a => new ToldError(a.ErrorCode!, a.Error!)).ToList();
        if (failed.Count > (succeeded ? 0 : 1))
        {
            errors.Credit(tx, failed, ErrorPattern.OfTask(task.Kind), RecoveryStrategy.Retry, succeeded);
        }
    }

    private async Task LearnAsync(Transaction tx, AgencyTask task, TaskExecution attempt, bool succeeded, DateTimeOffset at, CancellationToken ct)
    {
        var told = Told.Of(succeeded ? attempt.Output : null);
        if (attempt.SuccessPatternId is { } used)
        {
            var pattern = await successes.FindAsync(tx, used, ct);
            successes.Used(tx, used, new PatternUse(succeeded, attempt.Duration ?? 0, told.Deviation ?? told.OtherStepsThan(pattern)), at);
        }
        else if (told.Approach is not null && task.UserId is { } owner)
        {
            await successes.LearnAsync(tx, owner, told.AsPattern(task, attempt), ct);
        }

        if (told.Steps is { } steps)
        {
            actions.Worked(tx, task.Kind, task.Title, task.PageUrl(), steps, task.UserId, at);
        }
        else if (attempt.ActionPatternId is { } followed)
        {
            actions.Executed(tx, followed, succeeded, at);
        }
    }

    private sealed record Failure(string Error, string ErrorCode);

    /// <summary>What a task's result says of how it was done.</summary>
    private sealed record Told(JsonElement? Steps, JsonElement? Approach, JsonElement? Selectors, JsonElement? Deviation)
    {
        internal static Told Of(JsonElement? output) => output is { ValueKind: JsonValueKind.Object } result
            ? new(Steps: Part(result, "steps", JsonValueKind.Array) is { } steps && steps.GetArrayLength() is >= 1 and <= ActionPattern.MaxSteps ? steps : null,
                Part(result, "approach", JsonValueKind.Object), Part(result, "selectors", JsonValueKind.Object), Part(result, "deviation", JsonValueKind.Object))
            : new(null, null, null, null);

        internal SuccessPatternBody AsPattern(AgencyTask task, TaskExecution attempt) =>
            new(PatternId: null, task.Kind, task.Title, Approach, Selectors, Steps, ContextConditions: null, RequiredState: null, attempt.Duration, ReasoningPatternId: null);

        internal JsonElement? OtherStepsThan(SuccessPattern? pattern) =>
            Steps is { } steps && pattern is not null && !JsonElement.DeepEquals(steps, pattern.Workflow) ? Json.Of(new { steps }) : null;

        private static JsonElement? Part(JsonElement result, string name, JsonValueKind kind) => result.TryGetProperty(name, out var value) && value.ValueKind == kind ? value : null;
    }
}
