using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Execution;

/// <summary>What an action answered, or why there is no answer.</summary>
public sealed record ActionAnswer(JsonElement? Body, string? Error);

/// <summary>Asks an action that only reads, outside the queue: nothing is recorded, retried or undone.</summary>
public sealed class ReadAction
{
    private readonly HttpAction _http;

    internal ReadAction(HttpAction http) => _http = http;

    /// <summary>A GET that nobody has to approve or acknowledge.</summary>
    public static bool OnlyReads(ActionDefinition action) =>
        action is { ExecutionType: "http", ApiMethod: "GET", RequiresUserAcknowledgement: false } && action.Approval is not { ValueKind: JsonValueKind.Object };

    /// <summary>
    /// Data: what the endpoint's templates may use. The answer is judged by the action's criteria, and awaited for its time-out,
    /// <paramref name="mostSeconds"/> at most. <paramref name="key"/> is sent as idempotency key.
    /// </summary>
    public async Task<ActionAnswer> AskAsync(Guid tenantId, ActionDefinition action, JsonElement data, string key, int mostSeconds, CancellationToken ct)
    {
        if (EndpointClient.Unknown(action.ApiEndpoint!, data) is { } unknown)
        {
            return new(null, $"{unknown} is not known.");
        }

        var quick = action with { TimeoutSeconds = Math.Min(action.TimeoutSeconds, mostSeconds) };
        var result = await _http.CallAsync(tenantId, quick, new QueuedAction { ActionId = action.ActionId, IdempotencyKey = key }, data, ct);
        return result.Failure is { } failure ? new(null, failure.Message) : new(result.Value, null);
    }
}
