using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Work;

/// <summary>Work to be done after the caller's transaction commits. The same (tenant, kind, key) is enqueued once, however often it is said.</summary>
public sealed record NewWork(string Kind, string Key, object Payload)
{
    /// <summary>Items that share it run one at a time, in the order they were enqueued.</summary>
    public string? SerialKey { get; init; }

    /// <summary>0 is most urgent, 100 least; a point is worth a minute of waiting.</summary>
    public short Priority { get; init; } = 50;

    /// <summary>Not before then; at once when null.</summary>
    public DateTimeOffset? RunAt { get; init; }

    /// <summary>Attempts before the item is dead; the kind's own number when null.</summary>
    public int? MaxAttempts { get; init; }

    /// <summary>Cancelled, with the reason, when no worker has started it by then.</summary>
    public DateTimeOffset? StartBy { get; init; }

    /// <summary>What counts against a limit on running work: a provider, an agent, whatever must not be overrun.</summary>
    public string? ConcurrencyKey { get; init; }

    /// <summary>Of all items of the kind that share it, one waits for its first start; <see cref="OnWaiting"/> says what a second does to it.</summary>
    public string? MergeKey { get; init; }

    /// <summary>Counts only with a <see cref="MergeKey"/>.</summary>
    public OnWaiting OnWaiting { get; init; }
}

/// <summary>What new work does to work of the same merge key that has not started. Work that has started is never touched: the new work waits behind it.</summary>
public enum OnWaiting
{
    /// <summary>Throttle: the work that waits stands for both.</summary>
    Keep,

    /// <summary>The newer payload and time take the place: the work runs once it has been quiet.</summary>
    Debounce,

    /// <summary>The newer payload takes the place, and the time stays: the work runs when it would have, with the latest.</summary>
    Supersede,
}

/// <summary>A claimed piece of work, and the fence that proves the claim.</summary>
public sealed record WorkItem(
    long Id,
    Guid TenantId,
    string Kind,
    string Key,
    string RawPayload,
    int Attempt,
    int MaxAttempts,
    int Interruptions,
    long Fence,
    DateTimeOffset EnqueuedAt)
{
    public WorkItem(
        long id, Guid tenantId, string kind, string key, JsonElement payload, int attempt, int maxAttempts, int interruptions, long fence, DateTimeOffset enqueuedAt)
        : this(id, tenantId, kind, key, payload.GetRawText(), attempt, maxAttempts, interruptions, fence, enqueuedAt)
    {
    }

    /// <summary>Where it waited.</summary>
    internal short Priority { get; init; }

    /// <summary>Others of the same key wait for its end.</summary>
    internal string? SerialKey { get; init; }

    /// <summary>It counts in a limit: any of its tenant's may wait for its end.</summary>
    internal bool IsLimited { get; init; }

    /// <summary>The trace it belongs to: that of whoever enqueued it.</summary>
    internal string? TraceParent { get; init; }

    /// <summary>It leaves no row when it is done.</summary>
    internal bool IsForgotten { get; init; }

    /// <summary>What it was claimed with.</summary>
    internal Claim? Claim { get; init; }

    /// <summary>What the handler wrote itself.</summary>
    internal Settlement? Settled { get; private set; }

    /// <summary>True when a retry after this attempt would be refused.</summary>
    public bool IsLastAttempt => Attempt >= MaxAttempts;

    /// <summary>Read when it is asked for, so that a payload nobody can read fails its own attempt and not the claim of its neighbours.</summary>
    /// <exception cref="JsonException">The payload is nested deeper than JSON is read here.</exception>
    public JsonElement Payload => JsonSerializer.Deserialize<JsonElement>(RawPayload, Json.Options);

    public T Read<T>() => Json.Read<T>(Payload);

    /// <summary>
    /// Writes the outcome into the caller's transaction, so that it commits together with the business change. It travels with the next round
    /// trip, which fails, and with it the transaction, when another worker holds the item by now. Return <see cref="WorkOutcome.Settled"/> afterwards.
    /// </summary>
    public void Settle(Transaction tx, WorkOutcome outcome)
    {
        Settled = Settlement.Of(this, outcome);
        Settled.Post(tx);
    }

    /// <summary>Whatever its end was to be, it was not written.</summary>
    internal void LeaveToLease() => Settled = null;
}

/// <summary>How a handler's run ended: a closed set.</summary>
public abstract record WorkOutcome
{
    private WorkOutcome()
    {
    }

    /// <summary>The handler wrote its outcome itself, with <see cref="WorkItem.Settle"/>.</summary>
    public static WorkOutcome Settled { get; } = new AlreadySettled();

    public sealed record Done : WorkOutcome;

    /// <summary>Try again after a while; the engine's backoff when <paramref name="After"/> is null. Dead once attempts are used up.</summary>
    public sealed record Retry(string Error, TimeSpan? After = null) : WorkOutcome;

    /// <summary>Nothing failed, it is too early: does not count as an attempt.</summary>
    public sealed record Snooze(TimeSpan For) : WorkOutcome;

    public sealed record Cancel(string Reason) : WorkOutcome;

    /// <summary>Trying again cannot help.</summary>
    public sealed record Dead(string Error) : WorkOutcome;

    internal sealed record AlreadySettled : WorkOutcome;
}

/// <summary>Does the work of one kind. Runs at least once per item; whatever it writes through <see cref="WorkItem.Settle"/> happens exactly once.</summary>
public interface IWorkHandler
{
    Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct);

    /// <summary>The item is given up: the last word to its business row, in the same transaction.</summary>
    Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct) => Task.CompletedTask;
}

/// <summary>The fence has moved on: another worker took the item over after its lease ran out.</summary>
public sealed class LeaseLostException(WorkItem item) : Exception($"The lease of {item.Kind} {item.Key} was lost.")
{
    /// <summary>True for this, and for the failure of a transaction that was to complete the item.</summary>
    internal static bool Means(Exception e) => e is LeaseLostException or Npgsql.PostgresException { SqlState: Settlement.LeaseLost };
}
