using System.CommandLine;
using System.Text.Json;
using Spectre.Console;

namespace AgentPlatform.Cli;

internal static class HostCommand
{
    private const string DefaultKeyFile = ".local/host-keys.json";

    internal static Command Create()
    {
        var file = new Option<FileInfo>("--file") { Description = "Where the host wrote them (setting Host__KeyFile)", DefaultValueFactory = _ => new FileInfo(DefaultKeyFile) };
        var keys = new Command("keys", "Show the keys of this checkout's host") { file };
        keys.Run((parsed, _) => Task.FromResult(Show(parsed.GetValue(file)!)));
        return new Command("host", "The local host") { keys };
    }

    private static int Show(FileInfo file)
    {
        if (!file.Exists)
        {
            return Commands.Fail($"{file.FullName} does not exist. The host writes it when it starts on a database for the first time.");
        }

        var table = new Table().Border(TableBorder.Rounded).AddColumns("key", "value");
        foreach (var (name, value) in JsonSerializer.Deserialize<Dictionary<string, string>>(File.ReadAllText(file.FullName)) ?? [])
        {
            table.AddRow(Markup.Escape(name), Markup.Escape(value));
        }

        AnsiConsole.Write(table);
        return 0;
    }
}
