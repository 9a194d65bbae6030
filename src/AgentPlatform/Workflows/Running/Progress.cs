using AgentPlatform.Workflows.Definitions;

namespace AgentPlatform.Workflows.Running;

/// <summary>How far a run is, and when it will probably be over.</summary>
internal sealed record Progress(int Completed, int Total, int CurrentStep, DateTimeOffset? EstimatedCompletionAt)
{
    internal int Remaining => Total - Completed;

    internal int Percentage => Completed * 100 / Total;

    /// <summary>Pure: skipped steps count as completed; what remains takes as long as its longest chain of steps that wait for each other.</summary>
    internal static Progress Of(RunState run, DateTimeOffset now)
    {
        var steps = run.Definition.Steps;
        var left = steps.Where(step => !run.IsDone(step.Id)).ToList();
        return new(
            steps.Count - left.Count, steps.Count, left.Count == 0 ? steps.Count : run.Definition.PlaceOf(left[0].Id),
            left.Count == 0 ? null : now + Longest(left, run, now));
    }

    private static TimeSpan Longest(List<StepDefinition> left, RunState run, DateTimeOffset now)
    {
        var ends = new Dictionary<string, TimeSpan>(StringComparer.Ordinal);
        while (ends.Count < left.Count)
        {
            foreach (var step in left.Where(s => !ends.ContainsKey(s.Id) && s.After!.All(before => run.IsDone(before) || ends.ContainsKey(before))))
            {
                var begin = step.After!.Select(before => ends.GetValueOrDefault(before)).Append(TimeSpan.Zero).Max();
                ends[step.Id] = begin + Lasts(step, run, now);
            }
        }

        return ends.Values.Max();
    }

    /// <summary>What is under way has lasted a while already.</summary>
    private static TimeSpan Lasts(StepDefinition step, RunState run, DateTimeOffset now)
    {
        var whole = TimeSpan.FromSeconds(step.EstimatedSeconds ?? 0);
        return run.Row(step.Id) is { } row && whole - (now - row.StartedAt) is var rest ? rest > TimeSpan.Zero ? rest : TimeSpan.Zero : whole;
    }
}
