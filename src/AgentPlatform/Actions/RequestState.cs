using System.Text.Json;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Postgres;

namespace AgentPlatform.Actions;

/// <summary>What parameters and eligibility make of a request: blocked before pending, pending before ready.</summary>
internal sealed record RequestState(QueueStatus Status, ParameterCheck Check, Blocked? Blocked, JsonElement Params)
{
    internal static RequestState Decide(ParameterCheck check, Blocked? blocked, JsonElement values) => new(
        blocked is not null ? QueueStatus.Blocked : check.IsComplete ? QueueStatus.Ready : QueueStatus.Pending, check, blocked, values);

    internal static RequestState AwaitingApproval(ActionDefinition action, RequestState state, bool asks) =>
        asks && state.Status == QueueStatus.Ready && action.ApprovalPolicy is { } approval
            ? state with { Status = QueueStatus.Blocked, Blocked = approval.Wait(action) }
            : state;

    /// <summary>Whether a blocked request is to be written anew. What is still being looked up says nothing new of it.</summary>
    internal static bool Moves(QueuedAction item, Blocked? blocked) => blocked switch
    {
        null or { Reason: ApprovalPolicy.Awaiting } => true,
        { IsLookedUp: true } => false,
        _ => blocked.Reason != item.BlockerReason || !JsonElement.DeepEquals(blocked.Stored, item.BlockerDetails!.Value),
    };
}

/// <summary>Asks what <see cref="RequestState.Decide"/> needs to know; what an action does not depend on is not asked for.</summary>
internal sealed class RequestStates(ISchemaSource schemas)
{
    internal async Task<RequestState> OfAsync(
        Transaction tx, ActionDefinition action, (Guid SessionId, Guid ContactId) of, EligibilityContext who, JsonElement values, CancellationToken ct)
    {
        var completed = action.DependsOn.Count == 0 ? []
            : await tx.QueryAsync<string>(Sql.CompletedOf, [of.ContactId, action.DependsOn.ToArray()], ct);
        var known = Eligibility.SchemasOf(action) is { Count: > 0 } needed ? await schemas.ReadAsync(tx, of.SessionId, needed, ct) : SchemaReading.None;
        return RequestState.AwaitingApproval(action, RequestState.Decide(Parameters.Check(action, values), Eligibility.Decide(action, who, completed, known), values), asks: true);
    }

    private static class Sql
    {
        internal const string CompletedOf =
            "SELECT DISTINCT action_id FROM actions.action_queue WHERE contact_id = $1 AND action_id = ANY ($2) AND status = 'completed'";
    }
}
