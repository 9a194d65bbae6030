namespace AgentPlatform.Kernel;

/// <summary>Phone numbers in E.164: a plus sign and 8 to 15 digits (ITU-T E.164).</summary>
public static class PhoneNumber
{
    /// <summary>Accepts spaces, dots, dashes and brackets around an international number ("+1 (415) 555-0100", "0049 30 …").</summary>
    public static bool TryNormalize(string? raw, out string e164)
    {
        e164 = "";
        if (string.IsNullOrWhiteSpace(raw) || raw.Length > 40)
        {
            return false;
        }

        Span<char> digits = stackalloc char[40];
        var count = 0;
        foreach (var c in raw.AsSpan().Trim())
        {
            if (char.IsAsciiDigit(c) || (c == '+' && count == 0))
            {
                digits[count++] = c;
            }
            else if (c is not (' ' or '-' or '.' or '(' or ')' or '/' or '\u00a0'))
            {
                return false;
            }
        }

        var text = digits[..count];
        if (text.StartsWith("00"))
        {
            e164 = $"+{text[2..]}";
        }
        else if (text.StartsWith("+"))
        {
            e164 = text.ToString();
        }

        return e164.Length is >= 9 and <= 16 && e164[1] != '0';
    }
}
