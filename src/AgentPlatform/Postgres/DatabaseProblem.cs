using AgentPlatform.Kernel;
using Npgsql;

namespace AgentPlatform.Postgres;

/// <summary>What a failure of the database means to whoever asked.</summary>
public static class DatabaseProblem
{
    /// <summary>Null when it is no failure of the database, or one of our own making.</summary>
    public static Problem? Of(Exception e) => e switch
    {
        PostgresException { SqlState: PostgresErrorCodes.InsufficientPrivilege } => Problem.Forbidden(),
        PostgresException { SqlState: PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.LockNotAvailable } =>
            new Problem("contention", 503, "Others were changing the same things; try again.") { RetryAfter = TimeSpan.FromSeconds(1) },
        NpgsqlException { IsTransient: true } or TimeoutException =>
            new Problem("unavailable", 503, "The service is not available at the moment.") { RetryAfter = TimeSpan.FromSeconds(5) },
        _ => null,
    };
}
