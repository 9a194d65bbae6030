using System.Text;

namespace AgentPlatform.Kernel;

/// <summary>Texts from outside, as they may be kept: UTF-16 can hold what UTF-8, and so Postgres, cannot.</summary>
public static class Texts
{
    /// <summary>
    /// The beginning of a text, at most <paramref name="most"/> characters of it, and <paramref name="mark"/> behind it when something was left out. A character
    /// that takes two is not cut in half: the half could be neither stored nor sent.
    /// </summary>
    public static string Clip(this string text, int most, string mark = "") =>
        text.Length <= most ? text : string.Concat(text.AsSpan(0, most > 0 && char.IsHighSurrogate(text[most - 1]) ? most - 1 : most), mark);

    /// <summary>The text as Postgres can hold it: without U+0000, which carries no meaning, and with U+FFFD for half a surrogate pair.</summary>
    public static string Storable(this string text)
    {
        var whole = text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') < 0 ? text : Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
        return whole.Replace("\0", "", StringComparison.Ordinal);
    }
}
