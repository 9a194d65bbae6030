using System.Text.RegularExpressions;

namespace AgentPlatform.Cli.Converse;

/// <summary>A line of a script.</summary>
internal abstract record ScriptLine(int Number)
{
    /// <summary><c>&gt; text</c>: the contact says it. Several in a row are sent one right after the other.</summary>
    internal sealed record Say(int Number, string Text) : ScriptLine(Number);

    /// <summary><c>&lt; text</c>: a reply to the latest words holds it; <c>&lt;! text</c>: none does.</summary>
    internal sealed record Reply(int Number, string Text, bool Unwanted) : ScriptLine(Number);

    /// <summary><c>= what args…</c>: what the agent made of the latest words.</summary>
    internal sealed record Expect(int Number, string What, IReadOnlyList<string> Args) : ScriptLine(Number);

    /// <summary><c>! [name =] METHOD path [json] [-&gt; $.path]</c>: a call of the API, with a part of its answer kept as <c>$name</c>.</summary>
    internal sealed record Call(int Number, string? Name, string Method, string Path, string? Body, string? Take) : ScriptLine(Number);
}

/// <summary>
/// A scripted conversation: what a contact says over a channel of the demo, and what the agent must make of it and answer. Lines that begin with
/// <c>#</c> are for readers; the first says what the script shows.
/// </summary>
internal sealed partial record Script(string Name, string Title, string Channel, IReadOnlyList<ScriptLine> Lines)
{
    private static readonly Dictionary<string, (int Least, int Most)> Expectations = new(StringComparer.Ordinal)
    {
        ["intent"] = (1, 2),
        ["match"] = (1, 1),
        ["action"] = (2, 2),
        ["no-action"] = (0, 0),
        ["event"] = (1, 1),
        ["silence"] = (0, 0),
        ["handoff"] = (0, 0),
        ["scenario"] = (1, 1),
    };

    internal static Script Parse(string name, string text)
    {
        var (title, channel, lines) = (name, "sms", new List<ScriptLine>());
        var all = text.ReplaceLineEndings("\n").Split('\n');
        for (var i = 0; i < all.Length; i++)
        {
            var line = all[i].Trim();
            if (line.StartsWith('#'))
            {
                title = title == name ? line[1..].Trim() : title;
            }
            else if (line.StartsWith("channel ", StringComparison.Ordinal))
            {
                channel = line[8..].Trim();
            }
            else if (line.Length > 0)
            {
                lines.Add(Read(name, i + 1, line));
            }
        }

        return new(name, title, channel, lines);
    }

    private static ScriptLine Read(string name, int number, string line)
    {
        var rest = line.Length > 1 ? line[1..].Trim() : "";
        return line[0] switch
        {
            '>' => new ScriptLine.Say(number, rest.Replace("\\n", "\n", StringComparison.Ordinal)),
            '<' when rest.StartsWith('!') => new ScriptLine.Reply(number, rest[1..].Trim(), Unwanted: true),
            '<' => new ScriptLine.Reply(number, rest, Unwanted: false),
            '=' when rest.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var what, .. var args] && Expectations.TryGetValue(what, out var count) && args.Length >= count.Least && args.Length <= count.Most =>
                new ScriptLine.Expect(number, what, args),
            '!' when CallLine().Match(rest) is { Success: true } call => new ScriptLine.Call(number, Group(call, "name"), call.Groups["method"].Value, call.Groups["path"].Value, Group(call, "body"), Group(call, "take")),
            _ => throw new CommandException($"{name}, line {number}: not a line of a script: {line}"),
        };
    }

    private static string? Group(Match match, string name) => match.Groups[name] is { Success: true, Value: { Length: > 0 } value } ? value : null;

    [GeneratedRegex(@"^(?:(?<name>\w+) = )?(?<method>GET|POST|PUT|PATCH|DELETE) (?<path>\S+)(?: (?<body>[\[{].*?[\]}]))?(?: -> \$\.(?<take>[\w.]+))?$", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex CallLine();
}
