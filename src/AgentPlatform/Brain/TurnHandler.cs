using AgentPlatform.Actions;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Agents.Variables;
using AgentPlatform.Brain.Instances;
using AgentPlatform.Brain.Nlu.Models;
using AgentPlatform.Brain.Resolving;
using AgentPlatform.Brain.Rules;
using AgentPlatform.Brain.Scenarios;
using AgentPlatform.Brain.Shadows;
using AgentPlatform.Brain.Thinking;
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

/// <summary>What intake leaves for a turn. Contact and agent are who they were then.</summary>
internal sealed record TurnWork(Guid MessageId, Guid ConversationId, Guid? InboundMessageId = null, Guid? ContactId = null, Guid? AgentId = null);

/// <summary>
/// One turn of a conversation: loads, decides, applies, all in the transaction that settles the work item, so a turn happens once or
/// not at all. Messages that arrived while it waited are answered together. A turn that asks a language model ends its transaction before the
/// call, and is taken again with the answer.
/// </summary>
internal sealed class TurnHandler(
    Database database, ConversationLog conversations, SessionStore sessions, ContactDirectory contacts, AgentDirectory agents, IntentModels models,
    ScenarioPlaces places, AgentBooks books, ServingInstance serving, ResolveVariables resolve, ConsultModel consult, DraftReply drafting, EmailProofs proofs,
    ApplyTurn apply, SampleTurn sample, ApprovalCodes approvals, InboundMessages inbound, EventStore events, TimeProvider clock, IOptions<BrainOptions> options,
    ILogger<TurnHandler> log) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var work = item.Read<TurnWork>();
        IReadOnlyDictionary<string, ResolvedVariable> learned = new Dictionary<string, ResolvedVariable>(StringComparer.Ordinal);
        for (Guid? through = null; ;)
        {
            var (outcome, read, lacking) = await TakeAsync(item, work, through, learned, ct);
            if (outcome is not null)
            {
                return outcome;
            }

            through = read;
            learned = lacking is null ? learned : await resolve.AskAsync(item.TenantId, lacking, ct);
        }
    }

    /// <summary>
    /// No outcome: a model was asked, or answered earlier, and the turn is taken again with the messages through that one; or variables are lacking that
    /// tools have to be asked for first.
    /// </summary>
    private async Task<(WorkOutcome? Outcome, Guid? Through, ToResolve? Lacking)> TakeAsync(
        WorkItem item, TurnWork work, Guid? through, IReadOnlyDictionary<string, ResolvedVariable> learned, CancellationToken ct)
    {
        var actor = Actor.System(item.TenantId);
        await using var tx = database.Begin(actor);
        if (await LoadAsync(tx, work, through, ct) is not { } scene)
        {
            return (new WorkOutcome.Done(), null, null);
        }

        scene = scene with { Input = resolve.Know(scene.Input, learned) };
        if (await ApprovalAnswersAsync(tx, scene, ct) is { Count: > 0 } answered)
        {
            await apply.AnsweredAsync(tx, scene, string.Join('\n', answered), ct);
        }
        else if (resolve.Lacking(scene.Input, scene.Session.SessionId) is { } lacking)
        {
            // Nothing is decided yet, and nothing kept.
            return (null, scene.Messages[^1].Id, lacking);
        }
        else if (scene.Conversation.BotMayReply && scene.Input.Agent.Enabled)
        {
            var own = TurnDecision.Decide(scene.Input);
            switch (await consult.ConsiderAsync(tx, new(work.MessageId, scene.Conversation, scene.Input, [.. scene.Messages.Select(m => m.Id)]), own, ct))
            {
                case Thought.Decided decided:
                    await apply.RunAsync(tx, scene, decided.Envelope, ct);
                    sample.Take(tx, scene, own, decided.Envelope);
                    break;
                case Thought.Call call:
                    await tx.CommitAsync(ct);
                    await drafting.MakeAsync(actor, call.Prepared, ct);
                    return (null, scene.Messages[^1].Id, null);
                case Thought.Reread reread:
                    return (null, reread.ThroughId, null);
            }
        }
        else
        {
            await apply.ListenAsync(tx, scene, ct);
        }

        TellWhatWasLearned(tx, scene, learned);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        log.TurnTaken(scene.Conversation.Id, scene.Input.Turn, scene.Messages.Count);
        return (WorkOutcome.Settled, null, null);
    }

    private void TellWhatWasLearned(Transaction tx, TurnScene scene, IReadOnlyDictionary<string, ResolvedVariable> learned)
    {
        if (learned.Count > 0)
        {
            var variables = learned.Select(one => new { name = one.Key, one.Value.Tool, one.Value.Error });
            events.Append(tx, new NewEvent("variables.resolved", "conversation", scene.Conversation.Id, new { turn_number = scene.Input.Turn, variables }) { CreatedBy = "brain" });
        }
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
    private async Task<TurnScene?> LoadAsync(Transaction tx, TurnWork work, Guid? through, CancellationToken ct)
    {
        var began = clock.GetUtcNow();
        tx.Gather();
        var (unread, thread) = (conversations.UnreadAsync(tx, work.ConversationId, work.MessageId, ct), conversations.FindAsync(tx, work.ConversationId, ct));
        var running = sessions.TakeRunningAsync(tx, work.ConversationId, ct);
        var asking = KnownAsync(tx, work.ContactId, work.AgentId, ct);
        await tx.AskAsync(ct);
        // It may have more to ask, and the transaction must not end meanwhile.
        var known = await asking;
        var messages = Through(await unread, through);
        if (messages.Count == 0 || await thread is not { ContactId: { } contactId } conversation)
        {
            return null;
        }

        if (known is not { Contact: { } person, Agent: { } own } || person.Id != contactId || own.Id != conversation.AgentId)
        {
            known = await KnownAgainAsync(tx, conversation, ct);
        }

        var contact = known.Contact ?? throw new InvalidOperationException($"Conversation {conversation.Id} has lost its contact.");
        var address = new ChannelAddress(conversation.Channel, conversation.ParticipantIdentifier);
        var session = await running ?? await sessions.StartAsync(tx, conversation.Id, known.Agent!.Id, contact.Id, address, ct);
        (session, var place) = await places.FindAsync(tx, known.Book.Scenarios, session, ct);
        var proof = known.Agent!.VerifyEmail && !contact.Verified ? await proofs.LatestAsync(tx, contact.Id, ct) : null;
        var input = Input(known, contact, conversation, session, place, messages) with { Proof = proof };
        return new(conversation, session, conversation.BotMayReply && input.Agent.Enabled ? await serving.ServeAsync(tx, known.Book, input, ct) : input, messages, began, known.Book);
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
