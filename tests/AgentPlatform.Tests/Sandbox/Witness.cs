using System.Diagnostics;
using System.Text.Json;

namespace AgentPlatform.Tests.Sandbox;

/// <summary>Asks an official npm client: what it signs we must accept, what we sign it must accept. A missing install fails.</summary>
internal static class Witness
{
    private static readonly string Folder = Find();

    /// <summary>Runs a module in tests/witnesses with JSON on its input; its output is JSON.</summary>
    internal static async Task<JsonElement> AskAsync(string script, object input)
    {
        if (!Directory.Exists(Path.Combine(Folder, "node_modules")))
        {
            throw new InvalidOperationException($"The witnesses are not installed: run ./dev test, or npm ci in {Folder}.");
        }

        var start = new ProcessStartInfo("node")
        {
            ArgumentList = { "--input-type=module", "--eval", script },
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Folder,
        };
        using var node = Process.Start(start)!;
        var output = node.StandardOutput.ReadToEndAsync();
        var error = node.StandardError.ReadToEndAsync();
        await node.StandardInput.WriteAsync(JsonSerializer.Serialize(input));
        node.StandardInput.Close();
        await node.WaitForExitAsync();
        return node.ExitCode == 0 ? JsonSerializer.Deserialize<JsonElement>(await output) : throw new InvalidOperationException(await error);
    }

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, "tests", "witnesses");
            if (Directory.Exists(candidate))
            {
                return candidate;
            }
        }

        throw new InvalidOperationException("tests/witnesses is not above the test's folder.");
    }
}
