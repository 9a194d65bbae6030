using System.Text;
using AgentPlatform.Kernel;

namespace AgentPlatform.Channels.Intake;

/// <summary>Reads <c>application/x-www-form-urlencoded</c> strictly: what is not UTF-8, or not a form, is refused rather than repaired.</summary>
internal static class FormReading
{
    private const int MaxFields = 1000;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    internal static Problem Malformed(string detail) => Problem.BadRequest("malformed_body", "The request body cannot be read.", detail);

    internal static Result<List<KeyValuePair<string, string>>> Parse(ReadOnlySpan<byte> body)
    {
        var fields = new List<KeyValuePair<string, string>>();
        try
        {
            foreach (var part in Strict.GetString(body).Split('&', StringSplitOptions.RemoveEmptyEntries))
            {
                if (fields.Count == MaxFields)
                {
                    return Malformed($"A form has at most {MaxFields} fields.");
                }

                var equals = part.IndexOf('=', StringComparison.Ordinal);
                if (equals <= 0)
                {
                    return Malformed("A form is made of name=value pairs.");
                }

                fields.Add(KeyValuePair.Create(Decode(part[..equals]), Decode(part[(equals + 1)..])));
            }
        }
        catch (DecoderFallbackException)
        {
            return Malformed("The form is not UTF-8.");
        }
        catch (FormatException)
        {
            return Malformed("A percent sign is not followed by two hex digits.");
        }

        return fields;
    }

    internal static string? Field(this IEnumerable<KeyValuePair<string, string>> form, string name) =>
        form.FirstOrDefault(f => f.Key == name).Value is { Length: > 0 } value ? value : null;

    private static string Decode(string text)
    {
        if (!text.Contains('%', StringComparison.Ordinal))
        {
            return text.Replace('+', ' ');
        }

        var bytes = new List<byte>(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '%')
            {
                bytes.AddRange(Convert.FromHexString(text.AsSpan(i + 1, i + 3 <= text.Length ? 2 : throw new FormatException())));
                i += 2;
            }
            else if (text[i] == '+')
            {
                bytes.Add((byte)' ');
            }
            else
            {
                bytes.AddRange(Encoding.UTF8.GetBytes(text, i, char.IsHighSurrogate(text[i]) ? 2 : 1));
                i += char.IsHighSurrogate(text[i]) ? 1 : 0;
            }
        }

        return Strict.GetString([.. bytes]);
    }
}
