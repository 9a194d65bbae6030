using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using AgentPlatform.Demo;

namespace AgentPlatform.Cli.Converse;

/// <summary>What a script found: nothing, or the lines that did not hold.</summary>
internal sealed record ScriptResult(Script Script, IReadOnlyList<string> Failures);

/// <summary>Plays one script against a running host, as a contact of its own.</summary>
internal sealed class ScriptRun(HttpClient client, DemoFile demo, TalkEvents events, Script script, TimeSpan patience)
{
    /// <summary>An action's reply is a transaction of its own a moment after the turn: settled means settled and quiet.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(200);

    private readonly string _from = script.Channel == DemoChannels.Email
        ? $"c{RandomNumberGenerator.GetHexString(10, lowercase: true)}@people.example"
        : $"+1415{RandomNumberGenerator.GetInt32(2_000_000, 9_999_999)}";

    private readonly Dictionary<string, string> _kept = new(StringComparer.Ordinal) { ["agent"] = $"{(script.Channel == DemoChannels.Concierge ? demo.ConciergeAgentId : demo.AgentId)}" };
    private readonly List<string> _failures = [];
    private string? _conversation;
    private IReadOnlyList<TalkEvent> _latest = [];

    internal async Task<ScriptResult> PlayAsync(CancellationToken ct)
    {
        for (var i = 0; i < script.Lines.Count && _failures.Count < 5; i++)
        {
            switch (script.Lines[i])
            {
                case ScriptLine.Say:
                    var said = script.Lines.Skip(i).TakeWhile(line => line is ScriptLine.Say).Cast<ScriptLine.Say>().ToList();
                    await SayAsync(said, ct);
                    i += said.Count - 1;
                    break;
                case ScriptLine.Call call:
                    await CallAsync(call, ct);
                    break;
                case ScriptLine.Reply reply:
                    Check(reply, Replies().Any(text => text.Contains(Filled(reply.Text), StringComparison.Ordinal)) != reply.Unwanted, $"replies: {string.Join(" | ", Replies())}");
                    break;
                case ScriptLine.Expect expect:
                    Check(expect, Holds(expect), Seen());
                    break;
            }
        }

        return new(script, _failures);
    }

    private async Task SayAsync(List<ScriptLine.Say> said, CancellationToken ct)
    {
        var (_, place) = events.From(0);
        foreach (var line in said)
        {
            using var webhook = ProviderRequests.Create(demo, script.Channel, _from, Filled(line.Text), TimeProvider.System);
            using var answer = await client.SendAsync(webhook, ct);
            Check(line, answer.IsSuccessStatusCode, $"the webhook was refused with {(int)answer.StatusCode}");
        }

        var next = place;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(patience);
        while (!limit.IsCancellationRequested)
        {
            var news = await events.WaitAsync(next, Quiet, limit.Token);
            (var happened, next) = events.From(place);
            _conversation ??= happened.FirstOrDefault(e => e.Type == "message.received" && e.Text("content").Contains(FirstLine(Filled(said[0].Text)), StringComparison.Ordinal))?.Conversation;
            _latest = [.. happened.Where(e => e.Conversation == _conversation)];
            if (!news && IsSettled(said.Count))
            {
                return;
            }
        }

        Check(said[^1], ok: false, $"no end in {patience.TotalSeconds:0} s; {Seen()}");
    }

    private static string FirstLine(string text) => text.Split('\n')[0];

    /// <summary>Each message was read by a turn that is over, and what the turns set going has ended.</summary>
    private bool IsSettled(int messages)
    {
        var read = _latest.Where(e => e.Type == "turn.started").Sum(e => e.Payload.TryGetProperty("messages", out var list) ? list.GetArrayLength() : 0);
        var (began, ended) = (_latest.Count(e => e.Type == "turn.started"), _latest.Count(e => e.Type is "turn.completed" or "turn.failed"));
        var open = new HashSet<string>(StringComparer.Ordinal);
        foreach (var e in _latest)
        {
            if (e.Type == "message.queued" || (e.Type == "action.queued" && e.Text("status") == "ready"))
            {
                open.Add(e.Text("queue_id"));
            }
            else if (e.Type is "action.completed" or "message.sent" or "message.held" or "message.superseded" or "message.failed" or "message.cancelled" || (e.Type == "action.failed" && e.Text("will_retry") != "true"))
            {
                open.Remove(e.Text("queue_id"));
            }
        }

        return read >= messages && began == ended && open.Count == 0;
    }

    private List<string> Replies() => [.. _latest.Where(e => e.Type is "message.sent" or "message.held").Select(e => e.Text("text")).Where(text => text.Length > 0)];

    private bool Holds(ScriptLine.Expect line) => line.What switch
    {
        "intent" => _latest.Any(e => e.Type == "intent.logged" && e.Text("intent_type") == line.Args[0] && (line.Args.Count == 1 || e.Text("canonical_intent") == line.Args[1])),
        "match" => _latest.Any(e => e.Type == "action.matched" && e.Text("match_type") == line.Args[0]),
        "action" => _latest.Any(e => e.Text("action_id") == line.Args[0] && (e.Type == $"action.{line.Args[1]}" || (e.Type == "action.queued" && e.Text("status") == line.Args[1]))),
        "no-action" => !_latest.Any(e => e.Type == "action.queued"),
        "event" => _latest.Any(e => e.Type == line.Args[0]),
        "silence" => Replies().Count == 0,
        "handoff" => _latest.Any(e => e.Type == "conversation.status_changed" && e.Text("handled_by") == "human"),
        "scenario" => _latest.Any(e => e.Type == "intent.logged" && e.Text("intent_type") == "scenario" && e.Text("canonical_intent").Contains(line.Args[0].Replace('_', ' '), StringComparison.Ordinal)),
        _ => false,
    };

    private async Task CallAsync(ScriptLine.Call call, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(new HttpMethod(call.Method), $"/api/v1{Filled(call.Path)}") { Headers = { Authorization = new AuthenticationHeaderValue("Bearer", demo.ApiKey) } };
        if (call.Body is not null)
        {
            request.Content = new StringContent(Filled(call.Body), Encoding.UTF8, "application/json");
        }

        using var answer = await client.SendAsync(request, ct);
        var text = await answer.Content.ReadAsStringAsync(ct);
        Check(call, answer.IsSuccessStatusCode, $"{(int)answer.StatusCode} {text}");
        if (call.Name is not null && answer.IsSuccessStatusCode)
        {
            _kept[call.Name] = Taken(JsonSerializer.Deserialize<JsonElement>(text), call.Take ?? "id");
        }
    }

    private static string Taken(JsonElement from, string path)
    {
        foreach (var name in path.Split('.'))
        {
            from = int.TryParse(name, out var index) ? from[index] : from.GetProperty(name);
        }

        return from.ValueKind == JsonValueKind.String ? from.GetString()! : from.GetRawText();
    }

    private string Filled(string text)
    {
        var known = _conversation is null ? _kept : new Dictionary<string, string>(_kept, StringComparer.Ordinal) { ["conversation"] = _conversation };
        return known.OrderByDescending(k => k.Key.Length).Aggregate(text, (filled, kept) => filled.Replace($"${kept.Key}", kept.Value, StringComparison.Ordinal));
    }

    private string Seen() => $"seen: {string.Join(", ", _latest.Select(e => $"{e.Type} {e.Text("intent_type")}{e.Text("canonical_intent")}{e.Text("action_id")} {e.Text("status")}".TrimEnd()))}";

    private void Check(ScriptLine line, bool ok, string details)
    {
        if (!ok)
        {
            _failures.Add($"line {line.Number}: {details}");
        }
    }
}
