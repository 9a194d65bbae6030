using System.Reflection;
using System.Text.RegularExpressions;

namespace AgentPlatform.Tests.Rules;

/// <summary>Who may call whom. An edge that is not in this dictionary fails; an edge nobody uses any more does too.</summary>
public sealed partial class ModuleMap
{
    internal static readonly Assembly[] Assemblies = [typeof(AgentPlatformModules).Assembly, typeof(AgentPlatform.LocalHost.FunctionsApplication).Assembly];

    private static readonly Dictionary<string, string[]> Allowed = new(StringComparer.Ordinal)
    {
        ["Kernel"] = [],
        ["Telemetry"] = [],
        ["Operations"] = ["Api", "Kernel", "Postgres"],
        ["Postgres"] = ["Kernel"],
        ["Work"] = ["Api", "Kernel", "Postgres"],
        ["Api"] = ["Kernel", "Postgres"],
        ["Audit"] = ["Api", "Kernel", "Postgres"],
        ["Identity"] = ["Api", "Audit", "Kernel", "Postgres", "Work"],
        ["Events"] = ["Api", "Kernel", "Operations", "Postgres", "Work"],
        ["Resilience"] = ["Api", "Events", "Kernel", "Postgres"],
        ["Billing"] = ["Api", "Events", "Identity", "Kernel", "Postgres", "Work"],
        ["Tenancy"] = ["Api", "Billing", "Events", "Identity", "Kernel", "Postgres"],
        ["Contacts"] = ["Api", "Events", "Kernel", "Operations", "Postgres", "Work"],
        ["Schedules"] = ["Api", "Contacts", "Events", "Kernel", "Operations", "Postgres", "Work"],
        ["Conversations"] = ["Api", "Contacts", "Events", "Kernel", "Operations", "Postgres", "Schedules", "Tenancy"],
        ["Credits"] = ["Api", "Contacts", "Events", "Identity", "Kernel", "Postgres"],
        ["Channels"] = ["Api", "Audit", "Contacts", "Conversations", "Events", "Kernel", "Postgres", "Tenancy", "Work"],
        ["Messaging"] = ["Api", "Channels", "Contacts", "Conversations", "Events", "Kernel", "Operations", "Postgres", "Resilience", "Schedules", "Tenancy", "Work"],
        ["Actions"] = ["Api", "Billing", "Channels", "Contacts", "Conversations", "Events", "Kernel", "Operations", "Postgres", "Resilience", "Tenancy", "Work"],
        ["Schemas"] = ["Actions", "Api", "Channels", "Contacts", "Conversations", "Events", "Kernel", "Postgres", "Resilience", "Work"],
        ["Agents"] = ["Actions", "Api", "Conversations", "Events", "Kernel", "Postgres", "Tenancy"],
        ["Costs"] = ["Api", "Events", "Kernel", "Postgres", "Tenancy", "Work"],
        ["Models"] = ["Api", "Channels", "Contacts", "Costs", "Events", "Kernel", "Operations", "Postgres", "Resilience"],
        ["Tasks"] = ["Actions", "Api", "Channels", "Contacts", "Conversations", "Events", "Kernel", "Messaging", "Postgres", "Schedules", "Work"],
        ["Workflows"] = ["Actions", "Api", "Contacts", "Conversations", "Events", "Kernel", "Messaging", "Postgres", "Schedules", "Tenancy", "Work"],
        ["Knowledge"] = ["Actions", "Api", "Events", "Kernel", "Postgres", "Tasks"],
        ["Campaigns"] = ["Actions", "Agents", "Api", "Channels", "Contacts", "Conversations", "Events", "Kernel", "Messaging", "Models", "Postgres", "Tenancy", "Work"],
        ["Alerts"] = ["Api", "Channels", "Contacts", "Events", "Kernel", "Messaging", "Postgres", "Schedules", "Tenancy", "Work"],
        ["Memory"] = ["Api", "Contacts", "Conversations", "Events", "Kernel", "Postgres", "Work"],
        ["Brain"] = ["Actions", "Agents", "Api", "Campaigns", "Channels", "Contacts", "Conversations", "Costs", "Events", "Identity", "Kernel", "Memory", "Messaging", "Models", "Postgres", "Schedules", "Schemas", "Tasks", "Tenancy", "Work"],
        ["Demo"] = ["Actions", "Agents", "Api", "Brain", "Channels", "Identity", "Kernel", "Postgres", "Schemas", "Tenancy", "Workflows"],
    };

    [Fact]
    public void Modules_call_only_those_the_map_allows()
    {
        var found = Edges();
        var forbidden = found.SelectMany(m => m.Value.Where(to => !Allowed.GetValueOrDefault(m.Key, []).Contains(to)).Select(to => $"{m.Key} -> {to}"));
        Assert.Empty(forbidden);
    }

    [Fact]
    public void The_map_holds_no_edge_that_nobody_uses()
    {
        var found = Edges();
        var unused = Allowed.SelectMany(m => m.Value.Where(to => !found.GetValueOrDefault(m.Key, []).Contains(to)).Select(to => $"{m.Key} -> {to}"));
        Assert.Empty(unused);
    }

    [Fact]
    public void The_map_has_no_cycle()
    {
        var order = new List<string>();
        void Visit(string module, IReadOnlyList<string> path)
        {
            Assert.DoesNotContain(module, path);
            if (!order.Contains(module))
            {
                foreach (var next in Allowed.GetValueOrDefault(module, []))
                {
                    Visit(next, [.. path, module]);
                }

                order.Add(module);
            }
        }

        foreach (var module in Allowed.Keys)
        {
            Visit(module, []);
        }
    }

    /// <summary>Another module's tables are its own: a statement names only its module's schema.</summary>
    [Fact]
    public void Statements_touch_only_the_tables_of_their_own_module()
    {
        var schemas = AgentPlatformModules.Schemas.Select(s => s.Module.ToLowerInvariant()).ToHashSet(StringComparer.Ordinal);
        var foreign =
            from assembly in Assemblies
            from type in assembly.GetTypes()
            where type.Name == "Sql"
            let module = type.FullName!.Split('.')[1].ToLowerInvariant()
            from field in type.GetFields(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public)
            from Match match in TableReference().Matches((string)field.GetRawConstantValue()!)
            let schema = match.Groups["schema"].Value
            where schemas.Contains(schema) && schema != module && !(module == "postgres" && schema == "kernel")
            select $"{type.DeclaringType!.Name}.{field.Name} touches {schema}.{match.Groups["table"].Value}";
        Assert.Empty(foreign);
    }

    [GeneratedRegex(@"\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:ONLY\s+)?(?<schema>[a-z_]+)\.(?<table>[a-z_]+)", RegexOptions.ExplicitCapture)]
    private static partial Regex TableReference();

    [GeneratedRegex(@"^using (?:static )?AgentPlatform\.(?<module>\w+)", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Using();

    private static Dictionary<string, HashSet<string>> Edges()
    {
        var root = Repository.Folder("src/AgentPlatform");
        return Directory.GetDirectories(root)
            .Where(d => Directory.GetFiles(d, "*.cs").Length > 0)
            .ToDictionary(
                d => Path.GetFileName(d),
                d => Directory.GetFiles(d, "*.cs", SearchOption.AllDirectories)
                    .SelectMany(f => Using().Matches(File.ReadAllText(f)).Select(m => m.Groups["module"].Value))
                    .Where(m => m != Path.GetFileName(d))
                    .ToHashSet(StringComparer.Ordinal),
                StringComparer.Ordinal);
    }
}
