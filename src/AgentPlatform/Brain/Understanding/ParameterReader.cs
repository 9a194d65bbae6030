using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;

namespace AgentPlatform.Brain.Understanding;

/// <summary>Reads an action's parameters out of what was said.</summary>
internal static partial class ParameterReader
{
    private const int MaxLength = 500;

    private const string OneValueEnds = @"(?=\s*(?:$|[,;.!?\r\n](?:\s|$)|\s(?:in|at|for|from|near|with|on|by|to|and|as|my|please|tomorrow|today)\s))";

    /// <summary>
    /// By the registry's phrases, by type, by the words of an enumeration; and, for the parameter that was <paramref name="asked"/> for,
    /// the whole answer. An entity fills one parameter only.
    /// </summary>
    internal static Dictionary<string, JsonElement> Read(
        ActionDefinition action, string text, IReadOnlyList<Entity> entities, string? asked, IEnumerable<string>? exclude = null)
    {
        var values = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        var left = entities.ToList();
        var names = action.Required.Concat(action.Optional).Except(exclude ?? [], StringComparer.Ordinal);
        foreach (var name in asked is null ? names : names.OrderBy(name => name == asked ? 0 : 1))
        {
            var rule = action.Rule(name);
            if (ByPhrase(rule, text) is { } phrase)
            {
                values[name] = Typed(rule, phrase);
            }
            else if (ByType(rule, left) is { } entity)
            {
                left.Remove(entity);
                values[name] = Typed(rule, entity.Value);
            }
            else if (ByEnumeration(rule, text) is { } option)
            {
                values[name] = Json.Of(option);
            }
            else if (ByPattern(rule, text) is { } code)
            {
                values[name] = Typed(rule, code);
            }
            else if (name == asked && Whole(rule, text) is { } answer)
            {
                values[name] = Typed(rule, answer);
            }
        }

        return values;
    }

    /// <summary>The value that the rule itself finds in a text, whoever asked for it: by example, by list, by pattern.</summary>
    internal static string? Told(ParameterRule rule, string text) => ByPhrase(rule, text) ?? ByEnumeration(rule, text) ?? ByPattern(rule, text);

    private static string? ByPhrase(ParameterRule rule, string text)
    {
        var said = text.Clip(MaxLength);
        foreach (var phrase in rule.Extract)
        {
            var parts = phrase.Split("{value}");
            // What {value} is written right after begins the value: "apply for J{value}" reads J101.
            var stem = parts[0][(parts[0].LastIndexOf(' ') + 1)..];
            var before = parts[0][..^stem.Length].TrimEnd();
            var left = before.Length == 0 ? stem.Length == 0 ? "^" : @"(?<!\w)" : (char.IsLetterOrDigit(before[0]) ? @"(?<!\w)" : "") + Regex.Escape(before) + @"\s*(?<=\W)";
            var (value, end) = rule.Type == "array" ? ("[^\r\n]+?", @"(?=\s*(?:$|[.!?\r\n](?:\s|$)))") : ("[^\r\n,;]+?", OneValueEnds);
            var right = parts[1].Trim().Length > 0
                ? @"\s+" + Regex.Escape(parts[1].Trim()) + @"(?!\w)"
                : end;
            var match = Regex.Match(said, $"{left}(?<value>{Regex.Escape(stem)}{value}){right}", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));
            if (match.Success && Clean(match.Groups["value"].Value) is { Length: > 0 } found)
            {
                return found;
            }
        }

        return null;
    }

    private static Entity? ByType(ParameterRule rule, List<Entity> left) => rule.Type switch
    {
        "email" => left.Find(e => e.Type == Entities.Email),
        "phone" => left.Find(e => e.Type == Entities.Phone),
        "url" => left.Find(e => e.Type == Entities.Url),
        "date" => left.Find(e => e.Type == Entities.Date),
        "number" or "integer" => left.Find(e => e.Type == Entities.Number),
        _ => null,
    };

    private static string? ByEnumeration(ParameterRule rule, string text)
    {
        var said = $" {Phrases.Normalize(text)} ";
        return rule.Enum?.FirstOrDefault(option => said.Contains($" {Phrases.Normalize(option)} ", StringComparison.Ordinal));
    }

    /// <summary>A code, told from the words around it by its digits: the first that a pattern for the whole value fits.</summary>
    private static string? ByPattern(ParameterRule rule, string text) =>
        rule is { Type: "string", Pattern: ['^', .., '$'] pattern }
            ? text.Clip(MaxLength).Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Clean).FirstOrDefault(word => word.Any(char.IsDigit) && Parameters.Matches(pattern, word))
            : null;

    /// <summary>A typed question takes whatever was said too, so that its rule can say what is wrong with it.</summary>
    private static string? Whole(ParameterRule rule, string text)
    {
        var answer = Clean(LeadIn().Replace(text.Trim(), ""));
        return answer.Length == 0 ? null
            : rule.Type == "date" && answer.Length > 60 ? null
            : answer.Clip(2000);
    }

    private static JsonElement Typed(ParameterRule rule, string value) => rule.Type switch
    {
        "number" or "integer" when decimal.TryParse(value, System.Globalization.NumberStyles.Number, System.Globalization.CultureInfo.InvariantCulture, out var number) => Json.Of(number),
        "boolean" when Phrases.Normalize(value) is "yes" or "true" or "yeah" or "yep" => Json.Of(true),
        "boolean" when Phrases.Normalize(value) is "no" or "false" or "nope" => Json.Of(false),
        "phone" when PhoneNumber.TryNormalize(value, out var e164) => Json.Of(e164),
        "email" => Json.Of(value.ToLowerInvariant()),
        _ => Json.Of(value),
    };

    private static string Clean(string value) => value.Trim(' ', '\t', '\r', '\n', '.', ',', ';', '!', '?', '"', '“', '”');

    [GeneratedRegex(@"^(?:it'?s|it is|that'?s|that would be|my (?:\w+ ){1,3}is|i'?m (?:a|an|the)|i am (?:a|an|the)|i work (?:at|for|as an?)|the (?:\w+ ){1,2}is)\s+", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex LeadIn();
}
