using System.Text.Json;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Actions.Aftermath;

/// <summary>
/// Where an action that was given up is reported by itself: a POST to <see cref="Endpoint"/> (a URL with a literal host; templates see
/// <c>dead_letter</c>) whose answer holds the ticket's id at <see cref="TicketId"/>, default <c>ticket_id</c>. <see cref="AuthType"/> and
/// <see cref="Auth"/> are as an entry's <c>api_auth_type</c> and <c>api_auth</c>; default none.
/// <see cref="Idempotent"/>: the endpoint honours our Idempotency-Key, and may be called again when an answer was lost.
/// </summary>
internal sealed record EscalationPolicy(string? Endpoint, JsonElement? Body, string? TicketId, string? AuthType, JsonElement? Auth, bool Idempotent = false)
{
    internal static EscalationPolicy? Of(ActionDefinition? action) =>
        action?.Escalation is { ValueKind: JsonValueKind.Object } json ? Json.Read<EscalationPolicy>(json) : null;

    internal static IEnumerable<(string Field, string Message)> Errors(ActionDefinition action)
    {
        if (action.Escalation is not { ValueKind: not JsonValueKind.Null } json)
        {
            yield break;
        }

        if (RegistryRules.TryRead<EscalationPolicy>(json) is not { } policy)
        {
            yield return ("escalation", "Must be an object with endpoint, body, ticket_id, auth_type, auth and idempotent.");
        }
        else if (!RegistryRules.HasLiteralHost(policy.Endpoint))
        {
            yield return ("escalation", "endpoint must be an http(s) URL whose host is literal; expressions may follow after it.");
        }
        else if (policy.AuthType is { } type && (!RegistryRules.AuthTypes.Contains(type, StringComparer.Ordinal)
            || (type != "none" && JsonPath.Find(policy.Auth ?? Parameters.None, "secret") is not { ValueKind: JsonValueKind.String })))
        {
            yield return ("escalation", $"auth_type must be one of {string.Join(", ", RegistryRules.AuthTypes)}, and auth must name the secret: {{\"secret\": \"name\"}}.");
        }
        else if (RegistryRules.Strings(policy.Body ?? Parameters.None).Prepend(policy.Endpoint!).Select(Templates.Error).FirstOrDefault(error => error is not null) is { } message)
        {
            yield return ("escalation", message);
        }
    }
}

internal sealed record EscalationWork(string QueueId);

/// <summary>Reports a dead letter to the endpoint of its action's registry entry, once, and keeps the ticket's id.</summary>
internal sealed class EscalateFailure(
    Database database, ActionRegistry registry, ActionQueue queue, DeadLetters deadLetters, ActionEffects effects, HttpAction http, ContactDirectory contacts) : IWorkHandler
{
    internal const string WorkKind = "actions.escalation";

    public async Task<WorkOutcome> HandleAsync(WorkItem work, CancellationToken ct)
    {
        if (await BeginAsync(work, ct) is not { } begun)
        {
            return new WorkOutcome.Cancel("There is nothing to report, or a report may have arrived and only a person can tell.");
        }

        var answer = await http.CallAsync(work.TenantId, begun.Call, begun.Item, begun.Data, ct);
        await using var tx = database.Begin(Actor.System(work.TenantId));
        effects.SettleEscalation(tx, begun.Item.Id, answer);
        if (answer.Failure is null)
        {
            await deadLetters.EscalateAsync(tx, begun.Letter.DlqId, Ticket(answer.Value, begun), ct);
        }

        var outcome = Outcome(answer, begun.Policy);
        work.Settle(tx, outcome);
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    /// <summary>Pure: a refusal will not change; a lost answer is not asked for twice where that could make two tickets.</summary>
    internal static WorkOutcome Outcome(ActionResult answer, EscalationPolicy policy) => answer.Failure switch
    {
        null => new WorkOutcome.Done(),
        { Kind: ErrorKind.ApiRejected or ErrorKind.Configuration } failure => new WorkOutcome.Dead(failure.Message),
        { } failure when answer.Effect == "unknown" && !policy.Idempotent => new WorkOutcome.Dead($"{failure.Message} The report may have arrived."),
        { } failure => new WorkOutcome.Retry(failure.Message),
    };

    private async Task<Begun?> BeginAsync(WorkItem work, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(work.TenantId));
        if (await deadLetters.OfRequestAsync(tx, work.Read<EscalationWork>().QueueId, ct) is not { Resolved: false, EscalatedToSupport: false } letter
            || await queue.OfQueueIdAsync(tx, letter.OriginalQueueId, ct) is not { } item
            || await registry.FindAsync(tx, letter.AgentId, letter.ActionId, ct) is not { } action
            || EscalationPolicy.Of(action) is not { } policy
            || (await effects.EscalationAsync(tx, item.Id, ct) is { IsOpen: true } && !policy.Idempotent))
        {
            return null;
        }

        var call = action with
        {
            ApiMethod = "POST",
            ApiEndpoint = policy.Endpoint,
            ApiBody = policy.Body,
            ApiHeaders = Parameters.None,
            ApiAuthType = policy.AuthType ?? "none",
            ApiAuth = policy.Auth ?? Parameters.None,
            SuccessCriteria = null,
            FailureCriteria = null,
        };
        var report = Json.Of(letter);
        var reported = item with { IdempotencyKey = $"{letter.DlqId}:escalation", ParamsCollected = report };
        effects.BeginEscalation(tx, reported, call);
        var data = TemplateData.OfLetter(item, await contacts.FindAsync(tx, item.ContactId, ct), report);
        await tx.CommitAsync(ct);
        return new(letter, policy, call, reported, data);
    }

    private static string Ticket(JsonElement answer, Begun begun) =>
        JsonPath.Find(answer, begun.Policy.TicketId ?? "ticket_id") is { ValueKind: JsonValueKind.String or JsonValueKind.Number } ticket ? ticket.ToString() : begun.Letter.DlqId;

    private sealed record Begun(DeadLetter Letter, EscalationPolicy Policy, ActionDefinition Call, QueuedAction Item, JsonElement Data);
}
