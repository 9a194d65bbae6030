using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Actions.Execution;

/// <summary>The kinds of action that only write here: they happen in the transaction that settles them.</summary>
internal sealed class LocalActions(ContactDirectory contacts, ConversationLog conversations)
{
    /// <summary>
    /// <c>reply</c> succeeds with its parameters as the result; <c>set_field</c> writes every parameter into the contact's field of the
    /// same name; <c>handoff</c> gives the conversation to a human.
    /// </summary>
    internal async Task<ActionResult> RunAsync(Transaction tx, ActionDefinition action, QueuedAction item, Contact? contact, CancellationToken ct)
    {
        if (contact is null)
        {
            return ActionResult.Failed(new(ErrorKind.Configuration, "The contact no longer exists."));
        }

        switch (action.ExecutionType)
        {
            case "set_field":
                return await SetFieldsAsync(tx, item, contact, ct);
            case "handoff":
                await conversations.HandOverAsync(tx, item.ConversationId, action.ActionId, ct);
                return new(Json.Of(new { handled_by = "human" }));
            default:
                return new(item.ParamsCollected);
        }
    }

    private async Task<ActionResult> SetFieldsAsync(Transaction tx, QueuedAction item, Contact contact, CancellationToken ct)
    {
        foreach (var field in item.ParamsCollected.EnumerateObject())
        {
            var text = field.Value.ValueKind == JsonValueKind.String ? field.Value.GetString() : field.Value.GetRawText();
            var written = await contacts.SetFieldAsync(tx, contact.Id, new FieldWrite(field.Name, text, FieldWrite.UserProvided) { ConversationId = item.ConversationId }, ct);
            if (!written.IsOk)
            {
                return ActionResult.Failed(new(ErrorKind.ApiRejected, written.Problem.Detail ?? written.Problem.Title) { Code = written.Problem.Code });
            }
        }

        return new(item.ParamsCollected);
    }
}
