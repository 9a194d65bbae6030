using System.Net;
using System.Text.RegularExpressions;

namespace AgentPlatform.Channels.Email;

/// <summary>What the writer of a mail says now: without the mail that is quoted below it and without the signature.</summary>
internal static partial class QuotedText
{
    /// <summary>The whole text when nothing would be left of it.</summary>
    public static string Strip(string text)
    {
        var lines = text.ReplaceLineEndings("\n").Split('\n');
        var end = lines.Length;
        for (var i = 0; i < end; i++)
        {
            if (StartsQuote(lines, i) || lines[i] is "-- " or "--" || Device().IsMatch(lines[i]))
            {
                end = i;
            }
        }

        var said = lines[..end];
        // A quotation at the very end that nothing introduces; one that is answered in between stays.
        while (said.Length > 0 && (said[^1].StartsWith('>') || string.IsNullOrWhiteSpace(said[^1])))
        {
            said = said[..^1];
        }

        var result = string.Join('\n', said).Trim();
        return result.Length > 0 ? result : text.Trim();
    }

    private static bool StartsQuote(string[] lines, int at)
    {
        var line = lines[at].Trim();
        if (Original().IsMatch(line))
        {
            return true;
        }

        // "On … wrote:" may be broken over up to three lines.
        if (Introduction().IsMatch(line))
        {
            var joined = string.Join(' ', lines.Skip(at).Take(3).Select(l => l.Trim()));
            return Wrote().IsMatch(joined);
        }

        // Outlook's block: From, then Sent or Date, To, Subject.
        return line.StartsWith("From:", StringComparison.OrdinalIgnoreCase) && at + 1 < lines.Length && OutlookSecond().IsMatch(lines[at + 1].Trim());
    }

    [GeneratedRegex(@"^-{2,}\s*(Original Message|Forwarded message|Ursprüngliche Nachricht|Message d'origine|Mensaje original)\s*-{2,}$|^_{10,}$", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Original();

    [GeneratedRegex(@"^(On|Am|Le|El|Il|Op)\s.{4,}", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Introduction();

    [GeneratedRegex(@"^(On\s.{4,300}?\bwrote|Am\s.{4,300}?\bschrieb\b[^:]{0,200}|Le\s.{4,300}?\ba écrit|El\s.{4,300}?\bescribió|Il\s.{4,300}?\bha scritto|Op\s.{4,300}?\bschreef\b[^:]{0,200})\s?:(\s|$)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Wrote();

    [GeneratedRegex("^(Sent|Date|To|Gesendet|Envoyé|Enviado):", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex OutlookSecond();

    [GeneratedRegex(@"^(Sent from my |Get Outlook for |Von meinem .{1,40} gesendet|Envoyé de mon )", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Device();
}

/// <summary>Readable text of an HTML mail: paragraphs kept, everything that is not text dropped.</summary>
internal static partial class HtmlText
{
    public static string From(string html)
    {
        var text = Invisible().Replace(html, "");
        text = Quote().Replace(text, "\n");
        text = Break().Replace(text, "\n");
        text = WebUtility.HtmlDecode(Tag().Replace(text, ""));
        return Blank().Replace(text.ReplaceLineEndings("\n"), "\n\n").Trim();
    }

    [GeneratedRegex(@"<(?<tag>script|style|head|title)\b.*?</\k<tag>\s*>|<!--.*?-->", RegexOptions.IgnoreCase | RegexOptions.Singleline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Invisible();

    [GeneratedRegex(@"<blockquote\b.*</blockquote\s*>", RegexOptions.IgnoreCase | RegexOptions.Singleline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Quote();

    [GeneratedRegex(@"<br\b[^>]*>|</(p|div|li|tr|h[1-6])\s*>", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Break();

    [GeneratedRegex("<[^>]*>", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Tag();

    [GeneratedRegex(@"[ \t]*\n([ \t]*\n)+", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Blank();
}
