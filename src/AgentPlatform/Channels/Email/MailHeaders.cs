using System.Text.RegularExpressions;

namespace AgentPlatform.Channels.Email;

/// <summary>The headers that say which mail this is, what it answers, and whether a machine wrote it. Ids are without angle brackets.</summary>
internal sealed partial record MailHeaders(string? MessageId, string? InReplyTo, IReadOnlyList<string> References, string? Date, bool IsAutomatic)
{
    private const int MaxReferences = 50;

    /// <summary>The mails this one answers, the nearest first.</summary>
    public IReadOnlyList<string> Thread =>
        [.. (InReplyTo is null ? References.Reverse() : References.Reverse().Prepend(InReplyTo)).Distinct(StringComparer.Ordinal).Take(MaxReferences)];

    /// <summary>Reads a block of raw headers; folded lines are joined.</summary>
    public static MailHeaders Parse(string raw)
    {
        var fields = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var line in Folding().Replace(raw, " ").Split('\n'))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0)
            {
                fields.TryAdd(line[..colon].Trim(), line[(colon + 1)..].Trim());
            }
        }

        return Of(name => fields.GetValueOrDefault(name));
    }

    public static MailHeaders Of(Func<string, string?> field) => new(
        Id(field("Message-ID")),
        Id(field("In-Reply-To")),
        Ids(field("References")),
        field("Date"),
        // RFC 3834: never answer an automatic answer, or two machines write to each other for ever.
        field("Auto-Submitted") is { } auto && !auto.StartsWith("no", StringComparison.OrdinalIgnoreCase)
            || field("Precedence") is { } precedence && precedence.Trim().ToLowerInvariant() is "bulk" or "junk" or "auto_reply"
            || field("X-Auto-Response-Suppress") is not null && field("X-Autoreply") is not null);

    /// <summary>Ids in angle brackets, or one bare id.</summary>
    public static IReadOnlyList<string> Ids(string? value)
    {
        if (string.IsNullOrWhiteSpace(value))
        {
            return [];
        }

        var bracketed = Bracketed().Matches(value).Select(m => m.Groups["id"].Value.Trim()).ToList();
        return bracketed.Count > 0 ? bracketed : [.. value.Split([' ', ',', '\t'], StringSplitOptions.RemoveEmptyEntries)];
    }

    /// <summary>The first id of a value, or null.</summary>
    public static string? Id(string? value) => Ids(value) is [var first, ..] ? first : null;

    [GeneratedRegex(@"\r?\n[ \t]+", RegexOptions.None, 1000)]
    private static partial Regex Folding();

    [GeneratedRegex("<(?<id>[^<>]+)>", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Bracketed();
}
