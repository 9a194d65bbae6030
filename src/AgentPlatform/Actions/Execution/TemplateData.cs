using System.Text.Json;
using AgentPlatform.Actions.Checkpoints;
using AgentPlatform.Actions.Controls;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Execution;

/// <summary>What the templates of an action may use.</summary>
internal static class TemplateData
{
    /// <summary>
    /// <c>params</c> (also at the top level), the contact's own data, and what was left for this attempt: an operator's <c>instruction</c>, the
    /// <c>checkpoint</c> of a pause, and the browser state (<c>session_state</c>, <c>browser_context</c>) of the checkpoint it goes on from.
    /// </summary>
    internal static JsonElement Of(
        QueuedAction item, Contact? contact, JsonElement? result = null, ExecutionControl? control = null, ExecutionCheckpoint? checkpoint = null) =>
        Json.Of(Values(item, contact, result, control, checkpoint));

    /// <summary>The same for one step: <c>item</c> is the list's element, <c>step</c> counts from 0, and <c>idempotency_key</c> is the step's own.</summary>
    internal static JsonElement OfStep(JsonElement data, JsonElement element, int step, string idempotencyKey)
    {
        var values = data.EnumerateObject().ToDictionary(p => p.Name, p => (object?)p.Value, StringComparer.Ordinal);
        (values["item"], values["step"], values["idempotency_key"]) = (element, step, idempotencyKey);
        return Json.Of(values);
    }

    /// <summary>The same for the report of a dead letter, with the letter as <c>dead_letter</c>.</summary>
    internal static JsonElement OfLetter(QueuedAction item, Contact? contact, JsonElement letter)
    {
        var values = Values(item, contact, null, null, null);
        values["dead_letter"] = letter;
        return Json.Of(values);
    }

    /// <summary>The contact's own data.</summary>
    internal static object Of(Contact contact) => new
    {
        contact.Id,
        contact.ExternalId,
        contact.FirstName,
        contact.LastName,
        contact.Company,
        contact.Title,
        contact.Email,
        contact.PhoneNumber,
        contact.LinkedinUrl,
        contact.Verified,
    };

    private static Dictionary<string, object?> Values(QueuedAction item, Contact? contact, JsonElement? result, ExecutionControl? control, ExecutionCheckpoint? checkpoint)
    {
        var data = item.ParamsCollected.ValueKind == JsonValueKind.Object
            ? item.ParamsCollected.EnumerateObject().ToDictionary(p => p.Name, p => (object?)p.Value, StringComparer.Ordinal)
            : new Dictionary<string, object?>(StringComparer.Ordinal);
        data["params"] = item.ParamsCollected;
        data["contact"] = contact is null ? null : Of(contact);
        data["queue_id"] = item.QueueId;
        data["idempotency_key"] = item.IdempotencyKey;
        data["conversation_id"] = item.ConversationId;
        data["result"] = result;
        foreach (var (name, value) in new (string, object?)[]
        {
            ("instruction", control?.InjectedInstruction), ("checkpoint", control?.CheckpointData),
            ("session_state", checkpoint?.SessionState), ("browser_context", checkpoint?.BrowserContext),
        })
        {
            if (value is not null)
            {
                data[name] = value;
            }
        }

        return data;
    }
}
