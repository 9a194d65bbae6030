using AgentPlatform.Work;

namespace AgentPlatform.Chaos;

/// <summary>What a job is told: whom it is about, and how often it shall fail before it succeeds.</summary>
internal sealed record JobPayload(string Reference, int Failures);

/// <summary>A job that must be done exactly once by the end, whatever happens to the servers and workers.</summary>
internal sealed record Job(string Kind, string Key, string? SerialKey, int Failures)
{
    internal NewWork ToWork() => new(Kind, Key, new JobPayload(Key, Failures)) { SerialKey = SerialKey };
}

internal static class Jobs
{
    /// <summary>Writes the ledger and settles in one transaction.</summary>
    internal const string Ledger = "chaos.ledger";

    /// <summary>Does something that may be repeated, and leaves the completion to the engine's batch.</summary>
    internal const string Mark = "chaos.mark";

    /// <summary>The same two, of kinds that leave no row when they are done.</summary>
    internal const string LedgerForgotten = "chaos.ledger_forgotten";

    internal const string MarkForgotten = "chaos.mark_forgotten";

    /// <summary>One of many that must happen in order.</summary>
    internal const string Serial = "chaos.serial";

    /// <summary>Calls a provider that drops repeated keys.</summary>
    internal const string Keyed = "chaos.keyed";

    /// <summary>Calls a provider that knows no keys, and can only be asked.</summary>
    internal const string Unkeyed = "chaos.unkeyed";

    /// <summary>Fails a few times on purpose.</summary>
    internal const string Retry = "chaos.retry";

    /// <summary>Keys whose items run in order.</summary>
    private const int SerialKeys = 40;

    internal static readonly string[] Kinds = [Ledger, Mark, LedgerForgotten, MarkForgotten, Serial, Keyed, Unkeyed, Retry];

    private static readonly string[] Mix = [Ledger, Ledger, LedgerForgotten, Mark, MarkForgotten, Serial, Serial, Keyed, Unkeyed, Retry];

    /// <summary>Every kind of job in one mixed stream, the same in every run.</summary>
    internal static IReadOnlyList<Job> Plan(int count) => [.. Enumerable.Range(0, count).Select(Of)];

    private static Job Of(int index)
    {
        var kind = Mix[index % Mix.Length];
        var serial = kind == Serial ? $"serial-{index / Mix.Length % SerialKeys:00}" : null;
        return new Job(kind, $"{serial ?? "job"}.{index:0000000}", serial, kind == Retry ? index / Mix.Length % 3 : 0);
    }
}
