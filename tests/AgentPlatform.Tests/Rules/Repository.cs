namespace AgentPlatform.Tests.Rules;

/// <summary>The checkout the tests were built from.</summary>
internal static class Repository
{
    internal static string Root { get; } = Find();

    internal static string Folder(string relative) => Path.Combine(Root, relative);

    private static string Find()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "AgentPlatform.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("The tests run from inside the repository.");
    }
}
