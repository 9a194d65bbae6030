namespace AgentPlatform.LocalHost.Durable;

/// <summary>What an activity that ran here came to.</summary>
internal sealed record Answer(ClaimedActivity Activity, HistoryKind Kind, string? Payload);

/// <summary>
/// Takes answers to orchestrators that this process keeps in memory straight into their next turn, which keeps them: one commit a step.
/// While a turn is written the next answers gather. Where the orchestrator is not at hand, answers become messages that whoever claims the
/// instance takes in.
/// </summary>
internal sealed class AnswerDesk(OrchestrationWorker orchestrations, ActivityStore store, DurableSignals signals)
{
    private readonly Dictionary<string, List<Waiting>> _waiting = new(StringComparer.Ordinal);

    /// <summary>Completes when the answer is kept, or nobody wants it any more.</summary>
    internal Task GiveAsync(Answer answer, CancellationToken killed)
    {
        var waiting = new Waiting(answer, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        lock (_waiting)
        {
            if (_waiting.TryGetValue(answer.Activity.Instance, out var gathered))
            {
                gathered.Add(waiting);
                return waiting.Kept.Task;
            }

            _waiting[answer.Activity.Instance] = [waiting];
        }

        _ = Task.Run(() => ServeAsync(answer.Activity.Instance, killed), CancellationToken.None);
        return waiting.Kept.Task;
    }

    private async Task ServeAsync(string instance, CancellationToken killed)
    {
        while (Take(instance) is { } gathered)
        {
            try
            {
                await KeepAsync([.. gathered.Select(g => g.Answer)], killed);
                gathered.ForEach(g => g.Kept.TrySetResult());
            }
            catch (Exception e)
            {
                // Whoever gave the answer decides what becomes of the activity.
                gathered.ForEach(g => g.Kept.TrySetException(e));
            }
        }
    }

    private List<Waiting>? Take(string instance)
    {
        lock (_waiting)
        {
            var gathered = _waiting[instance];
            if (gathered.Count == 0)
            {
                _waiting.Remove(instance);
                return null;
            }

            _waiting[instance] = [];
            return gathered;
        }
    }

    private async Task KeepAsync(IReadOnlyList<Answer> answers, CancellationToken killed)
    {
        foreach (var execution in answers.GroupBy(a => a.Activity.Execution))
        {
            killed.ThrowIfCancellationRequested();
            if (!await orchestrations.GoOnAsync([.. execution], killed) && await store.AnswerAsync([.. execution], killed) > 0)
            {
                signals.Reach(execution.First().Activity.Instance);
            }
        }
    }

    private sealed record Waiting(Answer Answer, TaskCompletionSource Kept);
}
