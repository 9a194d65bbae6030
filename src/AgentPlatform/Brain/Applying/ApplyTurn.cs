using System.Diagnostics;
using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain.Rules;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Brain.Verification;
using AgentPlatform.Channels;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Memory.Episodes;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules;
using AgentPlatform.Tasks;
using AgentPlatform.Tenancy.Instances;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Brain.Applying;

/// <summary>Makes an envelope happen: every row of a turn in the one transaction that also settles its work item.</summary>
internal sealed class ApplyTurn(
    IntentLedger ledger, ActionQueue queue, KeepMemories memories, ConversationLog conversations, SessionStore sessions, SessionMirror mirror,
    TurnLog turns, TurnMemory memory, EventStore events, Outbox outbox, TaskQueue tasks, TaskBoard board, InboundMessages inbound, InstanceDirectory instances, TimeProvider clock,
    IOptions<BrainOptions> options)
{
    internal async Task RunAsync(Transaction tx, TurnScene scene, Envelope envelope, CancellationToken ct)
    {
        envelope = Wording.FallBack(scene.Input, envelope);
        Event(tx, scene, "turn.started", new { turn_number = scene.Input.Turn, role = envelope.Role, instance = scene.Input.Instance?.Name, messages = scene.Messages.Select(m => m.Id) });
        var open = envelope.Do.OfType<Step.Enqueue>().Select(step => step.Intent).ToHashSet();
        var intents = envelope.Intents.Select((intent, i) => Tell(tx, scene, intent, i + 1)).ToList();
        foreach (var i in open)
        {
            ledger.Log(tx, intents[i], scene.Place(i + 1), envelope.Intents[i]);
        }

        if (envelope.Rules.Count > 0)
        {
            Event(tx, scene, "rules.matched", new { turn_number = scene.Input.Turn, rules = envelope.Rules.Select(verdict => verdict.Record) });
        }

        var (contact, unproved) = await memories.KeepAsync(tx, scene, envelope.Remember, ct);
        envelope = unproved is null ? envelope : EmailStep.Unsent(envelope, unproved);
        var who = Who.Of(contact, scene.Input.State);
        var outcome = await DoAsync(tx, scene, envelope, intents, who, ct);
        var (waiting, requests) = await NextTaskAsync(tx, scene, envelope, who, ct);
        // The scenario asks: what is said next answers it, and not a request that waits as well. And whoever has just opted out is asked nothing.
        var task = envelope.Scenario?.Prompt is null && !envelope.Remember.Any(memory => memory is Memory.Consent { OptedOut: true }) ? waiting : null;
        var ask = envelope.Ask?.Text ?? task?.Question ?? (outcome.Runs ? null : envelope.Resume);
        var text = Word(tx, scene, envelope, string.Join('\n', envelope.Say.Concat(outcome.Say).Append(ask).Where(part => !string.IsNullOrWhiteSpace(part))));
        await HandOffAsync(tx, scene, envelope, ct);
        CloseIntents(tx, scene, envelope, intents, outcome, text);
        Reply(tx, scene, envelope, text);
        RemindOfOnboarding(tx, scene, task?.Task, ask);
        Record(tx, scene, envelope, outcome, text);
        var state = NextState.Of(scene.Input, envelope, intents, task?.Task, ask is not null, clock.GetUtcNow(), options.Value.RememberedIntents);
        await SaveAsync(tx, scene, envelope, Mirrored(scene, envelope, intents, state, requests), state, ct);
    }

    /// <summary>The conversation is not the bot's: what was said is recorded as a turn, and nobody answers. STOP holds all the same.</summary>
    internal async Task ListenAsync(Transaction tx, TurnScene scene, CancellationToken ct)
    {
        Event(tx, scene, "turn.started", new { turn_number = scene.Input.Turn, silent = true, messages = scene.Messages.Select(m => m.Id) });
        var id = clock.NewId();
        turns.Append(tx, new TurnRecord(id, scene.Session.SessionId, scene.Conversation.Id, scene.Input.Turn, scene.Input.Text));
        Remember(tx, scene, id, []);
        conversations.SetTurn(tx, scene.Session.SessionId, scene.Input.Turn, [.. scene.Messages.Select(m => m.Id)]);
        await memories.KeepAsync(tx, scene, TurnDecision.Consent(scene.Input), ct);
        inbound.Ignored(tx, InboundIds(scene));
        Event(tx, scene, "turn.completed", new { turn_number = scene.Input.Turn, silent = true, status = scene.Conversation.Status, handled_by = scene.Conversation.HandledBy });
        sessions.Save(tx, scene.Session with { State = await mirror.RefreshAsync(tx, scene.Session.SessionId, scene.Input.State, ct) });
    }

    /// <summary>The messages answered a question of ours and asked for nothing: there is a word of thanks, and no intent.</summary>
    internal async Task AnsweredAsync(Transaction tx, TurnScene scene, string thanks, CancellationToken ct)
    {
        Event(tx, scene, "turn.started", new { turn_number = scene.Input.Turn, role = "system", messages = scene.Messages.Select(m => m.Id) });
        var envelope = new Envelope("system");
        Reply(tx, scene, envelope, thanks);
        Record(tx, scene, envelope, new Outcome(), thanks);
        var latest = await sessions.PeekAsync(tx, scene.Session.SessionId, ct) ?? scene.Session;
        sessions.Save(tx, latest with { State = await mirror.RefreshAsync(tx, latest.SessionId, latest.State, ct) });
    }

    private string Word(Transaction tx, TurnScene scene, Envelope envelope, string text)
    {
        var words = Wording.Of(scene.Input, envelope, text);
        if (words.Template is { } template)
        {
            Event(tx, scene, "template.used", new { template_id = template.Id, name = template.Name, mode = template.Mode });
        }

        return words.Text;
    }

    private string Tell(Transaction tx, TurnScene scene, Intent intent, int sequence)
    {
        var id = ledger.NewId();
        Event(tx, scene, "intent.logged", new
        {
            intent_id = id,
            intent_type = intent.Type,
            canonical_intent = intent.Canonical,
            confidence = intent.Confidence,
            turn_number = scene.Input.Turn,
            sequence_order = sequence,
        });
        if (intent.MatchType is { } match)
        {
            Event(tx, scene, "action.matched", new { intent_id = id, action_id = intent.Canonical, match_type = match, confidence = intent.Confidence });
        }

        return id;
    }

    private async Task<Outcome> DoAsync(Transaction tx, TurnScene scene, Envelope envelope, List<string> intents, EligibilityContext who, CancellationToken ct)
    {
        var outcome = new Outcome();
        foreach (var step in envelope.Do)
        {
            switch (step)
            {
                case Step.Enqueue enqueue:
                    var item = await EnqueueAsync(tx, scene, enqueue, intents[enqueue.Intent], who, ct);
                    outcome.Queued[enqueue.Intent] = item;
                    Note(outcome, item);
                    break;
                case Step.Supply supply:
                    Note(outcome, await queue.SupplyAsync(tx, supply.QueuedId, supply.Values, who, ct));
                    break;
                case Step.Cancel cancel:
                    await queue.CancelAsync(tx, cancel.QueuedId, "cancelled by the contact", ct);
                    break;
                case Step.OpenTask open:
                    await board.RequestAsync(tx, scene.Conversation, open.Request, ct);
                    break;
            }
        }

        return outcome;
    }

    private static void Note(Outcome outcome, QueuedAction? item)
    {
        outcome.Runs |= item?.Status == QueueStatus.Ready;
        if (item is null)
        {
            outcome.Say.Add("That request is no longer open.");
        }
        else if (item.Status == QueueStatus.Blocked)
        {
            outcome.Say.Add(JsonPath.Find(item.BlockerDetails!.Value, "say")!.Value.GetString()!);
        }
    }

    private async Task<QueuedAction> EnqueueAsync(Transaction tx, TurnScene scene, Step.Enqueue step, string intentId, EligibilityContext who, CancellationToken ct)
    {
        // The key names the message and the place of the request in it: a turn that runs again asks for the same.
        var request = new ActionRequest(step.Action, scene.Session.SessionId, scene.Input.Contact.Id, scene.Conversation.Id, $"turn:{scene.Messages[0].Id:n}:{step.Intent + 1}")
        {
            Context = who,
            Params = step.Params,
            IntentId = intentId,
            TurnNumber = scene.Input.Turn,
            TraceId = Activity.Current?.TraceId.ToHexString() ?? scene.Messages[0].Id.ToString("n"),
            RequestId = intentId,
        };
        var item = await queue.EnqueueAsync(tx, request, ct);
        ledger.Move(tx, intentId, new IntentMove(IntentMove.Following(item.Status)!) { BlockedReason = item.BlockerReason, Triggered = step.Action.ActionId });
        return item;
    }

    /// <summary>
    /// What kept requests waiting may be over. The oldest that still waits for a parameter is the one that is asked about. The session's requests come along
    /// if this turn has changed none.
    /// </summary>
    private async Task<(Asking? Asking, IReadOnlyList<QueuedAction>? Requests)> NextTaskAsync(
        Transaction tx, TurnScene scene, Envelope envelope, EligibilityContext who, CancellationToken ct)
    {
        if (!scene.HasRequests && envelope.Do.Count == 0)
        {
            return (envelope.Task is { } asked ? new(asked, null) : null, []);
        }

        tx.Gather();
        var (waiting, freeing) = (queue.OfSessionAsync(tx, scene.Session.SessionId, ct), queue.ReevaluateAsync(tx, scene.Input.Contact.Id, who, ct));
        await tx.AskAsync(ct);
        var (requests, freed) = (await waiting, await freeing);
        var changed = envelope.Do.Count > 0 || freed.Count > 0;
        if (envelope.Task is { } own)
        {
            return (new(own, null), changed ? null : requests);
        }

        var open = requests.Concat(freed).Where(q => q.Status == QueueStatus.Pending).ToLookup(Abandoned);
        foreach (var abandoned in open[true])
        {
            await queue.CancelAsync(tx, abandoned.Id, "abandoned", ct);
            changed = true;
        }

        var pending = open[false].MinBy(q => q.AddedAt);
        if (pending is null || scene.Input.FindAction(pending.ActionId) is not { } action)
        {
            return (null, changed ? null : requests);
        }

        var (name, text) = Waiting.Next(pending, action);
        return (new(Waiting.Task(pending, name), text), changed ? null : requests);
    }

    private bool Abandoned(QueuedAction item) => item.UpdatedAt < clock.GetUtcNow().AddMinutes(-options.Value.AbandonMinutes);

    private async Task HandOffAsync(Transaction tx, TurnScene scene, Envelope envelope, CancellationToken ct)
    {
        if (envelope.Handoff is { } reason)
        {
            await conversations.HandOverAsync(tx, scene.Conversation.Id, reason, ct);
        }
    }

    /// <summary>Intents that an action will settle stay open; all others end with their turn.</summary>
    private void CloseIntents(Transaction tx, TurnScene scene, Envelope envelope, List<string> intents, Outcome outcome, string text)
    {
        for (var i = 0; i < intents.Count; i++)
        {
            var intent = envelope.Intents[i];
            if (outcome.Queued.TryGetValue(i, out var item))
            {
                if (item.Status is QueueStatus.Pending or QueueStatus.Blocked)
                {
                    ledger.Move(tx, intents[i], new IntentMove(IntentMove.Following(item.Status)!)
                    {
                        BlockedReason = item.BlockerReason,
                        ResponseType = item.Status == QueueStatus.Pending ? "question" : "text",
                        ResponseText = text,
                    });
                }

                continue;
            }

            ledger.Log(tx, intents[i], scene.Place(i + 1), intent, End(intent, text));
        }
    }

    private static IntentMove End(Intent intent, string text)
    {
        var notFound = intent.MatchType == ActionMatch.NotFound;
        return new(notFound ? "action_not_found" : "completed")
        {
            Resolution = notFound ? null : intent.Resolution ?? "answered",
            ResponseType = intent.ResponseType,
            ResponseText = text.Length > 0 ? text : null,
        };
    }

    private void Reply(Transaction tx, TurnScene scene, Envelope envelope, string text)
    {
        if (text.Length > 0)
        {
            outbox.Queue(tx, new OutgoingMessage(scene.Input.Contact.Id, scene.Conversation.Id, envelope.Role, text)
            {
                InReplyToInboundId = scene.Messages[^1].InboundMessageId,
                Priority = "high",
                IdempotencyKey = $"turn:{scene.Messages[0].Id:n}",
                EvenIfOptedOut = envelope.EvenIfOptedOut,
            });
        }
    }

    /// <summary>Looked at a day later: whoever has written since is not reminded, so only the last question of a talk can lead to one.</summary>
    private void RemindOfOnboarding(Transaction tx, TurnScene scene, ActiveTask? task, string? question)
    {
        if (task is { CanonicalAction: Onboarding.ActionId, ParamsMissing: [var step, ..] })
        {
            tasks.Enqueue(tx, new NewAgentTask(FollowUp.ReEngagementCheck, Persona.Bouncer, new FollowUpContext(scene.Conversation.Id, step, question))
            {
                ContactId = scene.Input.Contact.Id,
                ScheduledFor = clock.GetUtcNow().AddHours(options.Value.ReEngageHours),
                CreatedBy = "bouncer_agent",
            });
        }
    }

    private void Record(Transaction tx, TurnScene scene, Envelope envelope, Outcome outcome, string text)
    {
        var id = clock.NewId();
        turns.Append(tx, new TurnRecord(id, scene.Session.SessionId, scene.Conversation.Id, scene.Input.Turn, scene.Input.Text)
        {
            AssistantResponse = text.Length > 0 ? text : null,
            ContextExtracted = Json.Of(envelope.Intents.Select(i => new { i.Type, i.Canonical, i.MatchType, i.Confidence, i.Entities })),
            RulesMatched = Json.Of(envelope.Rules.Select(verdict => verdict.Record)),
            ScenarioState = envelope.Scenario is { } move ? Json.Of(move.Record) : null,
            ToolsExecuted = Json.Of(outcome.Queued.Values.Select(q => new { q.QueueId, q.ActionId, q.Status })),
            TokenUsage = envelope.TokenUsage,
            LatencyMs = (int)(clock.GetUtcNow() - scene.BeganAt).TotalMilliseconds,
            AgentInstanceId = scene.Input.Instance?.Id,
            HandoffReason = envelope.Handoff,
        });
        Remember(tx, scene, id, envelope.Remember.OfType<Memory.Note>());
        if (scene.Input.Instance is { } instance)
        {
            instances.Touch(tx, instance.Id, clock.GetUtcNow());
        }

        conversations.SetTurn(tx, scene.Session.SessionId, scene.Input.Turn, [.. scene.Messages.Select(m => m.Id)]);
        inbound.Processed(tx, InboundIds(scene));
        Event(tx, scene, "turn.completed", new { turn_number = scene.Input.Turn, intents = envelope.Intents.Count, actions = outcome.Queued.Count });
    }

    /// <summary>Leaves the turn to be remembered, where the agent remembers; a private conversation stays its user's own.</summary>
    private void Remember(Transaction tx, TurnScene scene, Guid turnId, IEnumerable<Memory.Note> notes)
    {
        if (scene.Input.Agent.Memory && scene.Conversation.Shared)
        {
            var told = notes.ToDictionary(note => note.Name, note => note.Value.ToString()!, StringComparer.Ordinal);
            memory.Keep(tx, new KeptTurn(turnId, scene.Conversation.Id, scene.Session.SessionId, scene.Input.Agent.Id, scene.Input.Contact.Id, told));
        }
    }

    /// <summary>
    /// The session's state after a turn that touched no request, without another look at the tables it mirrors; null where there must be one: what was
    /// learned of a contact may move requests, too.
    /// </summary>
    private static SessionState? Mirrored(TurnScene scene, Envelope envelope, List<string> intents, SessionState state, IReadOnlyList<QueuedAction>? requests) =>
        requests is null || envelope.Handoff is not null || !envelope.Remember.All(memory => memory is Memory.Note or Memory.Presented) ? null
        : SessionMirror.Extend(state, scene.Input.Turn, envelope.Intents.Select((i, n) => new EndedIntent(intents[n], i.Type, i.Canonical, End(i, "").Status)), requests);

    private async Task SaveAsync(Transaction tx, TurnScene scene, Envelope envelope, SessionState? mirrored, SessionState state, CancellationToken ct)
    {
        var session = mirrored is null ? await RefreshedAsync(tx, scene, state, ct) : scene.Session with { State = mirrored };
        session = envelope.Variables is { } variables ? session with { Variables = variables } : session;
        sessions.Save(tx, envelope.Scenario?.Apply(session, clock.GetUtcNow()) ?? session);
    }

    private async Task<ConversationSession> RefreshedAsync(Transaction tx, TurnScene scene, SessionState state, CancellationToken ct)
    {
        // Requests that this turn has cancelled or completed told the session already: its version has moved on, under our lock.
        tx.Gather();
        var latest = sessions.PeekAsync(tx, scene.Session.SessionId, ct);
        var refreshed = await mirror.RefreshAsync(tx, scene.Session.SessionId, state, ct);
        return (await latest ?? scene.Session) with { State = refreshed };
    }

    private static Guid[] InboundIds(TurnScene scene) => [.. scene.Messages.Select(m => m.InboundMessageId).OfType<Guid>()];

    private void Event(Transaction tx, TurnScene scene, string type, object payload) =>
        events.Append(tx, new NewEvent(type, "conversation", scene.Conversation.Id, payload) { CreatedBy = "brain" });

    private sealed record Asking(ActiveTask Task, string? Question);

    private sealed class Outcome
    {
        /// <summary>By the place of the intent.</summary>
        internal Dictionary<int, QueuedAction> Queued { get; } = [];

        internal List<string> Say { get; } = [];

        /// <summary>Something will be told as soon as an action has ended.</summary>
        internal bool Runs { get; set; }
    }
}
