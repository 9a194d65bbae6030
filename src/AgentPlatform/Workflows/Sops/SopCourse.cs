using System.Text.Json;
using AgentPlatform.Kernel;

namespace AgentPlatform.Workflows.Sops;

/// <summary>What comes next, and what is skipped on the way there.</summary>
internal abstract record SopMove(IReadOnlyList<SopStepResult> Skipped)
{
    internal sealed record Begin(SopStep Step, IReadOnlyList<SopStepResult> Skipped) : SopMove(Skipped);

    internal sealed record Complete(IReadOnlyList<SopStepResult> Skipped) : SopMove(Skipped);

    internal sealed record Fail() : SopMove([]);
}

/// <summary>
/// Pure: the way through the steps of a version, in the order of their numbers. A step begins when all it depends on is over. A step that another one
/// names as its alternative is taken only in that one's place.
/// </summary>
internal sealed class SopCourse
{
    private readonly SopStep[] _ordinary;

    internal SopCourse(IReadOnlyList<SopStep> steps)
    {
        Steps = [.. steps.OrderBy(step => step.StepNumber)];
        var instead = Steps.SelectMany(Branches).ToHashSet();
        _ordinary = [.. Steps.Where(step => !instead.Contains(step.StepNumber))];
    }

    internal IReadOnlyList<SopStep> Steps { get; }

    /// <summary>The steps that may be taken in place of this one.</summary>
    internal static IEnumerable<int> Branches(SopStep step) =>
        step.OnError.Step is { } instead ? [.. step.Others.Select(other => other.Step), instead] : step.Others.Select(other => other.Step);

    /// <summary>Given what became of the steps so far. <paramref name="scope"/>: what conditions see.</summary>
    internal SopMove Next(IReadOnlyList<SopStepResult> results, JsonElement scope, DateTimeOffset now)
    {
        var skipped = new List<SopStepResult>();
        while (true)
        {
            var last = skipped.Count > 0 ? skipped[^1] : results.Count > 0 ? results[^1] : null;
            if (last?.Next == "stop")
            {
                return new SopMove.Fail();
            }

            var step = last?.Next switch
            {
                "retry" => Step(last.StepNumber),
                "alternative" => Step(last.Alternative!.Value),
                _ => Ordinary([.. results, .. skipped]),
            };
            if (step is null)
            {
                return new SopMove.Complete(skipped);
            }

            if (last?.Next == "retry" || step.Conditions is not { } conditions || Condition.Holds(conditions, scope))
            {
                return new SopMove.Begin(step, skipped);
            }

            var other = step.Others.FirstOrDefault(other => other.When is not { } when || Condition.Holds(when, scope));
            skipped.Add(new SopStepResult(step.StepNumber, "skipped", other is null ? "step" : "alternative", now, now, Alternative: other?.Step));
        }
    }

    /// <summary>What became of a step, and what follows from it. <paramref name="scope"/>: what the criteria see, with the step's result in it.</summary>
    internal static SopStepResult Judge(SopStep step, StepEnd end, IReadOnlyList<SopStepResult> results, JsonElement scope, DateTimeOffset startedAt, DateTimeOffset now)
    {
        if (end.ErrorCode is null && step.ValidationCriteria is { } criteria && !Condition.Holds(criteria, scope))
        {
            end = end with { ErrorCode = "criteria_not_met", Error = "The result is not what the step's criteria ask for." };
        }

        var judged = new SopStepResult(step.StepNumber, "completed", "step", startedAt, now, end.DoneBy, end.UserId, end.Result);
        return end.ErrorCode is null ? judged : Handle(step, judged with { Status = "failed", ErrorCode = end.ErrorCode, Error = end.Error }, results, end.IsFinal);
    }

    private static SopStepResult Handle(SopStep step, SopStepResult failed, IReadOnlyList<SopStepResult> results, bool isFinal)
    {
        var handling = step.OnError;
        var retries = results.Reverse().TakeWhile(result => result.StepNumber == step.StepNumber && result.Next == "retry").Count();
        return handling.Strategy == "retry" && !isFinal && retries < handling.MaxRetries ? failed with { Next = "retry" } : handling.Final switch
        {
            "continue" => failed with { Next = "step" },
            "alternative" => failed with { Next = "alternative", Alternative = handling.Step },
            _ => failed with { Next = "stop" },
        };
    }

    /// <summary>The first step in order that is not over while all it depends on is.</summary>
    private SopStep? Ordinary(IReadOnlyList<SopStepResult> results)
    {
        var over = results.Where(result => result.Next != "retry").Select(result => result.StepNumber).ToHashSet();
        return _ordinary.Where((step, i) => !over.Contains(step.StepNumber) && DependsOn(i).All(over.Contains)).FirstOrDefault();
    }

    private int[] DependsOn(int place) => _ordinary[place].DependsOn ?? (place == 0 ? [] : [_ordinary[place - 1].StepNumber]);

    private SopStep Step(int number) => Steps.Single(step => step.StepNumber == number);
}
