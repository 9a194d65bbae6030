using System.Text;

namespace AgentPlatform.Channels.Twilio;

public enum SmsEncoding
{
    Gsm7,
    Ucs2,
}

/// <summary>How many SMS segments a text costs: 160/153 septets in the GSM 03.38 alphabet, else 70/67 UTF-16 units (3GPP TS 23.038, 23.040).</summary>
public sealed record SmsSegments(SmsEncoding Encoding, int Units, int Segments)
{
    private const string Basic =
        "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

    private const string Extended = "\f^{}\\[~]|€";

    public static SmsSegments Count(string text)
    {
        if (text.All(c => Basic.Contains(c) || Extended.Contains(c)))
        {
            var septets = text.Sum(Septets);
            return new(SmsEncoding.Gsm7, septets, septets <= 160 ? 1 : Pack(text.Select(Septets), 153));
        }

        return new(SmsEncoding.Ucs2, text.Length, text.Length <= 70 ? 1 : Pack(text.EnumerateRunes().Select(r => r.Utf16SequenceLength), 67));
    }

    private static int Septets(char c) => Extended.Contains(c) ? 2 : 1;

    // A character of two units is never split over two segments, so the remainder of a segment can stay empty.
    private static int Pack(IEnumerable<int> widths, int capacity)
    {
        var (segments, used) = (1, 0);
        foreach (var width in widths)
        {
            (segments, used) = used + width > capacity ? (segments + 1, width) : (segments, used + width);
        }

        return segments;
    }
}
