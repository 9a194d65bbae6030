using System.Reflection;
using AgentPlatform.LocalHost;

namespace AgentPlatform.Tests.LocalHost;

/// <summary>Trigger code that compiles against LocalHost must compile against the official worker: so LocalHost offers nothing but its API.</summary>
public sealed class OfficialApiTests
{
    private static readonly Dictionary<string, string[]> Official = File.ReadLines(Path.Combine(AppContext.BaseDirectory, "LocalHost", "official-api.txt"))
        .Where(line => !line.StartsWith('#'))
        .Select(line => line.Split(':', 2))
        .ToDictionary(line => line[0].Split('.')[^1], line => line[1].Split(' ', StringSplitOptions.RemoveEmptyEntries));

    public static TheoryData<Type> PublicTypes => [.. typeof(FunctionsApplication).Assembly.GetExportedTypes()];

    [Theory]
    [MemberData(nameof(PublicTypes))]
    public void A_public_type_of_LocalHost_has_an_official_name_and_official_members_only(Type type)
    {
        Assert.Equal("AgentPlatform.LocalHost", type.Namespace);
        Assert.True(Official.TryGetValue(type.Name, out var members), $"The official API has no {type.Name}.");
        Assert.Empty(Members(type).Except(members!));
    }

    [Fact]
    public void The_triggers_use_official_kinds_only()
    {
        var used = typeof(AgentPlatform.Functions.WorkFunctions).Assembly.GetTypes()
            .SelectMany(t => t.GetMethods())
            .Where(m => m.IsDefined(typeof(FunctionAttribute)))
            .SelectMany(m => m.GetParameters())
            .SelectMany(p => p.GetCustomAttributes<TriggerBindingAttribute>())
            .Select(a => a.GetType().Name)
            .ToHashSet();

        Assert.Equal(["ActivityTriggerAttribute", "HttpTriggerAttribute", "OrchestrationTriggerAttribute", "QueueTriggerAttribute", "TimerTriggerAttribute"], used.Order());
    }

    [Fact]
    public void Only_Runtime_knows_that_there_are_two_flavours()
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(root.FullName, "AgentPlatform.sln")))
        {
            root = root.Parent!;
        }

        var conditional = root.GetDirectories("src")[0].EnumerateFiles("*.cs", SearchOption.AllDirectories)
            .Where(f => !f.FullName.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}"))
            .Where(f => File.ReadLines(f.FullName).Any(line => line.TrimStart().StartsWith("#if", StringComparison.Ordinal) || line.Contains("AgentPlatform.LocalHost;")))
            .Where(f => !f.FullName.Contains("AgentPlatform.LocalHost"))
            .Select(f => f.Name);

        Assert.Equal(["Runtime.cs"], conditional);
    }

    private static IEnumerable<string> Members(Type type)
    {
        const BindingFlags Declared = BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
        return typeof(Delegate).IsAssignableFrom(type) ? [] :
            type.IsEnum ? Enum.GetNames(type) :
            type.GetConstructors(Declared).Where(_ => !type.IsAbstract).Select(c => $".ctor({string.Join(',', c.GetParameters().Select(p => p.ParameterType.Name))})")
                .Concat(type.GetProperties(Declared).Select(p => p.Name))
                .Concat(type.GetMethods(Declared).Where(m => !m.IsSpecialName).Select(m => m.Name));
    }
}
