using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Schedules.Automations;

/// <summary>A run to be made: the execution's id is the key under which it is begun, however often that is said.</summary>
public sealed record AutomationRun(Guid ExecutionId, Guid TaskId, JsonElement Config);

/// <summary>How far a run is: a closed set.</summary>
public abstract record AutomationOutcome
{
    private AutomationOutcome()
    {
    }

    public sealed record Succeeded(object Output) : AutomationOutcome;

    /// <summary>Failed; repeated while retries are left.</summary>
    public sealed record Failed(string Error) : AutomationOutcome;

    /// <summary>What is configured cannot be run: the task is failed, and rests until somebody changes or resumes it.</summary>
    public sealed record Impossible(string Error) : AutomationOutcome;

    /// <summary>Under way; asked again after a moment.</summary>
    public sealed record UnderWay : AutomationOutcome;
}

/// <summary>Runs the automations of one type. What it writes through its transaction commits together with the run's own row.</summary>
public interface IAutomation
{
    string Type { get; }

    /// <summary>What is wrong with a configuration of this type, before it is stored.</summary>
    Task<Problem?> CheckAsync(Transaction tx, JsonElement config, CancellationToken ct);

    /// <summary>Begins the run, or looks how far it is.</summary>
    Task<AutomationOutcome> MoveAsync(Transaction tx, AutomationRun run, CancellationToken ct);

    /// <summary>Stops what the run has begun, for its time is up.</summary>
    Task StopAsync(Transaction tx, AutomationRun run, string reason, CancellationToken ct);
}
