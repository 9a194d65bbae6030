using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain.Applying;
using AgentPlatform.Brain.Rules;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using AgentPlatform.Tasks;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Brain.Feedback;

/// <summary>
/// What an action's progress means for the talk: its intent follows the queue item, the session learns of it, and the end of it is
/// told to the contact, all in the transaction that moves the item.
/// </summary>
internal sealed class ActionFeedback(
    IntentLedger ledger, ContactDirectory contacts, ConversationLog conversations, SessionMirror mirror, Outbox outbox, DeadLetters deadLetters,
    ActionQueue queue, AgentBooks books, IOptions<BrainOptions> options) : IActionListener
{
    public async Task ChangedAsync(Transaction tx, ActionChange change, CancellationToken ct)
    {
        var item = change.Item;
        // What a task ordered is told by the task, at its own end; of a workflow's steps, only what the registry has words for.
        var reply = item.Status is QueueStatus.Completed or QueueStatus.Failed && !TaskBoard.Ordered(item) && !IsSilentStep(change) && await conversations.FindAsync(tx, item.ConversationId, ct) is { } conversation
            ? await ReplyAsync(tx, change, conversation, ct)
            : null;
        MoveIntent(tx, change, reply);
        string? resume = null;
        await mirror.UpdateAsync(tx, item.SessionId, state =>
        {
            resume = state.ActiveTask is null ? NextState.Resume(state) : null;
            return After(state, change, reply);
        }, ct);
        if (reply?.Message is { } message)
        {
            outbox.Queue(tx, resume is null ? message : message with { Text = $"{message.Text}\n{resume}" });
        }

        if (item.Status == QueueStatus.Completed)
        {
            await FreeAsync(tx, item, ct);
        }
    }

    private static bool IsSilentStep(ActionChange change) =>
        change.Item.WorkflowInstanceId is not null && (change.Item.Status == QueueStatus.Failed || change.Definition?.ResponseTemplate is null);

    /// <summary>Pure: the session's state once an action has moved.</summary>
    internal static SessionState After(SessionState state, ActionChange change, Told? reply)
    {
        if (change.Item.Status is not (QueueStatus.Completed or QueueStatus.Failed))
        {
            return state;
        }

        var context = state.ConversationContext with { UserState = state.ActiveTask is null ? "browsing" : state.ConversationContext.UserState };
        var next = state with
        {
            ConversationContext = change.Item.Status == QueueStatus.Completed ? context with { LastAction = change.Item.ActionId } : context,
        };
        return reply?.Sheet is { } sheet && state.ActiveTask is null
            ? next with { AnswerSheet = sheet, AvailableSignals = Signals.Available(sheet), ExpectingResponse = true }
            : next;
    }

    private async Task<Told?> ReplyAsync(Transaction tx, ActionChange change, Conversation conversation, CancellationToken ct)
    {
        var contact = await contacts.FindAsync(tx, change.Item.ContactId, ct);
        var told = change.Item.Status == QueueStatus.Completed
            ? Response.Of(change.Item, change.Definition!, contact, options.Value.ListItems)
            : new Told("text", $"I am sorry, I could not {Requests.Lower(change.Definition?.Title ?? change.Item.ActionName ?? change.Item.ActionId)}. A colleague will look into it.", null);
        // Who hands a conversation over says so, although it is a colleague's by then.
        var mayReply = conversation.BotMayReply || (change.Item.Status == QueueStatus.Completed && change.Definition!.ExecutionType == "handoff");
        if (told.Text.Length == 0 || !mayReply || contact is null)
        {
            return told with { Text = "" };
        }

        var failed = change.Item.Status == QueueStatus.Failed;
        if (failed && !await deadLetters.NotifiedAsync(tx, change.Item.QueueId, told.Text, ct))
        {
            return told with { Text = "" };
        }

        var role = Persona.Of(contact, (await books.OfAgentAsync(tx, change.Item.AgentId, ct)).Actions);
        return told with { Message = new(contact.Id, conversation.Id, role, told.Text) { Priority = "high", IdempotencyKey = $"action:{change.Item.QueueId}{(failed ? ":failed" : "")}" } };
    }

    private void MoveIntent(Transaction tx, ActionChange change, Told? reply)
    {
        var item = change.Item;
        if (item.IntentId is null || IntentMove.Following(item.Status) is not { } status)
        {
            return;
        }

        ledger.Move(tx, item.IntentId, new IntentMove(status)
        {
            BlockedReason = item.BlockerReason,
            Resolution = item.Status == QueueStatus.Completed ? $"{item.ActionId} completed" : item.Status == QueueStatus.Cancelled ? "cancelled" : null,
            Error = change.Failure is { } failure && item.Status == QueueStatus.Failed ? $"{failure.Kind}: {failure.Message}" : null,
            ResponseType = reply?.Type,
            ResponseText = reply is { Text.Length: > 0 } ? reply.Text : null,
        });
    }

    /// <summary>What waited for this action, or for what it changed about the contact, is taken up again.</summary>
    private async Task FreeAsync(Transaction tx, QueuedAction item, CancellationToken ct)
    {
        if (await queue.HasBlockedAsync(tx, item.ContactId, ct) && await contacts.FindAsync(tx, item.ContactId, ct) is { } contact)
        {
            await queue.ReevaluateAsync(tx, contact.Id, Who.Of(contact, await mirror.StateAsync(tx, item.SessionId, ct)), ct);
        }
    }
}

/// <summary>What the contact is told about an action's end; with a list, how to pick from it.</summary>
internal sealed record Told(string Type, string Text, AnswerSheet? Sheet)
{
    /// <summary>The text on its way; null when nobody is to read it.</summary>
    internal OutgoingMessage? Message { get; init; }
}

/// <summary>Pure: the words for a result, from the registry's response template.</summary>
internal static class Response
{
    internal static Told Of(QueuedAction item, ActionDefinition action, Contact? contact, int listItems)
    {
        var result = item.Result ?? Parameters.None;
        var data = TemplateData.Of(item, contact, result);
        if (action.ResponseType == "none")
        {
            return new("none", "", null);
        }

        try
        {
            var text = action.ResponseTemplate is { } template ? Templates.Text(template, data).Trim() : "";
            return action.ResponseType == "list" ? List(action, result, text, listItems) : new("text", text.Length > 0 ? text : $"Done: {action.Title}.", null);
        }
        catch (TemplateException)
        {
            // The action has happened; that must be told even when its template cannot be rendered.
            return new("text", $"Done: {action.Title}.", null);
        }
    }

    private static Told List(ActionDefinition action, JsonElement result, string head, int listItems)
    {
        var items = Items(result).Take(listItems).ToList();
        if (items.Count == 0)
        {
            return new("list", "I found nothing that fits.", null);
        }

        var choices = items.Select(found => new Choice(Title(found), Item: found, Source: action.ActionId)).ToList();
        var opening = head.Length > 0 ? head : $"{action.Title}:";
        return new("list", $"{opening}\n{Requests.Numbered(choices.Select(c => c.Title))}", Requests.ChoiceSheet(choices));
    }

    /// <summary>The result itself, or the first list inside it.</summary>
    private static JsonElement[] Items(JsonElement result) => result.ValueKind switch
    {
        JsonValueKind.Array => [.. result.EnumerateArray()],
        JsonValueKind.Object => result.EnumerateObject().Select(p => p.Value).FirstOrDefault(value => value.ValueKind == JsonValueKind.Array) is { ValueKind: JsonValueKind.Array } list
            ? [.. list.EnumerateArray()]
            : [],
        _ => [],
    };

    /// <summary>Its label; else the texts of its first fields but ids and links.</summary>
    private static string Title(JsonElement item)
    {
        if (item.ValueKind != JsonValueKind.Object)
        {
            return item.ToString();
        }

        foreach (var name in new[] { "label", "summary" })
        {
            if (item.TryGetProperty(name, out var label) && label.ValueKind == JsonValueKind.String)
            {
                return label.GetString()!;
            }
        }

        var parts = item.EnumerateObject()
            .Where(p => p.Value.ValueKind == JsonValueKind.String && !p.Name.EndsWith("id", StringComparison.Ordinal) && !p.Name.EndsWith("url", StringComparison.Ordinal))
            .Take(3).Select(p => p.Value.GetString()!);
        return string.Join(", ", parts) is { Length: > 0 } joined ? joined : item.GetRawText();
    }
}
