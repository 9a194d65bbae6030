using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Workflows;
using AgentPlatform.Workflows.Definitions;
using AgentPlatform.Workflows.Running;

namespace AgentPlatform.Tests.Workflows;

/// <summary>The pure interpreter, on many made-up workflows whose steps end in any order and any way.</summary>
public sealed class InterpreterTests
{
    private static readonly Guid Agent = Guid.CreateVersion7(TimeProvider.System.GetUtcNow());

    [Fact]
    public void Every_run_ends_with_all_done_or_all_undone_in_reverse_and_nothing_undone_behind_a_final_step()
    {
        var ends = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var seed = 0; seed < 3000; seed++)
        {
            var random = new Random(seed);
            if (MakeUp(random) is { } definition)
            {
                var end = new Simulation(definition, random).Run();
                ends[end] = ends.GetValueOrDefault(end) + 1;
            }
        }

        // The made-up ones are many, and of all kinds.
        Assert.All(new[] { "completed", "failed", "rolled back", "stands" }, kind => Assert.True(ends.GetValueOrDefault(kind) > 50, $"{kind}: {ends.GetValueOrDefault(kind)}"));
    }

    /// <summary>Null when the rules refuse it.</summary>
    private static WorkflowDefinition? MakeUp(Random random)
    {
        var count = random.Next(2, 8);
        var steps = Enumerable.Range(0, count).Select(i => new StepDefinition
        {
            Id = $"s{i}",
            Action = "do",
            After = [.. Enumerable.Range(0, i).Where(_ => random.Next(3) > 0).Select(before => $"s{before}")],
            When = random.Next(6) == 0 ? Json.Of(new { path = "$.input.never", equals = 1 }) : null,
            ForEach = random.Next(5) == 0 ? "$.input.list" : null,
            Undo = random.Next(2) == 0 ? new StepUndo("undo", null, null) : null,
        }).ToList();
        if (random.Next(2) == 0)
        {
            // A final step, behind all of the others before it.
            var place = random.Next(1, count);
            steps[place] = steps[place] with { Undo = null, Reversibility = Reversibility.Final, After = [.. steps.Take(place).Select(s => s.Id)] };
            steps = [.. steps.Select((s, i) => i > place ? s with { Undo = null } : s)];
        }

        var actions = new[] { "do", "undo" }.ToDictionary(id => (Agent, id), id => new ActionDefinition { ActionId = id, ActionName = id, AgentId = Agent });
        var complete = DefinitionRules.Check(new WorkflowDefinition { Steps = steps }, "made_up", new DefinitionFacts(Agent, actions, new Dictionary<string, string[]>(StringComparer.Ordinal)));
        return complete.IsOk ? complete.Value : null;
    }

    /// <summary>A world in which requests end when chance has it.</summary>
    private sealed class Simulation(WorkflowDefinition definition, Random random)
    {
        private readonly StepGraph _graph = new(definition.Steps);
        private readonly List<string> _completed = [];
        private readonly List<string> _undone = [];
        private DateTimeOffset _now = TimeProvider.System.GetUtcNow();
        private RunState _run = new(
            new WorkflowInstance { Id = Agent, Status = "in_progress", Phase = "forward", Control = "running", Input = Json.Of(new { list = new[] { 1, 2, 3 } }), TimeoutAt = DateTimeOffset.MaxValue },
            definition, [], []);

        internal string Run()
        {
            for (var moves = 0; moves < 1000; moves++)
            {
                var decision = Interpreter.Decide(_run, _now, () => Guid.CreateVersion7(_now));
                foreach (var order in decision.Orders)
                {
                    if (Apply(order) is { } end)
                    {
                        return end;
                    }
                }

                Assert.Empty(Interpreter.Decide(_run, _now, () => Guid.CreateVersion7(_now)).Orders.Where(o => o is not Order.Stop));
                EndOne();
            }

            throw new InvalidOperationException("It never ends.");
        }

        private string? Apply(Order order)
        {
            switch (order)
            {
                case Order.Write(var row):
                    Put(row);
                    break;
                case Order.Close(var row):
                    Put(row);
                    break;
                case Order.Run(var step, var row):
                    // Each once, and a final step only when all that may have to be undone has succeeded.
                    Assert.DoesNotContain(_run.Rows, r => !r.IsUndo && r.StepId == row.StepId && r.Iteration == row.Iteration);
                    Assert.All(_graph.Before(step.Id), before => Assert.True(_run.IsDone(before)));
                    Assert.True(!step.IsFinal || definition.Steps.Where(s => s.Undo is not null).All(s => _run.IsDone(s.Id)));
                    Put(row with { ActionQueueId = row.Id });
                    break;
                case Order.Undo(_, var done, var row):
                    Assert.DoesNotContain(_run.Rows, r => r.IsUndo && r.StepId == row.StepId && r.Iteration == row.Iteration);
                    Assert.DoesNotContain(_run.Rows, r => r.IsOpen);
                    Assert.Equal("completed", done.Status);
                    Put(row with { ActionQueueId = row.Id });
                    break;
                case Order.TurnBack(var error):
                    _run = _run with { Instance = _run.Instance with { Phase = "undoing", Error = error.Message, ErrorCode = error.Code, ErrorStep = error.StepId } };
                    break;
                case Order.Finish finish:
                    return End(finish);
            }

            return null;
        }

        /// <summary>One of the requests under way ends, well or not.</summary>
        private void EndOne()
        {
            var open = _run.Rows.Where(row => row is { IsOpen: true, ActionQueueId: not null }).ToList();
            var row = open[random.Next(open.Count)];
            _now += TimeSpan.FromSeconds(1);
            var failed = !row.IsUndo && random.Next(8) == 0;
            Put(failed
                ? row with { Status = "failed", ErrorCode = "no", Error = "No.", CompletedAt = _now }
                : row with { Status = "completed", Result = Parameters.None, CompletedAt = _now });
            if (!failed)
            {
                (row.IsUndo ? _undone : _completed).Add($"{row.StepId}/{row.Iteration}");
            }
        }

        private string End(Order.Finish finish)
        {
            Assert.DoesNotContain(_run.Rows, row => row.IsOpen);
            var final = _run.Doings.Any(row => definition.Step(row.StepId).IsFinal && row.Status == "completed");
            if (finish.Status == "completed")
            {
                Assert.All(definition.Steps, step => Assert.True(_run.IsDone(step.Id)));
                Assert.Empty(_undone);
                return "completed";
            }

            string[] expected = final ? [] : [.. _completed.Where(done => definition.Step(done.Split('/')[0]).Undo is not null).Reverse()];
            Assert.Equal(expected, _undone);
            Assert.Equal(expected.Length > 0, finish.RolledBack);
            return final ? "stands" : expected.Length > 0 ? "rolled back" : "failed";
        }

        private void Put(WorkflowStep row) => _run = _run with { Rows = [.. _run.Rows.Where(r => r.Id != row.Id), row] };
    }
}
