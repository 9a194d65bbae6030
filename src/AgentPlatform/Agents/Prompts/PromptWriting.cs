using System.Text.RegularExpressions;

namespace AgentPlatform.Agents.Prompts;

/// <summary>
/// Pure: what is wrong with a prompt template before it is ever filled in. It may use the variables of its part, <c>#if</c>, <c>#unless</c> and
/// <c>#each</c>; a name that nothing will fill is an error and not an empty place.
/// </summary>
internal static partial class PromptWriting
{
    private const string Item = "[]";

    private static readonly string[] OfEach = ["@index", "@first", "@last"];

    /// <summary>Null when the template can be used.</summary>
    internal static string? Error(string template, IReadOnlyCollection<string> variables)
    {
        var lists = new Stack<string?>();
        foreach (var tag in Tag().Matches(template).Select(match => match.Groups["body"].Value.Trim()).Where(body => body.Length > 0 && body[0] != '!'))
        {
            var scope = lists.TryPeek(out var list) ? list : null;
            if (tag[0] == '/')
            {
                lists.TryPop(out _);
            }
            else if (tag[0] == '#')
            {
                var (helper, path) = tag[1..].Split(' ', 2, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) is [var first, var rest] ? (first, rest) : (tag[1..], "");
                if (Opened(helper, path, scope, variables) is { } error)
                {
                    return error;
                }

                lists.Push(helper == "each" ? path : scope);
            }
            else if (tag != "else" && !IsKnown(tag, scope, variables))
            {
                return Unknown(tag);
            }
        }

        return Writing.Error(template);
    }

    private static string? Opened(string helper, string path, string? scope, IReadOnlyCollection<string> variables) => helper switch
    {
        "each" => scope is null && variables.Contains(path + Item) ? null : $"There is no list {{{{{path}}}}} here.",
        "if" or "unless" => IsKnown(path, scope, variables) || (scope is null && variables.Contains(path + Item)) ? null : Unknown(path),
        _ => $"Cannot use #{helper}: only #if, #unless and #each.",
    };

    private static bool IsKnown(string path, string? list, IReadOnlyCollection<string> variables)
    {
        if (list is null)
        {
            return variables.Contains(path);
        }

        var own = path.StartsWith("this.", StringComparison.Ordinal) ? path["this.".Length..] : path;
        return OfEach.Contains(path) || variables.Contains($"{list}{Item}.{own}") || (path == "this" && !variables.Any(name => name.StartsWith($"{list}{Item}.", StringComparison.Ordinal)));
    }

    private static string Unknown(string name) => $"There is no variable {{{{{name}}}}} here.";

    [GeneratedRegex(@"\{\{!--.*?--\}\}|\{\{~?(?<body>[^}]*?)~?\}\}", RegexOptions.Singleline | RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Tag();
}
