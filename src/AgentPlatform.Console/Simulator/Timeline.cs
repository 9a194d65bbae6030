using AgentPlatform.Events;
using AgentPlatform.Events.Live;

namespace AgentPlatform.Console.Simulator;

/// <summary>Reads a conversation's events, in their order, into turns.</summary>
public sealed partial class Timeline
{
    private readonly List<Turn> _turns = [];
    private readonly Dictionary<string, Turn> _turnOfIntent = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (Turn Turn, Step Step)> _replies = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _queueOfMessage = new(StringComparer.Ordinal);
    private readonly List<StoredEvent> _unread = [];
    private readonly HashSet<Guid> _endedTurns = [];
    private Turn? _current;
    private Turn? _waiting;
    private DateTimeOffset _currentAt;

    /// <summary>Oldest first.</summary>
    public IReadOnlyList<Turn> Turns => _turns;

    /// <summary>The version of the last event read.</summary>
    public int Version { get; private set; }

    /// <summary>The agent owes an answer: a message is unread, or the last thing said has not left yet.</summary>
    public bool IsThinking => _waiting is not null;

    /// <summary>Turns whose reply is there: what was shown of it before is void.</summary>
    public bool HasEnded(Guid turnId) => _endedTurns.Contains(turnId);

    public static Timeline Of(IEnumerable<StoredEvent> events)
    {
        var timeline = new Timeline();
        foreach (var e in events)
        {
            timeline.Read(e);
        }

        return timeline;
    }

    public void Read(StoredEvent e)
    {
        Version = Math.Max(Version, e.Version);
        if (LiveNote.TurnEndedBy(e) is { } ended)
        {
            _endedTurns.Add(ended);
        }

        switch (e.EventType)
        {
            case "message.received":
                Received(e);
                break;
            case "turn.started":
                Started(e);
                break;
            case "turn.completed":
                Completed(e);
                break;
            case "turn.failed":
                Failed(e);
                break;
            case "intent.logged" or "action.matched":
                Understood(e);
                break;
            case "rules.matched":
                Ruled(e);
                break;
            case "variables.resolved":
                Resolved(e);
                break;
            case "template.used":
                Worded(e);
                break;
            case "message.queued":
                Said(e);
                break;
            case "message.sent" or "message.delivered" or "message.failed" or "message.held" or "message.superseded" or "message.cancelled":
                Delivered(e);
                break;
            case "model.called" or "model.refused":
                Asked(e);
                break;
            case var type when type.StartsWith("action.", StringComparison.Ordinal):
                Acted(e);
                break;
            case var type when type.StartsWith("contact.", StringComparison.Ordinal):
                Learned(e);
                break;
            default:
                Noted(e);
                break;
        }
    }

    private void Received(StoredEvent e)
    {
        _waiting ??= Begin($"turn-{e.Version}", e, waiting: true);
        _waiting.Add(e.Version, e.CreatedAt, new Step("received", "Received", e.CreatedAt) { Quote = e.Payload.Text("content") });
        _unread.Add(e);
    }

    /// <summary>A turn reads what was waiting; what arrived too late for it waits for the next.</summary>
    private void Started(StoredEvent e)
    {
        var read = e.Payload.Texts("messages");
        var late = _unread.Where(m => read.Count > 0 && !read.Contains(m.Payload.Text("message_id") ?? "")).ToList();
        _current = _waiting ?? Begin($"turn-{e.Version}", e);
        _currentAt = e.CreatedAt;
        _current.Number = e.Payload.Number("turn_number");
        _current.IsWaiting = false;
        _current.Touch(e.Version, e.CreatedAt);
        if (e.Payload.Text("instance") is { } instance and not "primary")
        {
            _current.Add(e.Version, e.CreatedAt, new Step("rule", "Instance", e.CreatedAt) { Subject = instance, Note = e.Payload.Text("role") });
        }

        _waiting = null;
        _unread.Clear();
        late.ForEach(Received);
    }

    private void Completed(StoredEvent e)
    {
        var turn = CurrentAt(e) ?? Aside(e);
        if (e.Payload.Flag("silent"))
        {
            var why = e.Payload.Text("handled_by") == "human" ? "A colleague has taken over" : $"The conversation is {e.Payload.Text("status")}";
            turn.Add(e.Version, e.CreatedAt, new Step("note", "No reply", e.CreatedAt) { Note = why });
        }

        turn.Touch(e.Version, e.CreatedAt);
    }

    private void Failed(StoredEvent e)
    {
        var turn = _waiting ?? Aside(e);
        turn.Add(e.Version, e.CreatedAt, new Step("result", "Turn", e.CreatedAt) { Note = e.Payload.Text("error") }.Marked("failed", Tone.Bad));
        turn.IsWaiting = false;
        _waiting = null;
        _unread.Clear();
    }

    private void Understood(StoredEvent e)
    {
        var intent = e.Payload.Text("intent_id") ?? "";
        var turn = _turnOfIntent.GetValueOrDefault(intent) ?? CurrentAt(e) ?? Aside(e);
        _turnOfIntent[intent] = turn;
        var confidence = e.Payload.Decimal("confidence");
        if (e.EventType == "intent.logged")
        {
            turn.Add(e.Version, e.CreatedAt, new Step("intent", "Intent", e.CreatedAt)
            {
                Subject = e.Payload.Text("canonical_intent") ?? e.Payload.Text("intent_type"),
                Note = e.Payload.Text("canonical_intent") is null ? null : Words(e.Payload.Text("intent_type")),
                Confidence = confidence,
            });
            return;
        }

        var type = e.Payload.Text("match_type") ?? "";
        var found = type != "not_found";
        turn.Add(e.Version, e.CreatedAt, new Step("match", "Match", e.CreatedAt) { Subject = found ? e.Payload.Text("action_id") : null }
            .Marked(found ? type : "not found", found ? Tone.Good : Tone.Waiting));
    }

    /// <summary>A model is asked before the turn that uses its answer begins.</summary>
    private void Asked(StoredEvent e)
    {
        var turn = _waiting ?? CurrentAt(e) ?? Aside(e);
        turn.Add(e.Version, e.CreatedAt, ModelStep(e));
    }

    /// <summary>A step for each rule whose condition held, with what became of it.</summary>
    private void Ruled(StoredEvent e)
    {
        var turn = CurrentAt(e) ?? Aside(e);
        foreach (var rule in e.Payload.Items("rules"))
        {
            turn.Add(e.Version, e.CreatedAt, RuleStep(e, rule));
        }
    }

    private void Resolved(StoredEvent e)
    {
        var turn = CurrentAt(e) ?? Aside(e);
        foreach (var variable in e.Payload.Items("variables"))
        {
            var error = variable.Text("error");
            turn.Add(e.Version, e.CreatedAt, new Step("rule", "Variable", e.CreatedAt) { Subject = variable.Text("name"), Note = error ?? $"told by {variable.Text("tool")}" }
                .Marked(error is null ? "known" : "default", error is null ? Tone.Good : Tone.Bad));
        }
    }

    private void Worded(StoredEvent e) =>
        (CurrentAt(e) ?? Aside(e)).Add(e.Version, e.CreatedAt, new Step("rule", "Template", e.CreatedAt) { Subject = e.Payload.Text("name") }.Marked((e.Payload.Text("mode") ?? "").ToLowerInvariant(), Tone.Good));

    private void Acted(StoredEvent e)
    {
        var turn = _turnOfIntent.GetValueOrDefault(e.Payload.Text("intent_id") ?? "") ?? CurrentAt(e) ?? Aside(e);
        turn.Add(e.Version, e.CreatedAt, ActionStep(e));
        (_current, _currentAt) = (turn, e.CreatedAt);
    }

    private void Said(StoredEvent e)
    {
        var turn = CurrentAt(e) ?? Aside(e);
        turn.Add(e.Version, e.CreatedAt, new Step("reply", "Reply", e.CreatedAt) { Quote = e.Payload.Text("text"), Note = e.Payload.Text("role") });
        var delivery = turn.Add(e.Version, e.CreatedAt, new Step("delivery", "Delivery", e.CreatedAt).Marked("queued"));
        _replies[e.Payload.Text("queue_id") ?? ""] = (turn, delivery);
    }

    private void Delivered(StoredEvent e)
    {
        var message = e.Payload.Text("message_id");
        var queue = e.Payload.Text("queue_id") ?? _queueOfMessage.GetValueOrDefault(message ?? "") ?? "";
        if (message is not null && queue.Length > 0)
        {
            _queueOfMessage[message] = queue;
        }

        var (turn, delivery) = _replies.TryGetValue(queue, out var known) ? known : Unannounced(e, queue);
        var (text, tone) = DeliveryMark(e);
        delivery.Marked(text, tone, e.CreatedAt);
        turn.Touch(e.Version, e.CreatedAt);
    }

    private (Turn Turn, Step Step) Unannounced(StoredEvent e, string queue)
    {
        var turn = Aside(e);
        if (e.Payload.Text("text") is { } text)
        {
            turn.Add(e.Version, e.CreatedAt, new Step("reply", "Message", e.CreatedAt) { Quote = text, Note = e.Payload.Text("role") });
        }

        return _replies[queue] = (turn, turn.Add(e.Version, e.CreatedAt, new Step("delivery", "Delivery", e.CreatedAt)));
    }

    private void Learned(StoredEvent e)
    {
        var turn = CurrentAt(e) ?? Aside(e);
        turn.Add(e.Version, e.CreatedAt, e.EventType == "contact.field_set"
            ? new Step("profile", "Learned", e.CreatedAt) { Subject = e.Payload.Text("field_name"), Note = SourceOf(e.Payload.Text("source")) }
            : new Step("profile", "Contact", e.CreatedAt) { Note = e.Payload.Text("poc_agent_type") is { } next ? $"now with the {next}" : null }
                .Marked(Words(e.EventType["contact.".Length..]), Tone.Good));
    }

    private void Noted(StoredEvent e)
    {
        var turn = CurrentAt(e) ?? Aside(e);
        turn.Add(e.Version, e.CreatedAt, new Step("note", "Event", e.CreatedAt) { Subject = e.EventType, Note = e.Payload.Text("reason") }
            .Marked(e.Payload.Text("status") ?? e.Payload.Text("to") ?? "noted"));
    }

    /// <summary>Events of one transaction carry one time: those that came with the current turn's last step belong to it.</summary>
    private Turn? CurrentAt(StoredEvent e) => _current is not null && e.CreatedAt == _currentAt ? _current : null;

    private Turn Aside(StoredEvent e) => Begin($"aside-{e.Version}", e, aside: true);

    private Turn Begin(string key, StoredEvent e, bool waiting = false, bool aside = false)
    {
        var turn = new Turn(key, e.CreatedAt) { IsWaiting = waiting, IsAside = aside };
        _turns.Add(turn);
        if (aside)
        {
            (_current, _currentAt) = (turn, e.CreatedAt);
        }

        return turn;
    }
}
