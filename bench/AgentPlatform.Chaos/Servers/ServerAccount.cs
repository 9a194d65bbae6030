using System.Diagnostics;

namespace AgentPlatform.Chaos.Servers;

/// <summary>Postgres and PgBouncer refuse to run as root: root runs them as the user that their packages made.</summary>
internal static class ServerAccount
{
    private static readonly string[] AsPostgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"];

    /// <summary>A directory that the servers own.</summary>
    internal static async Task<string> DirectoryAsync()
    {
        var directory = Directory.CreateTempSubdirectory("agentplatform-chaos-").FullName;
        if (Environment.IsPrivilegedProcess)
        {
            using var chown = Process.Start("chown", ["postgres", directory]);
            await chown.WaitForExitAsync();
        }

        return directory;
    }

    /// <summary>The directory lets nobody else in.</summary>
    internal static void Write(string directory, string file, string text) => File.WriteAllText(Path.Combine(directory, file), text);

    /// <summary>The process replaces its launcher, so that a signal to it reaches the server.</summary>
    internal static Process Start(string directory, params string[] command)
    {
        string[] line = Environment.IsPrivilegedProcess ? [.. AsPostgres, .. command] : command;
        return Process.Start(new ProcessStartInfo(line[0], line[1..]) { WorkingDirectory = directory, RedirectStandardInput = true })!;
    }

    internal static async Task RunAsync(string directory, params string[] command)
    {
        using var process = Start(directory, command);
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{Path.GetFileName(command[0])} ended with {process.ExitCode}.");
        }
    }
}
