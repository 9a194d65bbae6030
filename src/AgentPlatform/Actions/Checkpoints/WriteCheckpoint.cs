using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Actions.Checkpoints;

/// <summary>
/// What a caller adds to the state of an execution: a browser's state, data they extracted, whether and how long it may be resumed from.
/// </summary>
internal sealed record ManualCheckpoint(JsonElement? SessionState, JsonElement? BrowserContext, JsonElement? ExtractedData, bool? CanResume, int? ExpiresInSeconds)
{
    private const int Longest = 365 * 24 * 3600;

    internal Problem? Problem => new Validation().MustBeObject("session_state", SessionState).MustBeObject("browser_context", BrowserContext)
        .MustBeObject("extracted_data", ExtractedData)
        .Check("expires_in_seconds", ExpiresInSeconds is null or (>= 1 and <= Longest), $"Must be between 1 and {Longest}.").Problem;
}

/// <summary>Records, at an operator's word, how far an execution has come, with what they add to it.</summary>
internal sealed class WriteCheckpoint(CheckpointStore checkpoints)
{
    internal async Task<Result<ExecutionCheckpoint>> RunAsync(Transaction tx, Guid executionId, ManualCheckpoint manual, CancellationToken ct)
    {
        if (await RequestLock.TakeAsync(tx, executionId, ct) is not { } item)
        {
            return Problem.NotFound("execution");
        }

        if (item.Status is QueueStatus.Completed or QueueStatus.Cancelled)
        {
            return Problem.Conflict("execution_over", "The execution is over.");
        }

        var latest = item.CheckpointId is { } id && await checkpoints.FindAsync(tx, item.Id, id, ct) is { } found ? StepSnapshot.Of(found) : StepSnapshot.Start;
        var written = checkpoints.Write(tx, item, "manual", latest with { ExtractedData = manual.ExtractedData ?? latest.ExtractedData }, new()
        {
            SessionState = manual.SessionState,
            BrowserContext = manual.BrowserContext,
            CanResume = manual.CanResume,
            Expires = manual.ExpiresInSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
        });
        return (await checkpoints.FindAsync(tx, item.Id, written, ct))!;
    }
}
