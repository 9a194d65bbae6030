using AgentPlatform.Actions;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain.Nlu.Models;
using AgentPlatform.Channels;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Brain;

/// <summary>What intake leaves for a turn.</summary>
internal sealed record TurnWork(Guid MessageId, Guid ConversationId, Guid? InboundMessageId = null);

/// <summary>
/// One turn of a conversation: loads, decides, applies, all in the transaction that settles the work item, so a turn happens once or
/// not at all. Messages that arrived while it waited are answered together.
/// </summary>
internal sealed class TurnHandler(
    Database database, ConversationLog conversations, SessionStore sessions, ContactDirectory contacts, AgentDirectory agents, ActionRegistry registry, IntentModels models,
    ApplyTurn apply, ApprovalCodes approvals, InboundMessages inbound, EventStore events, TimeProvider clock, IOptions<BrainOptions> options, ILogger<TurnHandler> log) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var work = item.Read<TurnWork>();
        await using var tx = database.Begin(Actor.System(item.TenantId));
        if (await LoadAsync(tx, work, ct) is not { } scene)
        {
            return new WorkOutcome.Done();
        }

        if (await ApprovalAnswersAsync(tx, scene, ct) is { Count: > 0 } answered)
        {
            await apply.AnsweredAsync(tx, scene, string.Join('\n', answered), ct);
        }
        else if (scene.Conversation.BotMayReply && scene.Input.Agent.Enabled)
        {
            await apply.RunAsync(tx, scene, TurnDecision.Decide(scene.Input), ct);
        }
        else
        {
            await apply.ListenAsync(tx, scene, ct);
        }

        await item.SettleAsync(tx, new WorkOutcome.Done(), ct);
        await tx.CommitAsync(ct);
        log.TurnTaken(scene.Conversation.Id, scene.Input.Turn, scene.Messages.Count);
        return WorkOutcome.Settled;
    }

    public Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct)
    {
        var work = item.Read<TurnWork>();
        if (work.InboundMessageId is { } id)
        {
            inbound.Failed(tx, [id], error);
        }

        events.Append(tx, new NewEvent("turn.failed", "conversation", work.ConversationId, new { message_id = work.MessageId, error }) { CreatedBy = "brain" });
        return Task.CompletedTask;
    }

    /// <summary>A colleague may answer an approval in a conversation that is not the bot's, too.</summary>
    private async Task<IReadOnlyList<string>> ApprovalAnswersAsync(Transaction tx, TurnScene scene, CancellationToken ct)
    {
        var said = new List<string>();
        var from = new ChannelAddress(scene.Conversation.Channel, scene.Conversation.ParticipantIdentifier);
        foreach (var message in scene.Messages)
        {
            if (await approvals.AnswerAsync(tx, from, message.Content, ct) is { } answer)
            {
                said.Add(answer);
            }
        }

        return said;
    }

    /// <summary>Null when an earlier turn has read the message already, or the conversation is gone.</summary>
    private async Task<TurnScene?> LoadAsync(Transaction tx, TurnWork work, CancellationToken ct)
    {
        var began = clock.GetUtcNow();
        tx.Gather();
        var (unread, thread) = (conversations.UnreadAsync(tx, work.ConversationId, work.MessageId, ct), conversations.FindAsync(tx, work.ConversationId, ct));
        await tx.AskAsync(ct);
        var messages = await unread;
        if (messages.Count == 0 || await thread is not { ContactId: { } contactId } conversation)
        {
            return null;
        }

        tx.Gather();
        var (person, ownAgent) = (contacts.FindAsync(tx, contactId, ct), agents.FindAsync(tx, conversation.AgentId ?? Guid.Empty, ct));
        await tx.AskAsync(ct);
        var contact = await person ?? throw new InvalidOperationException($"Conversation {conversation.Id} has lost its contact.");
        var agent = await ownAgent ?? await agents.DefaultAsync(tx, ct);

        tx.Gather();
        var (actions, priorities) = (registry.ActiveAsync(tx, agent.Id, ct), contacts.TopPrioritiesAsync(tx, contact.Id, ct));
        var model = models.CurrentAsync(tx, agent.Id, ct);
        var optedOut = contacts.IsOptedOutAsync(tx, contact.Id, conversation.Channel, ct);
        var running = sessions.LoadOrStartAsync(tx, conversation.Id, agent.Id, contact.Id, new ChannelAddress(conversation.Channel, conversation.ParticipantIdentifier), ct);
        await tx.AskAsync(ct);
        var session = await running;
        var input = new TurnInput
        {
            Messages = [.. messages.Select(m => m.Content)],
            Text = string.Join('\n', messages.Select(m => m.Content)),
            Channel = conversation.Channel,
            Turn = session.NextTurnNumber,
            Today = Today(contact),
            State = session.State,
            Contact = contact,
            Agent = agent,
            Actions = await actions,
            Model = await model,
            Priorities = contact.Verified ? await priorities : [],
            OptedOut = await optedOut,
            RequireConfirmation = conversation.RequireConfirmation,
            MakesTasks = agent.AutoCreateTasks && conversation.AutoCreateTasks,
            InboundMessageId = messages[^1].InboundMessageId,
            Options = options.Value,
        };
        return new(conversation, session, input, messages, began);
    }

    private DateOnly Today(Contact contact)
    {
        var now = clock.GetUtcNow();
        return DateOnly.FromDateTime(contact.Timezone is { } zone && TimeZoneInfo.TryFindSystemTimeZoneById(zone, out var found) ? TimeZoneInfo.ConvertTime(now, found).DateTime : now.UtcDateTime);
    }
}
