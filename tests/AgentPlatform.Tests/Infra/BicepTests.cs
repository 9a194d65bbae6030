using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Tests.Rules;

namespace AgentPlatform.Tests.Infra;

/// <summary>The templates have no compiler here: these find what would keep one from accepting them, or Azure from deploying them.</summary>
public sealed partial class BicepTests
{
    /// <summary>Built-in roles by the names the templates give them, as Azure publishes them.</summary>
    private static readonly Dictionary<string, string> BuiltInRoles = new(StringComparer.Ordinal)
    {
        ["storageBlobDataOwner"] = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
        ["storageBlobDataContributor"] = "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        ["storageQueueDataContributor"] = "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
        ["storageTableDataContributor"] = "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
        ["keyVaultSecretsUser"] = "4633458b-17de-408a-b874-0445c86b69e6",
        ["keyVaultSecretsOfficer"] = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
        ["durableTaskDataContributor"] = "0ad04412-c4d5-4796-b79c-f76d14c8d402",
        ["monitoringMetricsPublisher"] = "3913510d-42f4-4e42-8a64-420c390055eb",
    };

    private static readonly string Folder = Repository.Folder("infra");

    private static readonly string[] Names =
        [.. Directory.GetFiles(Folder, "*.bicep", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(Folder, f)).Order(StringComparer.Ordinal)];

    public static TheoryData<string> Files => [.. Names];

    [Theory]
    [MemberData(nameof(Files))]
    public void Every_name_is_declared_and_every_parameter_used(string file)
    {
        var bicep = Read(file);
        Assert.Empty(bicep.References.Where(name => !bicep.Symbols.Contains(name)));
        Assert.Empty(bicep.Parameters.Where(name => !bicep.References.Contains(name)));
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void A_module_gets_the_parameters_it_needs_and_no_others_and_is_asked_for_outputs_it_has(string file)
    {
        var bicep = Read(file);
        foreach (var module in bicep.Modules)
        {
            var target = BicepFile.Read(module.FilePath);
            Assert.Empty(target.RequiredParameters.Except(module.Given).Select(p => $"{module.Symbol} lacks {p}"));
            Assert.Empty(module.Given.Except(target.Parameters).Select(p => $"{module.Symbol} does not take {p}"));
            Assert.Empty(bicep.ModuleOutputs.Where(o => o.Module == module.Symbol && !target.Outputs.Contains(o.Output)));
        }

        Assert.Empty(bicep.ModuleOutputs.Where(o => bicep.Modules.All(m => m.Symbol != o.Module)));
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Roles_carry_the_ids_Azure_gave_them_and_braces_close(string file)
    {
        var bicep = Read(file);
        Assert.All(bicep.RoleIds, role => Assert.Equal(BuiltInRoles.GetValueOrDefault(role.Name), role.Id));
        Assert.Equal(bicep.Text.Count(c => c is '{'), bicep.Text.Count(c => c is '}'));
        Assert.Equal(bicep.Text.Count(c => c is '['), bicep.Text.Count(c => c is ']'));
    }

    [Fact]
    public void Every_module_file_is_used()
    {
        var all = Names.Select(Read).ToList();
        var used = all.SelectMany(f => f.Modules.Select(m => Path.GetFullPath(m.FilePath))).ToHashSet(StringComparer.Ordinal);
        Assert.Empty(all.Select(f => Path.GetFullPath(f.FilePath)).Where(f => !f.EndsWith("main.bicep", StringComparison.Ordinal) && !used.Contains(f)));
    }

    [Fact]
    public void The_parameters_file_gives_the_template_what_it_needs_and_nothing_else()
    {
        var main = Read("main.bicep");
        using var file = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, "main.parameters.json")));
        var given = file.RootElement.GetProperty("parameters").EnumerateObject().Select(p => p.Name).ToList();
        Assert.Empty(main.RequiredParameters.Except(given));
        Assert.Empty(given.Except(main.Parameters));
    }

    [Fact]
    public void No_template_holds_a_password_or_reads_a_key()
    {
        var all = string.Concat(Names.Select(name => Read(name).Text));
        Assert.DoesNotContain("listKeys", all, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("AccountKey", all, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("administratorLoginPassword", all, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void What_hooks_read_is_an_output_of_the_template()
    {
        var outputs = Read("main.bicep").Outputs;
        foreach (var hook in Directory.GetFiles(Path.Combine(Folder, "hooks")))
        {
            var read = FromTemplate().Matches(File.ReadAllText(hook));
            Assert.Empty(read.Select(m => m.Groups["name"].Value).Except(outputs));
            Assert.Contains(Path.GetFileName(hook), File.ReadAllText(Repository.Folder("azure.yaml")));
        }
    }

    private static BicepFile Read(string file) => BicepFile.Read(Path.Combine(Folder, file));

    [GeneratedRegex(@"\$\{?(?<name>(POSTGRES|APP|AZURE_KEY|AZURE_RESOURCE)_\w+)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex FromTemplate();
}
