using System.Text;
using System.Text.RegularExpressions;

namespace AgentPlatform.Tests.Infra;

/// <summary>What a Bicep file declares and what it names, read far enough to find a name that nothing declares.</summary>
internal sealed partial class BicepFile
{
    private readonly string _code;

    private BicepFile(string path, string text)
    {
        FilePath = path;
        Text = text;
        _code = CodeOf(text);
    }

    internal string FilePath { get; }

    internal string Text { get; }

    internal IReadOnlyList<string> Parameters => [.. Declaration().Matches(_code).Where(m => m.Groups["what"].Value == "param").Select(m => m.Groups["name"].Value)];

    internal IReadOnlyList<string> RequiredParameters =>
        [.. Declaration().Matches(_code).Where(m => m.Groups["what"].Value == "param" && !m.Groups["rest"].Value.Contains('=', StringComparison.Ordinal)).Select(m => m.Groups["name"].Value)];

    internal IReadOnlyList<string> Outputs => [.. Declaration().Matches(_code).Where(m => m.Groups["what"].Value == "output").Select(m => m.Groups["name"].Value)];

    /// <summary>Every symbol the file declares: parameters, variables, resources, modules, variables of loops and lambdas.</summary>
    internal IReadOnlySet<string> Symbols => Declaration().Matches(_code).Where(m => m.Groups["what"].Value != "output").Select(m => m.Groups["name"].Value)
        .Concat(Loop().Matches(_code).Select(m => m.Groups["name"].Value))
        .ToHashSet(StringComparer.Ordinal);

    /// <summary>Names that stand for something: neither keys, nor members, nor functions, nor types.</summary>
    internal IReadOnlySet<string> References => Reference().Matches(WithoutTypes().Replace(_code, "${what} ")).Select(m => m.Value)
        .Where(name => !Words.Contains(name)).ToHashSet(StringComparer.Ordinal);

    internal IReadOnlyList<BicepModule> Modules =>
        [.. Module().Matches(Text).Select(m => new BicepModule(m.Groups["name"].Value, Path.Combine(Path.GetDirectoryName(FilePath)!, m.Groups["path"].Value), ParametersAfter(m.Index)))];

    /// <summary>What is read of a module: its symbol and the output.</summary>
    internal IReadOnlyList<(string Module, string Output)> ModuleOutputs =>
        [.. ModuleOutput().Matches(Text).Select(m => (m.Groups["module"].Value, m.Groups["output"].Value)).Distinct()];

    internal IReadOnlyList<(string Name, string Id)> RoleIds => [.. Role().Matches(Text).Select(m => (m.Groups["name"].Value, m.Groups["id"].Value))];

    private static IReadOnlySet<string> Words { get; } = new HashSet<string>(StringComparer.Ordinal)
    {
        "targetScope", "param", "var", "resource", "module", "output", "existing", "if", "for", "in", "true", "false", "null", "string", "int", "bool", "object", "array",
    };

    internal static BicepFile Read(string path) => new(path, File.ReadAllText(path));

    /// <summary>The keys of the object after <c>params:</c>, from a place in the text on.</summary>
    private HashSet<string> ParametersAfter(int index)
    {
        var start = Text.IndexOf("params: {", index, StringComparison.Ordinal);
        var end = start;
        var depth = 0;
        do
        {
            depth += Text[end] switch { '{' => 1, '}' => -1, _ => 0 };
            end++;
        }
        while (depth > 0 || Text[end - 1] != '}');
        return [.. Key().Matches(Text[(start + "params: {".Length)..end]).Select(m => m.Groups["name"].Value)];
    }

    /// <summary>The text without comments and literal text; what strings interpolate stays.</summary>
    private static string CodeOf(string text)
    {
        var code = new StringBuilder();
        foreach (var line in text.Split('\n'))
        {
            var quoted = false;
            var interpolating = 0;
            for (var i = 0; i < line.Length; i++)
            {
                var inText = quoted && interpolating == 0;
                if (!inText && line[i] == '/' && i + 1 < line.Length && line[i + 1] == '/')
                {
                    break;
                }

                if (inText && line[i] == '$' && line[i + 1] == '{')
                {
                    interpolating = 1;
                    i++;
                    code.Append(' ');
                }
                else if (interpolating > 0 && line[i] == '}')
                {
                    interpolating = 0;
                    code.Append(' ');
                }
                else if (line[i] == '\'' && interpolating == 0)
                {
                    quoted = !quoted;
                    code.Append('\'');
                }
                else if (!inText)
                {
                    code.Append(line[i]);
                }
            }

            code.Append('\n');
        }

        return code.ToString();
    }

    [GeneratedRegex(@"^\s*(?<what>param|var|output|resource|module) (?<name>\w+)(?<rest>[^\n]*)", RegexOptions.Multiline, 1000)]
    private static partial Regex Declaration();

    [GeneratedRegex(@"\bfor (?<name>\w+) in\b|\b(?<name>\w+) =>", RegexOptions.None, 1000)]
    private static partial Regex Loop();

    [GeneratedRegex(@"(?<![\w.:@'])[A-Za-z_]\w*(?!\w)(?!\s*\()(?!:)(?!')", RegexOptions.None, 1000)]
    private static partial Regex Reference();

    [GeneratedRegex(@"(?<what>\b(param|output|var|resource|module)) \w+( (string|int|bool|object|array)\b)?", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex WithoutTypes();

    [GeneratedRegex(@"^module (?<name>\w+) '(?<path>[^']+)'", RegexOptions.Multiline, 1000)]
    private static partial Regex Module();

    [GeneratedRegex(@"\b(?<module>\w+)!?\.outputs\.(?<output>\w+)", RegexOptions.None, 1000)]
    private static partial Regex ModuleOutput();

    [GeneratedRegex(@"^var (?<name>\w+) = '(?<id>[0-9a-f]{8}-[0-9a-f-]{27})'", RegexOptions.Multiline, 1000)]
    private static partial Regex Role();

    [GeneratedRegex(@"^\s+(?<name>\w+):", RegexOptions.Multiline, 1000)]
    private static partial Regex Key();
}

/// <summary>One use of a module: its symbol, the file, and the parameters it is given.</summary>
internal sealed record BicepModule(string Symbol, string FilePath, IReadOnlySet<string> Given);
