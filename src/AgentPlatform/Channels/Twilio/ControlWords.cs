namespace AgentPlatform.Channels.Twilio;

/// <summary>What a message asks of the messaging itself, before any agent reads it.</summary>
public enum ControlWord
{
    None,
    Stop,
    Start,
    Help,
}

/// <summary>
/// The keyword sets carriers and Twilio recognise. A message is a control word only when it is nothing but that word: "stop" is,
/// "please stop by at noon" is not.
/// </summary>
public static class ControlWords
{
    private static readonly Dictionary<string, ControlWord> Words = new(StringComparer.OrdinalIgnoreCase)
    {
        ["STOP"] = ControlWord.Stop,
        ["UNSUBSCRIBE"] = ControlWord.Stop,
        ["END"] = ControlWord.Stop,
        ["QUIT"] = ControlWord.Stop,
        ["STOPALL"] = ControlWord.Stop,
        ["STOP ALL"] = ControlWord.Stop,
        ["REVOKE"] = ControlWord.Stop,
        ["OPTOUT"] = ControlWord.Stop,
        ["OPT OUT"] = ControlWord.Stop,
        ["OPT-OUT"] = ControlWord.Stop,
        ["CANCEL"] = ControlWord.Stop,
        ["START"] = ControlWord.Start,
        ["UNSTOP"] = ControlWord.Start,
        ["HELP"] = ControlWord.Help,
        ["INFO"] = ControlWord.Help,
    };

    /// <summary>Case, surrounding white space, quotation marks and closing punctuation do not matter ("Stop." is a stop).</summary>
    public static ControlWord Classify(string? text) =>
        text is { Length: > 0 and <= 40 } && Words.TryGetValue(text.Trim([' ', '\t', '\r', '\n', '.', '!', '?', ',', '"', '\'', '“', '”', '‘', '’']), out var word)
            ? word
            : ControlWord.None;
}
