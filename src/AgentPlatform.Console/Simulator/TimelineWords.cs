using System.Globalization;
using System.Text.Json;
using AgentPlatform.Events;

namespace AgentPlatform.Console.Simulator;

/// <content>What events are called when people read them.</content>
public sealed partial class Timeline
{
    private static Step ActionStep(StoredEvent e)
    {
        var details = e.Payload.ValueKind == JsonValueKind.Object && e.Payload.TryGetProperty("details", out var given) ? given : e.Payload;
        var action = e.Payload.Text("action_id");
        return e.EventType switch
        {
            "action.queued" => Queued(e, action, details),
            "action.attempted" => new Step("attempt", $"Attempt {details.Number("attempt") ?? 1}", e.CreatedAt) { Subject = action },
            "action.completed" => new Step("result", "Result", e.CreatedAt) { Subject = action, Note = details.Number("api_response_status") is { } status ? $"HTTP {status}" : null }
                .Marked("completed", Tone.Good),
            "action.recovered" => new Step("result", "Recovered", e.CreatedAt) { Subject = action, Note = "It had failed before." }.Marked("recovered", Tone.Good),
            "action.failed" => new Step("result", "Result", e.CreatedAt)
            {
                Subject = action,
                Note = details.Time("next_retry_at") is { } next ? $"{Words(details.Text("error_type"))}, again at {next.ToString("HH:mm:ss", CultureInfo.InvariantCulture)} UTC" : Words(details.Text("error_type")),
            }.Marked("failed", details.Flag("will_retry") ? Tone.Waiting : Tone.Bad),
            _ => new Step("result", "Action", e.CreatedAt) { Subject = action }.Marked(Words(e.EventType["action.".Length..])),
        };
    }

    private static Step Queued(StoredEvent e, string? action, JsonElement details)
    {
        var status = details.Text("status") ?? "queued";
        var missing = details.Texts("params_missing").Select(Words).ToList();
        return new Step("queue", "Queued", e.CreatedAt)
        {
            Subject = action,
            Note = missing.Count > 0 ? $"asks for {string.Join(", ", missing)}" : details.Text("blocker_reason") is { } blocker ? Words(blocker) : null,
        }.Marked(status, status is "ready" ? Tone.Good : status is "pending" or "blocked" ? Tone.Waiting : Tone.Plain);
    }

    private static Step ModelStep(StoredEvent e)
    {
        var (status, error) = (e.Payload.Text("status") ?? "refused", e.Payload.Text("error") ?? e.Payload.Text("reason"));
        var spent = e.Payload.Number("input_tokens") is { } input
            ? string.Create(CultureInfo.InvariantCulture, $"{input} tokens in, {e.Payload.Number("output_tokens")} out, ${e.Payload.Decimal("cost_usd"):0.######}, {e.Payload.Number("latency_ms")} ms")
            : null;
        var wording = e.Payload.Number("prompt_version") is { } version ? string.Create(CultureInfo.InvariantCulture, $" by {e.Payload.Text("template_set") ?? "another template set"} v{version}") : "";
        return new Step("attempt", "Model", e.CreatedAt) { Subject = e.Payload.Text("model"), Note = error is null ? spent + wording : Words(error) }
            .Marked(status, status == "answered" ? Tone.Good : Tone.Bad);
    }

    private static Step RuleStep(StoredEvent e, JsonElement rule)
    {
        var (outcome, reason, other) = (rule.Text("outcome") ?? "", Words(rule.Text("reason")), rule.Text("other_rule"));
        return new Step("rule", "Rule", e.CreatedAt)
        {
            Subject = rule.Text("name"),
            Note = outcome switch
            {
                "fired" => Words(rule.Text("action_type")),
                "lost" => $"{reason} by {other}",
                "unmet" => $"requires {other}",
                "below_threshold" => string.Create(CultureInfo.InvariantCulture, $"{rule.Decimal("similarity"):0.00} of {rule.Decimal("threshold"):0.00}"),
                _ => reason,
            },
        }.Marked(Words(outcome), outcome == "fired" ? Tone.Good : outcome == "unavailable" ? Tone.Bad : Tone.Waiting);
    }

    private static (string Text, Tone Tone) DeliveryMark(StoredEvent e) => e.EventType switch
    {
        // Without a provider the conversation itself is where the contact reads it.
        "message.sent" => (e.Payload.Text("provider") is { } provider ? $"sent by {provider}" : "delivered", Tone.Good),
        "message.delivered" => ("delivered", Tone.Good),
        "message.held" => ($"held: {Words(e.Payload.Text("reason"))}", Tone.Waiting),
        "message.failed" => ($"failed: {Words(e.Payload.Text("error") ?? e.Payload.Text("error_code") ?? "unknown")}", Tone.Bad),
        _ => (Words(e.EventType["message.".Length..]), Tone.Waiting),
    };

    private static string? SourceOf(string? source) => source switch
    {
        "USER_PROVIDED" => "said by the contact",
        "EXTRACTED" => "read from a message",
        "INFERRED" => "inferred",
        "SYSTEM" => "entered",
        _ => source,
    };

    private static string Words(string? name) => (name ?? "").Replace('_', ' ');
}

/// <summary>Payloads are read leniently: an event that lacks a field is shown without it.</summary>
internal static class Payloads
{
    internal static string? Text(this JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value)
            ? value.ValueKind switch
            {
                JsonValueKind.String => value.GetString(),
                JsonValueKind.Number => value.GetRawText(),
                _ => null,
            }
            : null;

    internal static int? Number(this JsonElement json, string name) =>
        int.TryParse(json.Text(name), NumberStyles.Integer, CultureInfo.InvariantCulture, out var number) ? number : null;

    internal static decimal? Decimal(this JsonElement json, string name) =>
        decimal.TryParse(json.Text(name), NumberStyles.Number, CultureInfo.InvariantCulture, out var number) ? number : null;

    internal static DateTimeOffset? Time(this JsonElement json, string name) =>
        DateTimeOffset.TryParse(json.Text(name), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time) ? time : null;

    internal static bool Flag(this JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;

    internal static IEnumerable<JsonElement> Items(this JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : [];

    internal static IReadOnlyList<string> Texts(this JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Array
            ? [.. value.EnumerateArray().Select(item => item.ToString())]
            : [];
}
