using System.Globalization;
using System.Net.Mail;
using System.Text;

namespace AgentPlatform.Channels.Email;

/// <summary>A mail as it goes over the wire, and its Message-ID without brackets.</summary>
internal sealed record MailText(string MessageId, string Text)
{
    private const int MaxEncodedBytes = 45;
    private const int MaxReferences = 20;

    public static MailText Compose(OutboundMessage message, MailAddress from, MailAddress to, DateTimeOffset now)
    {
        // The same on every attempt, so that whoever receives a mail twice can tell.
        var id = $"{message.Id:N}@{from.Host}";
        var text = new StringBuilder();
        Header(text, "From", Address(from));
        Header(text, "To", Address(new MailAddress(to.Address, message.ToName)));
        Header(text, "Subject", Encode(message.Subject ?? "Message"));
        Header(text, "Date", now.ToString("ddd, dd MMM yyyy HH:mm:ss +0000", CultureInfo.InvariantCulture));
        Header(text, "Message-ID", $"<{id}>");
        if (message.InReplyTo is { } answered)
        {
            Header(text, "In-Reply-To", $"<{answered}>");
        }

        if (message.References.Count > 0)
        {
            Header(text, "References", string.Join("\r\n ", message.References.TakeLast(MaxReferences).Select(r => $"<{Clean(r)}>")), clean: false);
        }

        Header(text, "Auto-Submitted", "auto-generated");
        Header(text, "MIME-Version", "1.0");
        Header(text, "Content-Type", "text/plain; charset=utf-8");
        Header(text, "Content-Transfer-Encoding", "base64");
        text.Append("\r\n").Append(Convert.ToBase64String(Encoding.UTF8.GetBytes(message.Text.ReplaceLineEndings("\r\n")), Base64FormattingOptions.InsertLineBreaks).ReplaceLineEndings("\r\n"));
        return new MailText(id, text.ToString());
    }

    private static void Header(StringBuilder text, string name, string value, bool clean = true) => text.Append(name).Append(": ").Append(clean ? Clean(value, keepFolds: true) : value).Append("\r\n");

    /// <summary>No value may end its header and begin another one.</summary>
    private static string Clean(string value, bool keepFolds = false)
    {
        var text = keepFolds ? value.Replace('\u0001', ' ').Replace("\r\n ", "\u0001", StringComparison.Ordinal) : value.Replace('\u0001', ' ');
        return new string([.. text.Select(c => char.IsControl(c) && c != '\u0001' ? ' ' : c)]).Replace("\u0001", "\r\n ", StringComparison.Ordinal).Trim();
    }

    private static string Address(MailAddress address) => address.DisplayName.Length == 0 ? address.Address : $"{Encode(address.DisplayName, quoted: true)} <{address.Address}>";

    /// <summary>RFC 2047: what is not plain ASCII becomes encoded words of at most 75 characters, never breaking a character.</summary>
    private static string Encode(string value, bool quoted = false)
    {
        var plain = new string([.. value.Select(c => char.IsControl(c) ? ' ' : c)]);
        if (plain.All(char.IsAscii) && plain.Length <= 200)
        {
            return quoted ? $"\"{plain.Replace("\\", "", StringComparison.Ordinal).Replace("\"", "", StringComparison.Ordinal)}\"" : plain;
        }

        var words = new List<string>();
        var word = new List<byte>();
        foreach (var rune in plain.EnumerateRunes())
        {
            var bytes = Encoding.UTF8.GetBytes(rune.ToString());
            if (word.Count + bytes.Length > MaxEncodedBytes)
            {
                words.Add(Word(word));
                word.Clear();
            }

            word.AddRange(bytes);
        }

        words.Add(Word(word));
        return string.Join("\r\n ", words);
    }

    private static string Word(List<byte> bytes) => $"=?utf-8?B?{Convert.ToBase64String([.. bytes])}?=";
}
