namespace AgentPlatform.LocalHost.Durable;

/// <summary>The code no longer does what its history says it did.</summary>
internal sealed class NonDeterministicOrchestrationException(string message) : Exception(message)
{
    private const int Shown = 10;

    internal static NonDeterministicOrchestrationException At(
        string orchestrator, string instance, HistoryEvent? recorded, HistoryEvent? decided, string? recordedBy, string runningNow,
        IReadOnlyList<HistoryEvent> history, IReadOnlyList<HistoryEvent> code) => new(
        $"The orchestrator '{orchestrator}' (instance '{instance}') is not deterministic at step #{(recorded ?? decided)!.TaskId}: "
        + $"its history, recorded by version {recordedBy ?? "unknown"}, has {recorded?.Step() ?? "no such step"}; "
        + $"its code, version {runningNow}, does {decided?.Step() ?? "no such step"}. "
        + $"History: {Last(history)}. Code: {Last(code)}.");

    private static string Last(IReadOnlyList<HistoryEvent> steps) =>
        steps.Count == 0 ? "nothing"
        : (steps.Count > Shown ? "… " : "") + string.Join(", ", steps.Skip(steps.Count - Shown).Select(s => s.Step()));
}
