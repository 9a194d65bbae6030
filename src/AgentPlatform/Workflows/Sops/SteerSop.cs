using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows.Sops.Drafting;

namespace AgentPlatform.Workflows.Sops;

/// <summary>What people do to an execution. Each move locks it, and is refused when its state forbids it.</summary>
internal sealed class SteerSop(Database database, SopShelf shelf, SopExecutionStore store, RunSop run, TimeProvider clock)
{
    /// <summary>What a person did of the step under way. Problems: <c>sop_step_not_current</c>, <c>sop_step_is_the_agents</c>.</summary>
    internal Task<Result<SopExecution>> RecordAsync(Actor actor, Guid id, int stepNumber, StepResultBody body, CancellationToken ct) =>
        MoveAsync(actor, id, "told a result", execution => execution.Status == "in_progress", async (tx, execution) =>
        {
            var current = (await shelf.StepsAsync(tx, execution.SopId, execution.Version, ct))[execution.CurrentStepIndex!.Value];
            if (current.StepNumber != stepNumber)
            {
                return Problem.Conflict("sop_step_not_current", "Another step is under way.", $"It is step {current.StepNumber}.");
            }

            return execution.ActionQueueId is not null
                ? Problem.Conflict("sop_step_is_the_agents", "The agent does this step.")
                : await run.SettleAsync(tx, execution, EndOf(actor, body), ct);
        }, ct);

    /// <summary>Problems: <c>sop_own_execution</c>, <c>sop_approval_expired</c>.</summary>
    internal Task<Result<SopExecution>> ApproveAsync(Actor actor, Guid id, CancellationToken ct) =>
        AnswerAsync(actor, id, "approved", async (tx, execution) => await run.BeginAsync(tx, execution, ct), ct);

    /// <summary>Problems: as <see cref="ApproveAsync"/>.</summary>
    internal Task<Result<SopExecution>> RejectAsync(Actor actor, Guid id, string reason, CancellationToken ct) =>
        AnswerAsync(actor, id, "rejected", async (tx, execution) => await run.CancelAsync(tx, execution, reason, ct), ct);

    internal Task<Result<SopExecution>> CancelAsync(Actor actor, Guid id, string? reason, CancellationToken ct) =>
        MoveAsync(actor, id, "cancelled", execution => !execution.IsOver, async (tx, execution) => await run.CancelAsync(tx, execution, reason ?? "Cancelled by an operator.", ct), ct);

    /// <summary>The last rating stands, with what was reported with it; what failed on the way stays among the issues.</summary>
    internal Task<Result<SopExecution>> RateAsync(Actor actor, Guid id, RatingBody body, CancellationToken ct) =>
        MoveAsync(actor, id, "rated", execution => execution.IsOver, async (tx, execution) => await store.SaveAsync(tx, execution with
        {
            Rating = body.Rating,
            Feedback = body.Feedback,
            Issues = Json.Of(Json.Read<SopIssue[]>(execution.Issues).Where(issue => issue.Source == "execution")
                .Concat((body.Issues ?? []).Select(issue => new SopIssue("rating", issue.Message!, issue.StepNumber)))),
        }, ct), ct);

    private static StepEnd EndOf(Actor actor, StepResultBody body)
    {
        var done = new StepEnd("human", Member(actor), body.Result ?? Json.Of(new { }));
        return body.Status == "completed" ? done : done with { Result = body.Result, ErrorCode = "not_done", Error = body.Error };
    }

    private SopExecution Decided(Actor actor, SopExecution execution) => execution with { DecidedBy = Member(actor), DecidedAt = clock.GetUtcNow() };

    private Task<Result<SopExecution>> AnswerAsync(
        Actor actor, Guid id, string move, Func<Transaction, SopExecution, Task<Result<SopExecution>>> answer, CancellationToken ct) =>
        MoveAsync(actor, id, move, execution => execution.Status == "awaiting_approval", async (tx, execution) =>
            AnswerRefusal(actor, execution, clock.GetUtcNow()) is { } refusal ? refusal : await answer(tx, Decided(actor, execution)), ct);

    /// <summary>Two pairs of eyes, in time.</summary>
    private static Problem? AnswerRefusal(Actor actor, SopExecution execution, DateTimeOffset now) =>
        execution.UserId is { } starter && starter == Member(actor)
            ? Problem.Forbidden("sop_own_execution", "Whoever started an execution does not answer its approval; they may cancel it.")
        : execution.ApprovalDueAt <= now ? Problem.Conflict("sop_approval_expired", "The time to approve it is over.")
        : null;

    private static Guid? Member(Actor actor) => actor.UserId == Guid.Empty ? null : actor.UserId;

    private async Task<Result<SopExecution>> MoveAsync(
        Actor actor, Guid id, string move, Func<SopExecution, bool> may, Func<Transaction, SopExecution, Task<Result<SopExecution>>> change, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await store.LockAsync(tx, id, ct) is not { } execution)
        {
            return Problem.NotFound("sop_execution");
        }

        if (!may(execution))
        {
            return Problem.Conflict("sop_execution_state", $"An execution that is {execution.Status} cannot be {move}.", execution.StatusReason);
        }

        var moved = await change(tx, execution);
        if (moved.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return moved;
    }
}
