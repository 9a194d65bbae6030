using System.CommandLine;
using AgentPlatform.Postgres;
using Microsoft.Extensions.DependencyInjection;
using Spectre.Console;

namespace AgentPlatform.Cli;

internal static class MigrateCommand
{
    internal static Command Create()
    {
        var login = new Option<string?>("--app-login") { Description = "A login the app uses that is not the one which migrates: it gets the app's roles" };
        var entra = new Option<bool>("--entra") { Description = "Make that login for the Entra identity of its name (Azure Database for PostgreSQL)" };
        var command = new Command("migrate", "Apply every module's pending migrations to ConnectionStrings__AgentPlatform") { login, entra };
        command.Run(async (parsed, ct) =>
        {
            await using var services = CliServices.Build();
            var applied = await services.GetRequiredService<Migrator>().MigrateAsync(ct);
            foreach (var migration in applied)
            {
                Commands.Say($"[green]applied[/] {migration.Name}");
            }

            AnsiConsole.WriteLine(applied.Count == 0 ? "The database is up to date." : $"{applied.Count} migrations applied.");
            if (parsed.GetValue(login) is { } name)
            {
                await services.GetRequiredService<AppLogin>().AllowAsync(name, parsed.GetValue(entra), ct);
                Commands.Say($"[green]allowed[/] {name}");
            }

            return 0;
        });
        return command;
    }
}
