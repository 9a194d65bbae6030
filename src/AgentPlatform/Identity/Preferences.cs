using System.Text.Json;

namespace AgentPlatform.Identity;

/// <summary>
/// What a user settled once for all. The constitution is what the user's agents have to keep to: names and values, told to them line by line. The
/// notification settings say for each kind of message whether it may be sent, or over which channels: <c>{"approvals": ["sms"], "budget_alerts": false}</c>;
/// a kind that is not among them is sent.
/// </summary>
public static class Preferences
{
    /// <summary>The kinds of messages that users are sent.</summary>
    public const string Approvals = "approvals", BudgetAlerts = "budget_alerts";

    private const int MostLines = 50;
    private const int LongestName = 100;
    private const int LongestValue = 500;

    private static readonly string[] Kinds = [Approvals, BudgetAlerts];
    private static readonly string[] Channels = ["sms", "email"];

    /// <summary>Pure: whether a message of a kind may be sent over a channel.</summary>
    public static bool Wants(JsonElement settings, string kind, string channel) => !settings.TryGetProperty(kind, out var wish) || wish.ValueKind switch
    {
        JsonValueKind.False => false,
        JsonValueKind.Array => wish.EnumerateArray().Any(one => one.ValueKind == JsonValueKind.String && one.GetString() == channel),
        _ => true,
    };

    /// <summary>Pure: the constitution, a line for each of its names.</summary>
    public static IReadOnlyList<string> Lines(JsonElement constitution) => [.. constitution.EnumerateObject().Select(line => $"{line.Name}: {Value(line.Value)}")];

    internal static string? WrongConstitution(JsonElement? given) => given switch
    {
        not { ValueKind: JsonValueKind.Object } => null,
        var lines when lines.Value.EnumerateObject().Count() > MostLines => $"Has at most {MostLines} lines.",
        var lines when lines.Value.EnumerateObject().Any(line => line.Name.Length is 0 or > LongestName) => $"Names have 1 to {LongestName} characters.",
        var lines when !lines.Value.EnumerateObject().All(line => IsPlain(line.Value) || (line.Value.ValueKind == JsonValueKind.Array && line.Value.EnumerateArray().All(IsPlain))) =>
            "Values are texts, numbers, true or false, or lists of them.",
        var lines when lines.Value.EnumerateObject().Any(line => Value(line.Value).Length > LongestValue) => $"Values have at most {LongestValue} characters.",
        _ => null,
    };

    internal static string? WrongNotifications(JsonElement? given) => given switch
    {
        not { ValueKind: JsonValueKind.Object } => null,
        var wishes when wishes.Value.EnumerateObject().Any(wish => !Kinds.Contains(wish.Name)) => $"Knows {string.Join(" and ", Kinds)}.",
        var wishes when !wishes.Value.EnumerateObject().All(wish => wish.Value.ValueKind is JsonValueKind.True or JsonValueKind.False || IsChannels(wish.Value)) =>
            $"Each is true, false, or a list of {string.Join(" and ", Channels)}.",
        _ => null,
    };

    private static bool IsPlain(JsonElement value) => value.ValueKind is JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False;

    private static bool IsChannels(JsonElement value) =>
        value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(one => one.ValueKind == JsonValueKind.String && Channels.Contains(one.GetString()));

    private static string Value(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Array => string.Join(", ", value.EnumerateArray().Select(Value)),
        JsonValueKind.True => "yes",
        JsonValueKind.False => "no",
        _ => value.GetRawText(),
    };
}
