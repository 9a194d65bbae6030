using System.Security.Cryptography;

namespace AgentPlatform.Tests.Rules;

/// <summary>
/// A migration that a database may have run stays as it is: the migrator would refuse that database. Its checksum is kept beside these rules from its first
/// commit on, so that an edit does not go unseen; `sha256sum FILE >> tests/AgentPlatform.Tests/Rules/migrations.sha256` adds a new one's.
/// </summary>
public sealed class MigrationRules
{
    private static readonly Dictionary<string, string> Kept = File.ReadLines(Repository.Folder("tests/AgentPlatform.Tests/Rules/migrations.sha256"))
        .Select(line => line.Split("  ")).ToDictionary(entry => entry[1], entry => entry[0], StringComparer.Ordinal);

    private static readonly Dictionary<string, string> Present = Directory.GetFiles(Repository.Folder("src"), "*.sql", SearchOption.AllDirectories)
        .Select(file => (Path: Path.GetRelativePath(Repository.Root, file), Sum: Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)))))
        .Where(file => file.Path.Contains("/Migrations/", StringComparison.Ordinal) && !file.Path.Contains("/bin/", StringComparison.Ordinal))
        .ToDictionary(file => file.Path, file => file.Sum, StringComparer.Ordinal);

    [Fact]
    public void A_migration_is_never_edited() =>
        Assert.Empty(Present.Where(file => Kept.TryGetValue(file.Key, out var sum) && sum != file.Value).Select(file => file.Key));

    [Fact]
    public void A_migration_is_never_taken_away_and_a_new_one_is_kept() => Assert.Equal(Kept.Keys.Order(StringComparer.Ordinal), Present.Keys.Order(StringComparer.Ordinal));
}
