using AgentPlatform.Actions.Approvals;
using AgentPlatform.Brain.Applying;
using AgentPlatform.Brain.Resolving;
using AgentPlatform.Brain.Shadows;
using AgentPlatform.Brain.Thinking;
using AgentPlatform.Channels;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Brain;

/// <summary>What intake leaves for a turn. Contact and agent are who they were then.</summary>
internal sealed record TurnWork(Guid MessageId, Guid ConversationId, Guid? InboundMessageId = null, Guid? ContactId = null, Guid? AgentId = null);

/// <summary>
/// One turn of a conversation: loads, decides, applies, all in the transaction that settles the work item, so a turn happens once or
/// not at all. Messages that arrived while it waited are answered together. A turn that asks a language model ends its transaction before the
/// call, and is taken again with the answer.
/// </summary>
internal sealed class TurnHandler(
    Database database, TurnScenes scenes, ResolveVariables resolve, ConsultModel consult, DraftReply drafting, ApplyTurn apply, SampleTurn sample, ApprovalCodes approvals,
    InboundMessages inbound, EventStore events, ILogger<TurnHandler> log) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var work = item.Read<TurnWork>();
        IReadOnlyDictionary<string, ResolvedVariable> learned = new Dictionary<string, ResolvedVariable>(StringComparer.Ordinal);
        Again? again = null;
        do
        {
            learned = again?.Lacking is { } lacking ? await resolve.AskAsync(item.TenantId, lacking, ct) : learned;
            again = await TakeAsync(item, work, again?.ThroughId, learned, ct);
        }
        while (again is not null);

        return item.Settled is null ? new WorkOutcome.Done() : WorkOutcome.Settled;
    }

    /// <summary>Null when it was taken, or there was nothing to take.</summary>
    private async Task<Again?> TakeAsync(
        WorkItem item, TurnWork work, Guid? through, IReadOnlyDictionary<string, ResolvedVariable> learned, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        if (await scenes.LoadAsync(tx, work, through, ct) is not { } scene)
        {
            return null;
        }

        scene = scene with { Input = resolve.Know(scene.Input, learned) };
        var (answered, alike) = await ApprovalAnswersAsync(tx, scene, ct);
        if (alike < scene.Messages.Count)
        {
            // What was said besides is a turn of its own: nothing is kept of this one.
            return new Again(scene.Messages[alike - 1].Id);
        }

        if (answered.Count > 0)
        {
            await apply.AnsweredAsync(tx, scene, string.Join('\n', answered), ct);
        }
        else if (resolve.Lacking(scene.Input, scene.Session.SessionId) is { } lacking)
        {
            // Nothing is decided yet, and nothing kept.
            return new Again(scene.Messages[^1].Id, lacking);
        }
        else if (!scene.Conversation.BotMayReply || !scene.Input.Agent.Enabled)
        {
            await apply.ListenAsync(tx, scene, ct);
        }
        else if (await ReplyAsync(tx, work, scene, ct) is { } again)
        {
            return again;
        }

        TellWhatWasLearned(tx, scene, learned);
        item.Settle(tx, new WorkOutcome.Done());
        // What it decided leaves with later transactions, which are flushed; until one is, a lost turn is taken again.
        tx.FlushLater();
        await tx.CommitAsync(ct);
        log.TurnTaken(scene.Conversation.Id, scene.Input.Turn, scene.Messages.Count);
        return null;
    }

    private async Task<Again?> ReplyAsync(Transaction tx, TurnWork work, TurnScene scene, CancellationToken ct)
    {
        var own = TurnDecision.Decide(scene.Input);
        switch (await consult.ConsiderAsync(tx, new(work.MessageId, scene.Conversation, scene.Session.SessionId, scene.Input, [.. scene.Messages.Select(m => m.Id)]), own, ct))
        {
            case Thought.Call call:
                await tx.CommitAsync(ct);
                await drafting.MakeAsync(tx.Actor!, call.Prepared, ct);
                return new Again(scene.Messages[^1].Id);
            case Thought.Reread reread:
                return new Again(reread.ThroughId);
            case Thought.Decided decided:
                await apply.RunAsync(tx, scene, decided.Envelope, ct);
                sample.Take(tx, scene, own, decided.Envelope);
                break;
        }

        return null;
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

    /// <summary>
    /// The words of thanks for answers to approvals, and how many of the first messages are alike: all such answers, or none. A colleague may answer an
    /// approval in a conversation that is not the bot's, too. Only what a provider brought from their address is theirs: members may write into any
    /// conversation in a contact's place.
    /// </summary>
    private async Task<(IReadOnlyList<string> Said, int Alike)> ApprovalAnswersAsync(Transaction tx, TurnScene scene, CancellationToken ct)
    {
        var said = new List<string>();
        var from = new ChannelAddress(scene.Conversation.Channel, scene.Conversation.ParticipantIdentifier);
        for (var i = 0; i < scene.Messages.Count; i++)
        {
            var message = scene.Messages[i];
            var answer = message.InboundMessageId is null ? null : await approvals.AnswerAsync(tx, from, message.Content, ct);
            if ((answer is null ? 0 : i) != said.Count)
            {
                return (said, i);
            }

            if (answer is not null)
            {
                said.Add(answer);
            }
        }

        return (said, scene.Messages.Count);
    }

    /// <summary>
    /// The turn is to be taken again, with the messages through that one: a model was asked, or has answered earlier, or variables are lacking that tools
    /// have to be asked for first.
    /// </summary>
    private sealed record Again(Guid ThroughId, ToResolve? Lacking = null);
}
