namespace AgentPlatform.LocalHost;

/// <summary>How often and how soon a failed activity or sub-orchestration is called again.</summary>
public class RetryPolicy
{
    /// <summary>A policy; <see cref="Timeout.InfiniteTimeSpan"/> lifts either of the two limits of time.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A number is too small, or a limit is below the first interval.</exception>
    public RetryPolicy(
        int maxNumberOfAttempts, TimeSpan firstRetryInterval, double backoffCoefficient = 1.0, TimeSpan? maxRetryInterval = null, TimeSpan? retryTimeout = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxNumberOfAttempts);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(firstRetryInterval, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(backoffCoefficient, 1.0);
        ThrowIfBelow(firstRetryInterval, maxRetryInterval, nameof(maxRetryInterval));
        ThrowIfBelow(firstRetryInterval, retryTimeout, nameof(retryTimeout));
        MaxNumberOfAttempts = maxNumberOfAttempts;
        FirstRetryInterval = firstRetryInterval;
        BackoffCoefficient = backoffCoefficient;
        MaxRetryInterval = maxRetryInterval ?? TimeSpan.FromHours(1);
        RetryTimeout = retryTimeout ?? Timeout.InfiniteTimeSpan;
    }

    /// <summary>Attempts in all, the first included.</summary>
    public int MaxNumberOfAttempts { get; }

    /// <summary>The wait before the second attempt.</summary>
    public TimeSpan FirstRetryInterval { get; }

    /// <summary>What each further wait is multiplied by; 1 unless told.</summary>
    public double BackoffCoefficient { get; }

    /// <summary>No wait is longer; an hour unless told.</summary>
    public TimeSpan MaxRetryInterval { get; }

    /// <summary>No attempt starts later than this after the first; without end unless told.</summary>
    public TimeSpan RetryTimeout { get; }

    /// <summary>Says of a failure whether it is worth another attempt; every one unless told.</summary>
    public Func<TaskFailureDetails, bool> HandleFailure
    {
        init => Wants = value;
    }

    internal Func<TaskFailureDetails, bool> Wants { get; private init; } = static _ => true;

    /// <summary>The wait after <paramref name="attempt"/> attempts have failed, or null when there is no further one.</summary>
    internal TimeSpan? After(int attempt, TimeSpan elapsed, TaskFailureDetails failure)
    {
        if (attempt >= MaxNumberOfAttempts || !Wants(failure) || (RetryTimeout != Timeout.InfiniteTimeSpan && elapsed >= RetryTimeout))
        {
            return null;
        }

        var wait = FirstRetryInterval.TotalMilliseconds * Math.Pow(BackoffCoefficient, attempt - 1);
        var longest = MaxRetryInterval == Timeout.InfiniteTimeSpan ? TimeSpan.FromDays(36500) : MaxRetryInterval;
        return wait < longest.TotalMilliseconds ? TimeSpan.FromMilliseconds(wait) : longest;
    }

    private static void ThrowIfBelow(TimeSpan first, TimeSpan? limit, string name)
    {
        if (limit < first && limit != Timeout.InfiniteTimeSpan)
        {
            throw new ArgumentOutOfRangeException(name, limit, $"{name} must not be below the first retry interval.");
        }
    }
}
