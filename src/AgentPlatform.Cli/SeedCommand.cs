using System.CommandLine;
using AgentPlatform.Demo;
using AgentPlatform.Postgres;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Cli;

internal static class SeedCommand
{
    internal static Command Create()
    {
        var baseUrl = new Option<string>("--base-url") { Description = "Where the host will answer", DefaultValueFactory = _ => "http://localhost:7071" };
        var file = new Option<string>("--out") { Description = "What a client of the demo needs is kept here", DefaultValueFactory = _ => DemoFile.DefaultPath };
        var command = new Command("seed", "Migrate, and make the demo tenant or bring it up to date") { baseUrl, file };
        command.Run(async (parsed, ct) =>
        {
            var (url, path) = (parsed.GetValue(baseUrl)!.TrimEnd('/'), parsed.GetValue(file)!);
            // The addresses of channels are made from this setting, when it is not given otherwise.
            await using var services = CliServices.Build(new Dictionary<string, string?> { ["Demo:BaseUrl"] = url });
            await services.GetRequiredService<Migrator>().MigrateAsync(ct);
            var demo = (await services.GetRequiredService<DemoSeeder>().SeedAsync(DemoFile.Read(path), url, ct)).Match(
                made => made, problem => throw new CommandException($"The demo tenant could not be made: {problem.Title} {problem.Detail}"));
            demo.Write(path);
            Show(demo, path);
            return 0;
        });
        return command;
    }

    /// <summary>One value a line, so that each can be copied.</summary>
    private static void Show(DemoFile demo, string path)
    {
        Commands.Say($"[bold]The demo tenant[/] [grey](also in {path})[/]");
        Line("base_url", demo.BaseUrl);
        Line("api_key", demo.ApiKey);
        Line("tenant_id", demo.TenantId.ToString());
        Line("agent_id", demo.AgentId.ToString());
        foreach (var (name, channel) in demo.Channels)
        {
            Commands.Say($"[bold]{name}[/]");
            Line("  webhook_url", channel.WebhookUrl);
            Line("  status_url", channel.StatusUrl);
            Line("  account_sid", channel.AccountSid);
            Line("  auth_token", channel.AuthToken);
            Line("  secret", channel.Secret);
            Line("  from", channel.From);
        }

        Console.WriteLine();
        Console.WriteLine("Text the agent:");
        Console.WriteLine("""  dotnet run --project src/AgentPlatform.Cli -- text "+14155550100" "find me software engineer jobs in Berlin" """.TrimEnd());
    }

    private static void Line(string field, string? value)
    {
        if (value is not null)
        {
            Console.WriteLine($"{field,-14} {value}");
        }
    }
}
