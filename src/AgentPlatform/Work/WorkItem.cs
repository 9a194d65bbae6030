using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Work;

/// <summary>Work to be done after the caller's transaction commits. The same (tenant, kind, key) is enqueued once, however often it is said.</summary>
public sealed record NewWork(string Kind, string Key, object Payload)
{
    /// <summary>Items that share it run one at a time, in the order they were enqueued.</summary>
    public string? SerialKey { get; init; }

    /// <summary>0 is most urgent, 100 least.</summary>
    public short Priority { get; init; } = 50;

    /// <summary>Not before then; at once when null.</summary>
    public DateTimeOffset? RunAt { get; init; }

    /// <summary>Attempts before the item is dead; the kind's own number when null.</summary>
    public int? MaxAttempts { get; init; }
}

/// <summary>A claimed piece of work, and the fence that proves the claim.</summary>
public sealed record WorkItem(
    long Id,
    Guid TenantId,
    string Kind,
    string Key,
    JsonElement Payload,
    int Attempt,
    int MaxAttempts,
    int Interruptions,
    long Fence,
    DateTimeOffset EnqueuedAt)
{
    /// <summary>True when a retry after this attempt would be refused.</summary>
    public bool IsLastAttempt => Attempt >= MaxAttempts;

    public T Read<T>() => Json.Read<T>(Payload);

    /// <summary>
    /// Writes the outcome into the caller's transaction, so that it commits together with the business change. Return
    /// <see cref="WorkOutcome.Settled"/> afterwards.
    /// </summary>
    /// <exception cref="LeaseLostException">Another worker holds the item by now; nothing of this transaction may commit.</exception>
    public async Task SettleAsync(Transaction tx, WorkOutcome outcome, CancellationToken ct)
    {
        var settlement = Settlement.Of(this, outcome);
        if (await tx.ExecuteAsync(Settlement.Sql.Settle, Settlement.Args([settlement]), ct) != 1)
        {
            throw new LeaseLostException(this);
        }
    }
}

/// <summary>How a handler's run ended: a closed set.</summary>
public abstract record WorkOutcome
{
    private WorkOutcome()
    {
    }

    /// <summary>The handler wrote its outcome itself, with <see cref="WorkItem.SettleAsync"/>.</summary>
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

/// <summary>Does the work of one kind. Runs at least once per item; whatever it writes through <see cref="WorkItem.SettleAsync"/> happens exactly once.</summary>
public interface IWorkHandler
{
    Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct);

    /// <summary>The item is given up: the last word to its business row, in the same transaction.</summary>
    Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct) => Task.CompletedTask;
}

/// <summary>The fence has moved on: another worker took the item over after its lease ran out.</summary>
public sealed class LeaseLostException(WorkItem item) : Exception($"The lease of {item.Kind} {item.Key} was lost.");
