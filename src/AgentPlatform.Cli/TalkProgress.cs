using System.Globalization;
using System.Text.Json;

namespace AgentPlatform.Cli;

/// <summary>A line to show: what the agent says, or what it does.</summary>
internal sealed record TalkLine(string Text, bool IsReply = false);

/// <summary>
/// Follows one message through the tenant's events: finds its conversation by what was said, tells what happens, and knows when
/// nothing more is to be expected.
/// </summary>
internal sealed class TalkProgress(string channelType, string text)
{
    private readonly HashSet<string> _open = new(StringComparer.Ordinal);
    private string? _conversation;
    private bool _turnIsOver;

    /// <summary>The turn is over, and everything it set going has ended.</summary>
    internal bool IsSettled => _turnIsOver && _open.Count == 0;

    /// <summary>Takes the next event; the line to show for it, if any.</summary>
    internal TalkLine? Apply(JsonElement e)
    {
        var (type, aggregate, payload) = (Text(e, "event_type"), Text(e, "aggregate_id"), e.GetProperty("payload"));
        if (_conversation is null && type == "message.received" && Text(payload, "channel") == channelType && Text(payload, "content") == text)
        {
            _conversation = aggregate;
        }

        return aggregate == _conversation && _conversation is not null ? Tell(type, payload) : null;
    }

    private TalkLine? Tell(string type, JsonElement payload)
    {
        var id = Text(payload, "queue_id");
        switch (type)
        {
            case "intent.logged":
                return new($"understood  {First(payload, "canonical_intent", "intent_type")}");
            case "action.matched":
                return new($"matched     {Text(payload, "match_type")}, {Number(payload, "confidence")}");
            case "model.called":
                return new($"model       {Text(payload, "model")}, {Text(payload, "status")}");
            case "action.queued" when Text(payload, "status") is "ready":
                _open.Add(id);
                return new($"queued      {Text(payload, "action_id")}");
            case "action.attempted":
                return new($"attempt     {Text(payload, "attempt")}");
            case "action.completed":
                _open.Remove(id);
                return new("completed");
            case "action.failed":
                return Failed(id, payload);
            case "message.queued":
                _open.Add(id);
                return null;
            case "message.sent":
                _open.Remove(id);
                return new(Text(payload, "text"), IsReply: true);
            case "message.held" or "message.superseded" or "message.failed" or "message.cancelled":
                _open.Remove(id);
                return new($"{type["message.".Length..],-11} {First(payload, "reason", "error_code")}");
            case "turn.completed" or "turn.failed":
                _turnIsOver = true;
                return null;
            default:
                return null;
        }
    }

    private TalkLine Failed(string id, JsonElement payload)
    {
        var retries = Find(payload, "will_retry") is { ValueKind: JsonValueKind.True };
        if (!retries)
        {
            _open.Remove(id);
        }

        return new($"failed      {Text(payload, "error_type")}{(retries ? ", will be tried again" : "")}");
    }

    private static string First(JsonElement payload, string name, string otherwise) => Text(payload, name) is { Length: > 0 } text ? text : Text(payload, otherwise);

    private static string Number(JsonElement payload, string name) =>
        Find(payload, name) is { ValueKind: JsonValueKind.Number } value ? value.GetDecimal().ToString("0.00", CultureInfo.InvariantCulture) : "";

    private static string Text(JsonElement payload, string name) => Find(payload, name)?.ToString() ?? "";

    /// <summary>Events of actions keep what is particular to them in <c>details</c>.</summary>
    private static JsonElement? Find(JsonElement payload, string name) =>
        payload.TryGetProperty(name, out var value) && value.ValueKind is not JsonValueKind.Null ? value
        : payload.TryGetProperty("details", out var details) && details.ValueKind == JsonValueKind.Object ? Find(details, name)
        : null;
}
