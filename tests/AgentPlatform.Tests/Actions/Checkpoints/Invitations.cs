using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Checkpoints;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Work;

namespace AgentPlatform.Tests.Actions.Checkpoints;

/// <summary>An action that makes one call per guest, over a talk that an operator orders it in.</summary>
internal static class Invitations
{
    internal static readonly ActionDefinition Invite = new()
    {
        ActionId = "invite",
        ActionName = "invite the guests",
        ParamsRequired = Json.Of(new[] { "guests" }),
        ParamValidation = Json.Of(new { guests = new { type = "array", min_items = 1 } }),
        ExecutionType = "http",
        ApiMethod = "POST",
        ApiEndpoint = "{endpoint}/invitations/{{step}}",
        ApiIdempotent = true,
        TimeoutSeconds = 5,
        ForEach = Json.Of(new { param = "guests", phase = "region", extract = new { tickets = "id" } }),
        ResponseTemplate = "{{result.count}} invited",
    };

    internal static object Guest(string name, string region) => new { name, region };

    internal static Task<QueuedAction> OrderAsync(this Talk talk, params object[] guests) => talk.OrderAsync("invite", guests);

    internal static async Task<QueuedAction> OrderAsync(this Talk talk, string actionId, object[] guests)
    {
        var session = await talk.SessionAsync();
        return await talk.InAsync(async tx => await talk.Platform.Get<ActionQueue>().EnqueueAsync(tx, new ActionRequest(
            (await talk.Platform.Get<ActionRegistry>().FindAsync(tx, talk.AgentId, actionId, default))!, session.SessionId, talk.ContactId, talk.ConversationId, $"invite:{guests.Length}")
        { Context = null, Params = Json.Of(new { guests }) }, default));
    }

    internal static async Task<QueuedAction> ItemAsync(this Talk talk, QueuedAction item) =>
        (await talk.InAsync(tx => talk.Platform.Get<ActionQueue>().FindAsync(tx, item.Id, default)))!;

    /// <summary>Oldest first.</summary>
    internal static Task<IReadOnlyList<ExecutionCheckpoint>> CheckpointsAsync(this Talk talk) => talk.InAsync(tx =>
        tx.QueryAsync<ExecutionCheckpoint>("SELECT * FROM actions.execution_checkpoints ORDER BY id", [], default));

    /// <summary>The paths that were called, in order.</summary>
    internal static IEnumerable<string> Called(this Talk talk) => talk.Endpoint.Requests.Select(r => r.Target.Split('/')[^1]);

    internal static IEnumerable<string?> Names(this Talk talk) => talk.Endpoint.Requests.Select(r => JsonDocument.Parse(r.Body).RootElement.GetProperty("name").GetString());

    /// <summary>A worker takes the request and is gone in the middle of the call that hangs.</summary>
    internal static async Task DieAsync(this Talk talk, QueuedAction item, CancellationTokenSource died)
    {
        var work = new WorkItem(1, talk.Actor.TenantId, ActionsModule.WorkKind, item.Id.ToString(), Json.Of(ActionWork.Of(item)), 1, 25, 0, 1, item.AddedAt);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => talk.Platform.Get<ExecuteAction>().HandleAsync(work, died.Token));
    }
}
