using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Workflows.Sops.Drafting;
using AgentPlatform.Workflows.Sops;

namespace AgentPlatform.Tests.Workflows.Sops;

/// <summary>The pure way through the steps.</summary>
public sealed class SopCourseTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    [Fact]
    public void What_may_have_happened_is_not_tried_again()
    {
        var step = Step(1) with { ErrorHandling = Json.Of(new StepErrorHandling("retry", 3, Otherwise: "continue")) };
        var failed = StepEnd.Failed("ai_agent", "action_timeout", "No answer.");
        Assert.Equal("retry", Judge(step, failed).Next);
        Assert.Equal("step", Judge(step, failed with { IsFinal = true }).Next);
    }

    [Fact]
    public void Tries_are_counted_anew_when_a_step_is_taken_again()
    {
        var step = Step(3) with { ErrorHandling = Json.Of(new StepErrorHandling("retry", 1)) };
        var failed = StepEnd.Failed("human", "not_done", "No.");
        var first = Judge(step, failed);
        var second = Judge(step, failed, first);
        Assert.Equal(("retry", "stop"), (first.Next, second.Next));
        Assert.Equal("retry", Judge(step, failed, first, second with { Next = "step" }, Judge(Step(1), new StepEnd("human", null, null)) with { Next = "alternative", Alternative = 3 }).Next);
    }

    [Fact]
    public void An_alternative_of_an_alternative_is_taken_when_that_one_does_not_fit_either()
    {
        var never = Json.Of(false);
        var course = new SopCourse(
        [
            Step(1) with { Conditions = never, Alternatives = Json.Of(new[] { new StepAlternative(5) }) },
            Step(5) with { Conditions = never, Alternatives = Json.Of(new[] { new StepAlternative(6, never), new StepAlternative(7) }) },
            Step(6), Step(7),
        ]);
        var begin = Assert.IsType<SopMove.Begin>(course.Next([], Json.Of(new { }), Now));
        Assert.Equal(7, begin.Step.StepNumber);
        Assert.Equal([(1, 5), (5, 7)], begin.Skipped.Select(skipped => (skipped.StepNumber, skipped.Alternative!.Value)));
    }

    /// <summary>Of all SOPs that are accepted, whatever becomes of their steps.</summary>
    [Fact]
    public void Every_way_ends_and_no_step_begins_before_what_it_depends_on()
    {
        var accepted = 0;
        for (var seed = 0; seed < 3000; seed++)
        {
            var random = new Random(seed);
            var bodies = Enumerable.Range(1, random.Next(1, 8)).Select(number => Body(random, number)).ToArray();
            if (SopRules.Check(bodies, new Validation()).Problem is null)
            {
                accepted++;
                Walk(random, [.. bodies.Select(body => body.ToStep())], seed);
            }
        }

        Assert.InRange(accepted, 300, 3000);
    }

    private static void Walk(Random random, SopStep[] steps, int seed)
    {
        var (course, results) = (new SopCourse(steps), new List<SopStepResult>());
        while (course.Next(results, Json.Of(new { input = new { n = random.Next(3) } }), Now) is var move)
        {
            results.AddRange(move.Skipped);
            if (move is not SopMove.Begin(var step, _))
            {
                var instead = steps.SelectMany(SopCourse.Branches).ToHashSet();
                Assert.True(move is SopMove.Fail || steps.All(s => instead.Contains(s.StepNumber) || results.Exists(r => r.StepNumber == s.StepNumber)), $"seed {seed}");
                return;
            }

            var before = results.ToArray();
            Assert.True((step.DependsOn ?? []).All(number => before.Any(r => r.StepNumber == number && r.Next != "retry")), $"seed {seed}");
            Assert.True(results.Count < 500, $"seed {seed}");
            results.Add(Judge(step, random.Next(3) > 0 ? new StepEnd("human", null, null) : StepEnd.Failed("human", "not_done", "No."), before));
        }
    }

    private static SopStepBody Body(Random random, int number) => new()
    {
        StepNumber = number,
        Title = "A step",
        Instructions = "Do it.",
        DependsOn = random.Next(3) == 0 ? [.. Enumerable.Range(1, 8).Where(_ => random.Next(6) == 0)] : null,
        Conditions = random.Next(3) == 0 ? Json.Of(new { path = "$.input.n", equals = random.Next(3) }) : null,
        Alternatives = random.Next(5) == 0 ? [new StepAlternative(random.Next(1, 8), random.Next(2) == 0 ? Json.Of(random.Next(2) == 0) : null)] : null,
        ErrorHandling = random.Next(5) switch
        {
            0 => new StepErrorHandling("retry", random.Next(1, 4), Otherwise: "continue"),
            1 => new StepErrorHandling("alternative", Step: random.Next(1, 8)),
            2 => new StepErrorHandling("continue"),
            _ => null,
        },
    };

    private static SopStepResult Judge(SopStep step, StepEnd end, params SopStepResult[] before) => SopCourse.Judge(step, end, before, Json.Of(new { }), Now, Now);

    private static SopStep Step(int number) => new() { StepNumber = number, Alternatives = Json.Of(Array.Empty<StepAlternative>()), ErrorHandling = Json.Of(StepErrorHandling.Stop) };
}
