using AgentPlatform.Actions;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Brain.Instances;
using AgentPlatform.Brain.Nlu.Models;
using AgentPlatform.Brain.Rules;
using AgentPlatform.Brain.Scenarios;
using AgentPlatform.Brain.Verification;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Brain;

/// <summary>
/// Loads what a turn is about. Contact and agent are asked for together with the conversation, as intake knew them, and their session begins there where
/// none runs, so a turn begins after one round trip.
/// </summary>
internal sealed class TurnScenes(
    ConversationLog conversations, SessionStore sessions, ActionQueue queue, ContactDirectory contacts, AgentDirectory agents, IntentModels models,
    ScenarioPlaces places, AgentBooks books, ServingInstance serving, EmailProofs proofs, TimeProvider clock, IOptions<BrainOptions> options)
{
    /// <summary>Null when an earlier turn has read the message already, or the conversation is gone.</summary>
    internal async Task<TurnScene?> LoadAsync(Transaction tx, TurnWork work, Guid? through, CancellationToken ct)
    {
        var began = clock.GetUtcNow();
        tx.Gather();
        var (unread, thread) = (conversations.UnreadAsync(tx, work.ConversationId, work.MessageId, ct), conversations.FindAsync(tx, work.ConversationId, ct));
        var taking = sessions.TakeRunningOrStartAsync(tx, work.ConversationId, work.AgentId ?? Guid.Empty, work.ContactId ?? Guid.Empty, ct);
        var asking = KnownAsync(tx, work.ContactId, work.AgentId, ct);
        var requests = queue.HasAnyAsync(tx, work.ConversationId, work.ContactId ?? Guid.Empty, ct);
        await tx.AskAsync(ct);
        // It may have more to ask, and the transaction must not end meanwhile.
        var known = await asking;
        var messages = Through(await unread, through);
        if (messages.Count == 0 || await thread is not { ContactId: { } contactId } conversation)
        {
            return null;
        }

        var isAsKnown = known is { Contact: { } person, Agent: { } own } && person.Id == contactId && own.Id == conversation.AgentId;
        if (!isAsKnown)
        {
            known = await KnownAgainAsync(tx, conversation, ct);
        }

        var contact = known.Contact ?? throw new InvalidOperationException($"Conversation {conversation.Id} has lost its contact.");
        var address = new ChannelAddress(conversation.Channel, conversation.ParticipantIdentifier);
        var session = await taking ?? await sessions.LoadOrStartAsync(tx, conversation.Id, known.Agent!.Id, contact.Id, address, ct);
        (session, var place) = await places.FindAsync(tx, known.Book.Scenarios, session, ct);
        var proof = known.Agent!.VerifyEmail && !contact.Verified ? await proofs.LatestAsync(tx, contact.Id, ct) : null;
        var input = Input(known, contact, conversation, session, place, messages) with { Proof = proof };
        return new(conversation, session, conversation.BotMayReply && input.Agent.Enabled ? await serving.ServeAsync(tx, known.Book, input, ct) : input, messages, began, known.Book)
        {
            HasRequests = !isAsKnown || await requests,
        };
    }

    /// <summary>What came after a model was asked is answered by its own turn.</summary>
    private static IReadOnlyList<Message> Through(IReadOnlyList<Message> unread, Guid? through) =>
        unread.Select(m => m.Id).ToList().IndexOf(through ?? Guid.Empty) is >= 0 and var last ? [.. unread.Take(last + 1)] : unread;

    private TurnInput Input(Known known, Contact contact, Conversation conversation, ConversationSession session, ScenarioPlace? place, IReadOnlyList<Message> messages) => new()
    {
        Messages = [.. messages.Select(m => m.Content)],
        Text = string.Join('\n', messages.Select(m => m.Content)),
        Channel = conversation.Channel,
        Turn = session.NextTurnNumber,
        Today = Today(contact),
        Now = clock.GetUtcNow(),
        State = session.State,
        Contact = contact,
        Agent = known.Agent!,
        Actions = known.Book.Actions,
        Model = known.Model,
        Scenarios = known.Book.Scenarios,
        Declared = known.Book.Variables,
        Rules = known.Book.Rules,
        Foundation = known.Book.Foundation,
        Place = place,
        Variables = session.Variables,
        Priorities = contact.Verified ? known.Priorities : [],
        OptedOut = known.OptedOutOf.Contains(conversation.Channel),
        RequireConfirmation = conversation.RequireConfirmation,
        MakesTasks = known.Agent!.AutoCreateTasks && conversation.AutoCreateTasks,
        InboundMessageId = messages[^1].InboundMessageId,
        Options = options.Value,
    };

    /// <summary>Contact and agent as intake knew them, asked for together with the conversation, which nearly always still names them.</summary>
    private async Task<Known> KnownAsync(Transaction tx, Guid? contactId, Guid? agentId, CancellationToken ct)
    {
        var (contact, agent) = (contactId ?? Guid.Empty, agentId ?? Guid.Empty);
        var (person, own) = (contacts.FindAsync(tx, contact, ct), agents.FindAsync(tx, agent, ct));
        var (book, model, priorities) = (books.OfAgentAsync(tx, agent, ct), models.CurrentAsync(tx, agent, ct), contacts.TopPrioritiesAsync(tx, contact, ct));
        var optedOutOf = contacts.OptedOutOfAsync(tx, contact, ct);
        return new(await person, await own, await book, await model, await priorities, await optedOutOf);
    }

    private async Task<Known> KnownAgainAsync(Transaction tx, Conversation conversation, CancellationToken ct)
    {
        tx.Gather();
        var (person, own) = (contacts.FindAsync(tx, conversation.ContactId!.Value, ct), agents.FindAsync(tx, conversation.AgentId ?? Guid.Empty, ct));
        await tx.AskAsync(ct);
        var agent = await own ?? await agents.DefaultAsync(tx, ct);
        tx.Gather();
        var asking = KnownAsync(tx, (await person)?.Id, agent.Id, ct);
        await tx.AskAsync(ct);
        return await asking;
    }

    private sealed record Known(
        Contact? Contact, Agent? Agent, AgentBook Book, AgentModel? Model, IReadOnlyList<ContactPriority> Priorities, IReadOnlyList<string> OptedOutOf);

    private DateOnly Today(Contact contact)
    {
        var now = clock.GetUtcNow();
        return DateOnly.FromDateTime(contact.Timezone is { } zone && TimeZoneInfo.TryFindSystemTimeZoneById(zone, out var found) ? TimeZoneInfo.ConvertTime(now, found).DateTime : now.UtcDateTime);
    }
}
