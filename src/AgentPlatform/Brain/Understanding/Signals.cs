using System.Globalization;
using AgentPlatform.Channels.Twilio;
using AgentPlatform.Conversations;

namespace AgentPlatform.Brain.Understanding;

/// <summary>Short replies: what the open question makes of "yeah", "the second one" or "#2".</summary>
internal static class Signals
{
    internal const string Yes = "yes";
    internal const string No = "no";

    private static readonly string[] YesWords =
        ["yes", "yeah", "yep", "yup", "sure", "ok", "okay", "y", "of course", "please do", "go ahead", "absolutely", "correct", "right", "definitely", "yes please"];

    private static readonly string[] NoWords =
        ["no", "nope", "nah", "n", "cancel", "no thanks", "no thank you", "dont", "do not", "never mind", "nevermind", "not now", "rather not"];

    private static readonly string[] Ordinals =
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];

    private static readonly string[] OptOutPhrases =
    [
        "dont text me", "do not text me", "stop texting me", "stop messaging me", "dont message me", "do not message me", "stop sending me messages",
        "stop sending me texts", "no more texts", "no more messages", "dont contact me", "do not contact me", "stop contacting me", "leave me alone",
        "remove me from your list", "take me off your list", "take me off this list", "unsubscribe me", "opt me out", "i want to opt out", "i want to unsubscribe",
        "please unsubscribe", "please stop texting", "stop writing me", "dont write me", "dont email me", "do not email me", "stop emailing me",
    ];

    internal static AnswerSheet Confirmation() => new()
    {
        Type = "confirmation",
        Options = new Dictionary<string, string[]>(StringComparer.Ordinal) { [Yes] = YesWords, [No] = NoWords },
    };

    /// <summary>A numbered list that was offered: option n is picked by its number, its ordinal or its words.</summary>
    internal static AnswerSheet Choice(IReadOnlyList<string> titles) => new()
    {
        Type = "choice",
        Options = titles.Select((title, i) => (title, number: i + 1)).ToDictionary(
            option => $"#{option.number}", option => NamesOf(option.number, option.title, titles.Count), StringComparer.Ordinal),
    };

    /// <summary>What the sheet makes of the reply, or null when it is not an answer to it.</summary>
    internal static string? Resolve(AnswerSheet? sheet, string text)
    {
        var reply = Phrases.Normalize(text);
        if (sheet is null || reply.Length == 0)
        {
            return null;
        }

        foreach (var (option, phrases) in sheet.Options)
        {
            if (option == reply || phrases.Any(phrase => Phrases.Normalize(phrase) == reply))
            {
                return option;
            }
        }

        // "#2 please", "yes that one": the beginning decides when the rest is only politeness.
        var bare = StripPoliteness(reply);
        return bare == reply ? null : Resolve(sheet, bare);
    }

    internal static IReadOnlyList<string> Available(AnswerSheet? sheet) => sheet is null ? [] : [.. sheet.Options.Keys];

    /// <summary>The carriers' keywords, and the same wish said in words.</summary>
    internal static ControlWord Control(string text)
    {
        var word = ControlWords.Classify(text);
        if (word != ControlWord.None)
        {
            return word;
        }

        var said = $" {Phrases.Normalize(text)} ";
        return OptOutPhrases.Any(phrase => said.Contains($" {phrase} ", StringComparison.Ordinal)) && !IsNegated(said) ? ControlWord.Stop : ControlWord.None;
    }

    // "don't text me at night" and "don't text me until Monday" ask for another hour, not for silence.
    private static bool IsNegated(string said) =>
        said.Contains(" until ", StringComparison.Ordinal) || said.Contains(" at night ", StringComparison.Ordinal) || said.Contains(" before ", StringComparison.Ordinal)
        || said.Contains(" after ", StringComparison.Ordinal) || said.Contains(" today ", StringComparison.Ordinal);

    private static string[] NamesOf(int number, string title, int count)
    {
        var names = new List<string> { number.ToString(CultureInfo.InvariantCulture), $"number {number}", $"option {number}", Phrases.Normalize(title) };
        if (number <= Ordinals.Length)
        {
            var ordinal = Ordinals[number - 1];
            names.AddRange([ordinal, $"the {ordinal}", $"{ordinal} one", $"the {ordinal} one", $"{ordinal} option", $"the {ordinal} option"]);
        }

        if (number == count)
        {
            names.AddRange(["last", "the last", "last one", "the last one"]);
        }

        return [.. names.Where(name => name.Length > 0).Distinct(StringComparer.Ordinal)];
    }

    private static string StripPoliteness(string reply)
    {
        foreach (var ending in new[] { " please", " thanks", " thank you", " then" })
        {
            if (reply.EndsWith(ending, StringComparison.Ordinal))
            {
                return reply[..^ending.Length];
            }
        }

        foreach (var beginning in new[] { "i take ", "ill take ", "i want ", "i would like ", "id like ", "lets do ", "please " })
        {
            if (reply.StartsWith(beginning, StringComparison.Ordinal))
            {
                return reply[beginning.Length..];
            }
        }

        return reply;
    }
}
