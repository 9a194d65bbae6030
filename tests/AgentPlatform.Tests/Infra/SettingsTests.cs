using System.Reflection;
using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Tests.Rules;

namespace AgentPlatform.Tests.Infra;

/// <summary>A setting that the code reads is set on Azure or documented as optional; one that is set or documented is read.</summary>
public sealed partial class SettingsTests
{
    /// <summary>Read by the Functions host or by a library, by these names.</summary>
    private static readonly string[] ForOthers =
    [
        "AzureWebJobsStorage__accountName", "AzureWebJobsStorage__credential", "AzureWebJobsStorage__clientId", "AZURE_CLIENT_ID", "FUNCTIONS_WORKER_RUNTIME",
    ];

    private static readonly string[] Sources = Directory.GetFiles(Repository.Folder("src"), "*.cs", SearchOption.AllDirectories)
        .Where(f => !f.Contains("/obj/", StringComparison.Ordinal) && !f.Contains("/bin/", StringComparison.Ordinal)).ToArray();

    [Fact]
    public void Every_setting_the_code_reads_is_set_on_Azure_or_documented()
    {
        var known = SetOnAzure().Concat(Documented()).ToHashSet(StringComparer.Ordinal);
        Assert.Empty(Read().Where(setting => !known.Contains(setting)));
    }

    [Fact]
    public void Every_setting_that_is_set_or_documented_is_read()
    {
        var read = Read().ToHashSet(StringComparer.Ordinal);
        Assert.Empty(SetOnAzure().Concat(Documented()).Concat(Local()).Where(setting => !read.Contains(setting) && !ForOthers.Contains(setting)).Distinct());
    }

    [Fact]
    public void A_default_that_is_documented_is_the_codes()
    {
        var documented = Default().Matches(File.ReadAllText(Repository.Folder("docs/operations.md")))
            .ToDictionary(row => row.Groups["key"].Value, row => row.Groups["value"].Value, StringComparer.Ordinal);
        var defaults = Options().Where(option => documented.ContainsKey(option.Setting)).ToDictionary(
            option => option.Setting,
            option => JsonSerializer.Serialize(option.Property.GetValue(Activator.CreateInstance(option.Property.DeclaringType!))),
            StringComparer.Ordinal);

        Assert.NotEmpty(defaults);
        Assert.Equal(defaults.OrderBy(d => d.Key, StringComparer.Ordinal), documented.Where(d => defaults.ContainsKey(d.Key)).OrderBy(d => d.Key, StringComparer.Ordinal));
    }

    /// <summary>Options by their section and properties, single settings by their name in the code.</summary>
    private static IEnumerable<string> Read()
    {
        foreach (var (setting, _) in Options())
        {
            yield return setting;
        }

        foreach (var text in Sources.Select(File.ReadAllText))
        {
            foreach (Match single in Single().Matches(text))
            {
                yield return single.Groups["key"].Value.Replace(":", "__", StringComparison.Ordinal);
            }

            if (text.Contains("GetConnectionString(\"AgentPlatform\")", StringComparison.Ordinal))
            {
                yield return "ConnectionStrings__AgentPlatform";
            }
        }
    }

    private static IEnumerable<(string Setting, PropertyInfo Property)> Options()
    {
        var types = ModuleMap.Assemblies.Append(typeof(AgentPlatform.Console.ConsoleModule).Assembly).SelectMany(a => a.GetTypes()).ToLookup(t => t.Name, StringComparer.Ordinal);
        return
            from text in Sources.Select(File.ReadAllText)
            from Match bound in Bound().Matches(text)
            from property in types[bound.Groups["type"].Value].Single().GetProperties(BindingFlags.Public | BindingFlags.Instance)
            where property.CanWrite
            select (Name($"{bound.Groups["section"].Value}:{property.Name}", property.PropertyType), property);
    }

    /// <summary>A list's first element stands for it; a dictionary, whose keys are the user's, for itself.</summary>
    private static string Name(string key, Type type) => key.Replace(":", "__", StringComparison.Ordinal) + (type.IsArray ? "__0" : "");

    private static IEnumerable<string> SetOnAzure()
    {
        var app = File.ReadAllText(Repository.Folder("infra/modules/app.bicep"));
        var settings = app[app.IndexOf("name: 'appsettings'", StringComparison.Ordinal)..];
        return Assigned().Matches(settings[..settings.IndexOf("\n    }", StringComparison.Ordinal)]).Select(m => m.Groups["key"].Value).Where(key => key != "properties");
    }

    private static IEnumerable<string> Documented() =>
        Row().Matches(File.ReadAllText(Repository.Folder("docs/operations.md"))).Select(m => m.Groups["key"].Value);

    private static IEnumerable<string> Local() =>
        System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(Repository.Folder("local.settings.json.example")))!["Values"]!.AsObject().Select(v => v.Key);

    [GeneratedRegex("""AddOptions<(?<type>\w+)>\(\)\s*\.BindConfiguration\("(?<section>[\w:]+)"\)""", RegexOptions.None, 1000)]
    private static partial Regex Bound();

    [GeneratedRegex("""onfiguration\["(?<key>[A-Z][A-Za-z_:]+)"\]""", RegexOptions.None, 1000)]
    private static partial Regex Single();

    [GeneratedRegex(@"^\s+(?<key>[A-Za-z_0-9]+):", RegexOptions.Multiline, 1000)]
    private static partial Regex Assigned();

    [GeneratedRegex(@"^\| `(?<key>[A-Z][A-Za-z]+__\w+|OTEL_\w+|APPLICATIONINSIGHTS_\w+|PublicBaseUrl|AzureWebJobsStorage)` \|", RegexOptions.Multiline, 1000)]
    private static partial Regex Row();

    [GeneratedRegex(@"^\| `(?<key>[A-Z][A-Za-z]+__\w+)` \|.* Default (?<value>\d+(?:\.\d+)?|true|false)\. \|$", RegexOptions.Multiline, 1000)]
    private static partial Regex Default();
}
