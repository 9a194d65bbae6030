using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tasks;

namespace AgentPlatform.Knowledge.Patterns;

/// <summary>
/// What an attempt at a task is told: of the member who put it up the success pattern that fits what the task says
/// (<c>execution_config</c> is its context, <c>metadata</c> its state), else the best action pattern.
/// </summary>
internal sealed class TaskGuides(ActionPatterns actions, SuccessPatterns successes) : ITaskGuides
{
    public async Task<TaskGuide?> FindAsync(Transaction tx, AgencyTask task, CancellationToken ct)
    {
        tx.Gather();
        var own = task.UserId is { } owner ? successes.MatchAsync(tx, owner, task.Kind, task.ExecutionConfig, task.Metadata, ct) : Task.FromResult<SuccessPattern?>(null);
        var best = actions.BestAsync(tx, task.Kind, task.PageUrl(), task.UserId, ct);
        await tx.AskAsync(ct);
        return await own is { } success ? new TaskGuide(success.Workflow) { SuccessPatternId = success.Id, Approach = success.SuccessfulApproach }
            : await best is { } pattern ? new TaskGuide(pattern.Steps) { ActionPatternId = pattern.Id }
            : null;
    }
}

internal static class TaskPage
{
    /// <summary>The page that a task is done on, where it names one.</summary>
    internal static string? PageUrl(this AgencyTask? task) =>
        task is not null && JsonPath.Find(task.ExecutionConfig, "page_url") is { ValueKind: JsonValueKind.String } url && url.GetString() is { Length: > 0 and <= 2000 } text ? text : null;
}
