using System.Text.Json;

namespace AgentPlatform.Actions.Execution;

public enum BackoffStrategy
{
    None,
    Fixed,
    Linear,
    Exponential,
}

/// <summary>
/// How often and how late a failed action is tried again, and after which kinds of error at all. <see cref="Jitter"/>: the part of a delay, 0 to 1,
/// by which chance may shorten it, so that what failed together does not come back together.
/// </summary>
public sealed record RetryPolicy(
    int MaxRetries, BackoffStrategy BackoffStrategy, int InitialDelaySeconds, int MaxDelaySeconds, string[] RetryOnErrors, double Jitter = 0)
{
    public static readonly RetryPolicy Default = new(3, BackoffStrategy.Exponential, 2, 60, ErrorKind.Transient);

    /// <summary>After the <paramref name="failures"/>th failure: when to try again, or null when it was the last try.</summary>
    public DateTimeOffset? Next(int failures, string errorKind, DateTimeOffset now, double random = 0) =>
        failures >= MaxRetries || !RetryOnErrors.Contains(errorKind, StringComparer.Ordinal) ? null : now + Delay(failures, random);

    internal TimeSpan Delay(int failures, double random = 0) => (1 - (Jitter * random)) * TimeSpan.FromSeconds(BackoffStrategy switch
    {
        BackoffStrategy.None => 0,
        BackoffStrategy.Fixed => Math.Min(InitialDelaySeconds, MaxDelaySeconds),
        BackoffStrategy.Linear => Math.Min((long)InitialDelaySeconds * failures, MaxDelaySeconds),
        _ => Math.Min(InitialDelaySeconds * Math.Pow(2, Math.Min(failures, 31) - 1), MaxDelaySeconds),
    });
}

/// <summary>Why an attempt failed. Only the kinds a policy lists are tried again.</summary>
public static class ErrorKind
{
    public const string Timeout = "timeout";
    public const string ApiError = "api_error";
    public const string NetworkError = "network_error";

    /// <summary>The endpoint refused the request (4xx but 408, 425 and 429): the same request would be refused again.</summary>
    public const string ApiRejected = "api_rejected";

    /// <summary>The response came, and success_criteria or failure_criteria call it a failure.</summary>
    public const string CriteriaFailed = "criteria_failed";

    /// <summary>The registry entry cannot be executed as written: a template, a secret or a target that is not allowed.</summary>
    public const string Configuration = "configuration";

    /// <summary>The worker went away in mid-attempt; the next attempt carries the same idempotency key.</summary>
    public const string Interrupted = "interrupted";

    /// <summary>Whether the call was carried out cannot be found out without a person.</summary>
    public const string OutcomeUnknown = "outcome_unknown";

    /// <summary>The endpoint failed too often lately and is left alone for a while: not an attempt.</summary>
    public const string CircuitOpen = "circuit_open";

    /// <summary>The request may not go on from its checkpoint.</summary>
    public const string CheckpointRefused = "checkpoint_refused";

    /// <summary>The workspace's subscription does not allow it: its executions are used up, it is paused, or this one runs for too long.</summary>
    public const string AllowanceUsedUp = "allowance_used_up";

    /// <summary>An operator stopped the attempt between two steps.</summary>
    public const string Stopped = "stopped";

    public static readonly string[] Transient = [Timeout, ApiError, NetworkError];

    public static readonly string[] All = [Timeout, ApiError, NetworkError, ApiRejected, CriteriaFailed, Configuration];

    internal static string Intervention(string kind) => kind switch
    {
        ApiRejected => "fix_parameters",
        Configuration => "fix_configuration",
        Timeout or ApiError or NetworkError or OutcomeUnknown => "check_provider",
        _ => "investigate",
    };
}

/// <summary>One failed attempt, in the words of the execution log.</summary>
public sealed record ActionFailure(string Kind, string Message)
{
    public string? Code { get; init; }
    public string? StackTrace { get; init; }
    public int? ResponseStatus { get; init; }
    public JsonElement? ResponseBody { get; init; }

    /// <summary>Nothing tells whether the call was carried out.</summary>
    public bool MayHaveHappened { get; init; }
}
