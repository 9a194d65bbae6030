using System.Text.Json;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Actions.Aftermath;

/// <summary>An error that has been seen before, and what to try, in order: see <c>error-patterns</c>.</summary>
public sealed record KnownError
{
    public Guid PatternId { get; init; }
    public int OccurrenceCount { get; init; }
    public int ResolvedCount { get; init; }
    public DateTimeOffset? LastOccurred { get; init; }
    public JsonElement RecoveryStrategies { get; init; }
}

/// <summary>An error of an action, as it was told.</summary>
public sealed record SeenError(string ActionId, string Kind, string Message);

/// <summary>Knows what errors mean: one answer for each, in their order, null for those that are new.</summary>
public interface IErrorAdvisor
{
    Task<IReadOnlyList<KnownError?>> AdviseAsync(Transaction tx, IReadOnlyList<SeenError> errors, CancellationToken ct);
}

/// <summary>Puts what is known of an error beside it, for a whole page by one question.</summary>
internal sealed class KnownErrors(IErrorAdvisor advisor)
{
    internal async Task<Page<DeadLetter>> BesideAsync(Transaction tx, Page<DeadLetter> page, CancellationToken ct) =>
        page with { Items = await BesideAsync(tx, page.Items, Error, (letter, known) => letter with { KnownError = known }, ct) };

    internal async Task<Page<ActionExecution>> BesideAsync(Transaction tx, Page<ActionExecution> page, CancellationToken ct) =>
        page with { Items = await BesideAsync(tx, page.Items, Error, (execution, known) => execution with { KnownError = known }, ct) };

    internal async Task<DeadLetter> BesideAsync(Transaction tx, DeadLetter letter, CancellationToken ct) =>
        (await BesideAsync(tx, [letter], Error, (l, known) => l with { KnownError = known }, ct))[0];

    private async Task<IReadOnlyList<T>> BesideAsync<T>(Transaction tx, IReadOnlyList<T> items, Func<T, SeenError?> error, Func<T, KnownError?, T> with, CancellationToken ct)
    {
        var failed = items.Select(error).OfType<SeenError>().Distinct().ToList();
        if (failed.Count == 0)
        {
            return items;
        }

        var known = failed.Zip(await advisor.AdviseAsync(tx, failed, ct)).ToDictionary(pair => pair.First, pair => pair.Second);
        return [.. items.Select(item => error(item) is { } seen ? with(item, known[seen]) : item)];
    }

    private static SeenError? Error(DeadLetter letter) =>
        JsonPath.Find(letter.FinalError, "type")?.GetString() is { } kind && JsonPath.Find(letter.FinalError, "message")?.GetString() is { } message ? new(letter.ActionId, kind, message) : null;

    private static SeenError? Error(ActionExecution execution) =>
        execution is { ErrorType: { } kind, ErrorMessage: { } message } ? new(execution.ActionId, kind, message) : null;
}
