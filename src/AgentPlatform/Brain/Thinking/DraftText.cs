using System.Globalization;
using System.Text;

namespace AgentPlatform.Brain.Thinking;

/// <summary>Pure: what a form says and asks, as far as it is written. The form is JSON that may stop anywhere.</summary>
internal static class DraftText
{
    private const int HexDigits = 4;

    /// <summary>The same text that a whole form would be told with: what is said, line by line, then what is asked.</summary>
    internal static string Of(string form)
    {
        var (said, asked) = (new List<string>(), "");
        var (depth, key, list) = (1, (string?)null, false);
        for (var i = Beginning(form); i < form.Length && depth > 0; i++)
        {
            switch (form[i])
            {
                case '"':
                    (var text, i) = Read(form, i + 1);
                    if (depth == 1 && key is null)
                    {
                        key = text;
                    }
                    else if (depth == 1 && key == "ask")
                    {
                        asked = text;
                    }
                    else if (depth == 2 && list && key == "say")
                    {
                        said.Add(text);
                    }

                    break;
                case '{' or '[':
                    list = ++depth == 2 && form[i] == '[';
                    break;
                case '}' or ']':
                    depth--;
                    break;
                case ',' when depth == 1:
                    key = null;
                    break;
            }
        }

        return string.Join('\n', said.Append(asked).Where(part => !string.IsNullOrWhiteSpace(part)));
    }

    /// <summary>After the brace; models without functions may write words before it.</summary>
    private static int Beginning(string form) => form.IndexOf('{') is >= 0 and var brace ? brace + 1 : form.Length;

    /// <summary>A string without its quotes and escapes, and where it ends. What is not whole at the end of the form is left out.</summary>
    private static (string Text, int End) Read(string form, int from)
    {
        var text = new StringBuilder();
        var i = from;
        while (i < form.Length && form[i] != '"')
        {
            if (form[i] != '\\')
            {
                text.Append(form[i++]);
            }
            else if (Unescaped(form, i) is { } one)
            {
                text.Append(one.Char);
                i += one.Length;
            }
            else
            {
                i = form.Length;
            }
        }

        // Half of a pair: the other half is still to come.
        var whole = i >= form.Length && text.Length > 0 && char.IsHighSurrogate(text[^1]) ? text.Length - 1 : text.Length;
        return (text.ToString(0, whole), i);
    }

    private static (char Char, int Length)? Unescaped(string form, int at) => at + 1 >= form.Length ? null : form[at + 1] switch
    {
        'u' when at + 2 + HexDigits > form.Length => null,
        'u' => ushort.TryParse(form.AsSpan(at + 2, HexDigits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code) ? ((char)code, 2 + HexDigits) : null,
        'n' => ('\n', 2),
        't' => ('\t', 2),
        'r' => ('\r', 2),
        'b' => ('\b', 2),
        'f' => ('\f', 2),
        var other => (other, 2),
    };
}
