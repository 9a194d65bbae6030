using System.CommandLine;
using AgentPlatform.Demo;

namespace AgentPlatform.Cli.Converse;

/// <summary>Plays scripted conversations against the running host: regression tests of what an agent understands and answers.</summary>
internal static class ConverseCommand
{
    internal static Command Create()
    {
        var scripts = new Option<string[]>("--script") { Description = "Files, or folders of *.talk files", Required = true, AllowMultipleArgumentsPerToken = true };
        var agent = new Option<string>("--agent") { Description = "Whose agent: the demo's, as its file names it", DefaultValueFactory = _ => "demo" };
        var wait = new Option<int>("--wait") { Description = "Seconds to wait for each answer", DefaultValueFactory = _ => 30 };
        var file = new Option<string>("--demo") { Description = "Written by ./dev run", DefaultValueFactory = _ => DemoFile.DefaultPath };
        var command = new Command("converse", "Play scripted conversations and check every answer") { scripts, agent, wait, file };
        command.Run(async (parsed, ct) =>
        {
            if (parsed.GetValue(agent) is not "demo" and var name)
            {
                return Commands.Fail($"There is no agent '{name}': scripts play against the demo's (--agent demo).");
            }

            var path = parsed.GetValue(file)!;
            var demo = DemoFile.Read(path) ?? throw new CommandException($"{path} is missing: start the host with ./dev run, or name the file with --demo.");
            var results = await PlayAsync(demo, Read(parsed.GetValue(scripts)!), TimeSpan.FromSeconds(parsed.GetValue(wait)), ct);
            return Report(results);
        });
        return command;
    }

    /// <summary>One after the other: each is a contact of its own, but they share the agent.</summary>
    internal static async Task<IReadOnlyList<ScriptResult>> PlayAsync(DemoFile demo, IReadOnlyList<Script> scripts, TimeSpan patience, CancellationToken ct)
    {
        using var client = new HttpClient { BaseAddress = new Uri(demo.BaseUrl), Timeout = Timeout.InfiniteTimeSpan };
        await using var events = await TalkEvents.OpenAsync(client, demo.ApiKey, ct);
        var results = new List<ScriptResult>();
        foreach (var script in scripts)
        {
            results.Add(await new ScriptRun(client, demo, events, script, patience).PlayAsync(ct));
        }

        return results;
    }

    internal static IReadOnlyList<Script> Read(IEnumerable<string> paths) =>
        [.. paths.SelectMany(Files).Select(path => Script.Parse(Path.GetFileNameWithoutExtension(path), File.ReadAllText(path)))];

    private static IEnumerable<string> Files(string path) =>
        Directory.Exists(path) ? Directory.GetFiles(path, "*.talk").Order(StringComparer.Ordinal)
        : File.Exists(path) ? [path]
        : throw new CommandException($"There is no script {path}.");

    private static int Report(IReadOnlyList<ScriptResult> results)
    {
        foreach (var result in results)
        {
            if (result.Failures.Count == 0)
            {
                Commands.Say($"[green]passed[/]  {result.Script.Name}: {result.Script.Title}");
            }
            else
            {
                Commands.Say($"[red]failed[/]  {result.Script.Name}: {result.Script.Title}");
            }

            foreach (var failure in result.Failures)
            {
                Commands.Say($"[grey]        {failure}[/]");
            }
        }

        Commands.Say($"{results.Count(r => r.Failures.Count == 0)} passed, {results.Count(r => r.Failures.Count > 0)} failed");
        return results.All(r => r.Failures.Count == 0) ? 0 : 1;
    }
}
