using System.CommandLine;
using AgentPlatform.Postgres;
using Microsoft.Extensions.DependencyInjection;
using Spectre.Console;

namespace AgentPlatform.Cli;

internal static class MigrateCommand
{
    internal static Command Create()
    {
        var command = new Command("migrate", "Apply every module's pending migrations to ConnectionStrings__AgentPlatform");
        command.Run(async (_, ct) =>
        {
            await using var services = CliServices.Build();
            var applied = await services.GetRequiredService<Migrator>().MigrateAsync(ct);
            foreach (var migration in applied)
            {
                Commands.Say($"[green]applied[/] {migration.Name}");
            }

            AnsiConsole.WriteLine(applied.Count == 0 ? "The database is up to date." : $"{applied.Count} migrations applied.");
            return 0;
        });
        return command;
    }
}
