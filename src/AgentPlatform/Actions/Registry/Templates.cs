using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using AgentPlatform.Kernel;
using HandlebarsDotNet;

namespace AgentPlatform.Actions.Registry;

/// <summary>A template that cannot be rendered as written, or a value that must not stand where the template puts it.</summary>
public sealed class TemplateException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>
/// Handlebars for each place a value can land: every expression is escaped for its place, and the unescaped forms
/// (<c>{{{x}}}</c>, <c>{{&amp;x}}</c>) are refused, so no value can leave its place.
/// </summary>
public static partial class Templates
{
    private const int MaxCached = 2000;
    private static readonly ConcurrentDictionary<(ITextEncoder Place, string Template), HandlebarsTemplate<object, object>> Compiled = new();

    /// <summary>Text that people read.</summary>
    public static string Text(string template, JsonElement data) => Render(Places.Text, template, data);

    /// <summary>A URL: each value is percent-encoded as one component; dots alone, which would climb the path, are refused.</summary>
    public static string Url(string template, JsonElement data) => Render(Places.Url, template, data);

    /// <summary>A header value: line breaks and other control characters vanish.</summary>
    public static string Header(string template, JsonElement data) => Render(Places.Header, template, data);

    /// <summary>
    /// A JSON value whose strings are templates. The structure comes from the template alone; a string that is one bare expression
    /// becomes the value itself, so that a number stays a number.
    /// </summary>
    public static JsonNode? Body(JsonElement template, JsonElement data) => template.ValueKind switch
    {
        JsonValueKind.Object => new JsonObject(template.EnumerateObject().Select(p => KeyValuePair.Create(p.Name, Body(p.Value, data)))),
        JsonValueKind.Array => new JsonArray([.. template.EnumerateArray().Select(item => Body(item, data))]),
        JsonValueKind.String when BareExpression().Match(template.GetString()!) is { Success: true } match =>
            JsonPath.Find(data, match.Groups["path"].Value) is { } value ? JsonNode.Parse(value.GetRawText()) : null,
        JsonValueKind.String => Text(template.GetString()!, data),
        _ => JsonNode.Parse(template.GetRawText()),
    };

    /// <summary>Null when the template compiles, else what is wrong with it.</summary>
    public static string? Error(string template)
    {
        try
        {
            Compile(Places.Text, template);
            return null;
        }
        catch (TemplateException e)
        {
            return e.Message;
        }
    }

    private static string Render(ITextEncoder place, string template, JsonElement data)
    {
        if (!template.Contains("{{", StringComparison.Ordinal))
        {
            return template;
        }

        try
        {
            return Compile(place, template)(Plain(data) ?? new Dictionary<string, object?>());
        }
        catch (HandlebarsException e)
        {
            throw new TemplateException(e.InnerException is TemplateException inner ? inner.Message : e.Message, e);
        }
    }

    private static HandlebarsTemplate<object, object> Compile(ITextEncoder place, string template)
    {
        if (Compiled.TryGetValue((place, template), out var compiled))
        {
            return compiled;
        }

        if (Unescaped().IsMatch(template))
        {
            throw new TemplateException("Unescaped expressions ({{{x}}}, {{&x}}) and partials are not allowed.");
        }

        try
        {
            compiled = Handlebars.Create(new HandlebarsConfiguration { TextEncoder = place, FormatProvider = CultureInfo.InvariantCulture })
                .Compile(template);
        }
        catch (HandlebarsException e)
        {
            throw new TemplateException(e.Message, e);
        }

        if (Compiled.Count >= MaxCached)
        {
            Compiled.Clear();
        }

        return Compiled[(place, template)] = compiled;
    }

    private static object? Plain(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => value.EnumerateObject().GroupBy(p => p.Name, StringComparer.Ordinal)
            .ToDictionary(p => p.Key, p => Plain(p.Last().Value), StringComparer.Ordinal),
        JsonValueKind.Array => value.EnumerateArray().Select(Plain).ToList(),
        JsonValueKind.String => value.GetString(),
        JsonValueKind.Number => value.TryGetDecimal(out var number) ? number : value.GetDouble(),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => null,
    };

    [GeneratedRegex(@"^\s*\{\{\s*(?<path>[A-Za-z_][\w.]*)\s*\}\}\s*$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex BareExpression();

    [GeneratedRegex(@"\{\{\{|\{\{~?\s*[&>]", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Unescaped();

    private static class Places
    {
        internal static readonly ITextEncoder Text = new Place(text => text);
        internal static readonly ITextEncoder Url = new Place(Component);
        internal static readonly ITextEncoder Header = new Place(text => new string([.. text.Where(c => !char.IsControl(c))]));

        private static string Component(string value) => value.Length > 0 && value.All(c => c == '.')
            ? throw new TemplateException("A value of dots alone is not allowed in a URL.")
            : Uri.EscapeDataString(value);
    }

    private sealed class Place(Func<string, string> escape) : ITextEncoder
    {
        public void Encode(StringBuilder? text, TextWriter target) => target.Write(escape(text?.ToString() ?? ""));

        public void Encode(string? text, TextWriter target) => target.Write(escape(text ?? ""));

        public void Encode<T>(T? text, TextWriter target)
            where T : IEnumerator<char>
        {
            var value = new StringBuilder();
            while (text?.MoveNext() == true)
            {
                value.Append(text.Current);
            }

            target.Write(escape(value.ToString()));
        }
    }
}
