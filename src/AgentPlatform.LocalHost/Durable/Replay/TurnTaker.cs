using AgentPlatform.LocalHost.Invocation;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Brings orchestrators to where their histories are, hands them what is new, and makes steps of what comes of it.</summary>
internal sealed class TurnTaker(
    FunctionCatalog catalog, InstanceStore store, SessionCache sessions, FunctionExecutor executor, IServiceScopeFactory scopes, CodeVersion code,
    TimeProvider clock)
{
    private readonly Dictionary<string, LocalFunction> _functions = catalog.Of<OrchestrationTriggerAttribute>()
        .ToDictionary(f => f.Trigger.Orchestration ?? f.Function.Name, f => f.Function, StringComparer.OrdinalIgnoreCase);

    internal bool HasFunctions => _functions.Count > 0;

    internal bool Knows(string orchestrator) => _functions.ContainsKey(orchestrator);

    /// <summary>A claimed instance's step. There is no session where the orchestrator need not see what came.</summary>
    internal async Task<(Step Step, OrchestrationSession? Session)> TakeAsync(ClaimedInstance claimed, CancellationToken ct)
    {
        var head = claimed.Head;
        if (claimed.Birth is { } birth)
        {
            return Begin(claimed, birth);
        }

        if (claimed.Taken is { } taken)
        {
            return await RecoverAsync(head, taken, ct);
        }

        var intake = TurnIntake.Sort(head, claimed.Messages);
        if (intake.Terminate is { } terminate)
        {
            var end = Turn.Nothing with { Ending = new Ending.Terminated(terminate.Payload, terminate.Name == "recursive") };
            return (new Step(head, intake, [], null, end, clock.GetUtcNow(), []), null);
        }

        if (intake.Deliver.All(e => e.Kind is HistoryKind.ExecutionSuspended or HistoryKind.ExecutionResumed))
        {
            return (new Step(head, intake, [], null, Turn.Nothing, clock.GetUtcNow(), []), null);
        }

        var started = TurnStart(clock.GetUtcNow(), code);
        var (session, turn) = await AdvanceAsync(claimed, [started, .. intake.Deliver], ct);
        return (new Step(head, intake, [], started, turn, started.At, []), session);
    }

    /// <summary>The step that takes in answers of activities.</summary>
    /// <param name="earlier">What the turn before decided, where that is not written yet.</param>
    internal Step GoOn(OrchestrationSession session, IReadOnlyList<Answer> answers, IReadOnlyList<HistoryEvent> earlier)
    {
        var started = TurnStart(clock.GetUtcNow(), code);
        HistoryEvent[] happened =
            [.. answers.Select(a => new HistoryEvent(a.Kind, started.At, a.Activity.Task, a.Activity.Name, Payload: a.Payload))];
        var turn = session.Advance([started, .. happened]);
        return new Step(session.Head, new TurnIntake("Running", happened, [], [], null), [], started, turn, started.At, earlier);
    }

    /// <summary>A step in which nothing happens.</summary>
    internal Step Nothing(OrchestrationSession session, IReadOnlyList<HistoryEvent> earlier, IReadOnlyList<long> consumed) =>
        new(session.Head, new TurnIntake("Running", [], consumed, [], null), [], null, Turn.Nothing, clock.GetUtcNow(), earlier);

    /// <summary>The line that begins a turn. To the microsecond, which the database keeps: a replay must see the very time that the first run saw.</summary>
    internal static HistoryEvent TurnStart(DateTimeOffset now, CodeVersion code) =>
        new(HistoryKind.TurnStarted, now.AddTicks(-(now.Ticks % TimeSpan.TicksPerMicrosecond)), Name: code.Text);

    // Its start wrote the lines that its first turn begins with.
    private (Step, OrchestrationSession) Begin(ClaimedInstance claimed, Birth birth)
    {
        var session = New(claimed.Head, claimed.Input);
        var turn = session.Advance([birth.Started, new HistoryEvent(HistoryKind.ExecutionStarted, birth.Started.At)]);
        return (new Step(claimed.Head, new TurnIntake("Running", [], [birth.Message], [], null), [], null, turn, birth.Started.At, []), session);
    }

    // The history says how far the host came. What it had not written is decided anew, and what it had begun begins again.
    private async Task<(Step, OrchestrationSession)> RecoverAsync(InstanceHead head, IReadOnlyList<long> taken, CancellationToken ct)
    {
        var (input, history) = await store.LoadAsync(head.Id, ct);
        var session = New(head, input);
        var turn = Replay(session, history, isWhole: false) ?? session.Advance([]);
        return (new Step(head, new TurnIntake(head.Status, [], taken, [], null), [], null, turn, clock.GetUtcNow(), []) { Recovers = true }, session);
    }

    private async Task<(OrchestrationSession Session, Turn Turn)> AdvanceAsync(
        ClaimedInstance claimed, IReadOnlyList<HistoryEvent> fresh, CancellationToken ct)
    {
        var head = claimed.Head;
        if (await sessions.TakeAsync(head) is { } kept)
        {
            return (kept, kept.Advance(fresh));
        }

        // What has not begun has no past to read.
        var (input, history) = head.NextSequence == 0 ? (claimed.Input, []) : await store.LoadAsync(head.Id, ct);
        var session = New(head, input);
        return (session, Replay(session, history, isWhole: true) ?? session.Advance(fresh));
    }

    /// <summary>How the instance fails when its code no longer does what it did.</summary>
    private static Turn? Replay(OrchestrationSession session, IReadOnlyList<HistoryEvent> history, bool isWhole)
    {
        try
        {
            session.Replay(history, isWhole);
            return null;
        }
        catch (NonDeterministicOrchestrationException e)
        {
            return Turn.Failing(TaskFailureDetails.FromException(e));
        }
    }

    private OrchestrationSession New(InstanceHead head, string? input) =>
        new(head, input, _functions.GetValueOrDefault(head.Name), executor, scopes.CreateAsyncScope(), code.Text);
}
