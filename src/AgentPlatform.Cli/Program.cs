using System.CommandLine;
using AgentPlatform.Cli;
using AgentPlatform.Cli.Converse;
using Spectre.Console;

// The terminal wraps lines; what is piped stays whole, and plain.
AnsiConsole.Profile.Width = 10_000;
AnsiConsole.Profile.Capabilities.Ansi &= !Console.IsOutputRedirected;

var root = new RootCommand("AgentPlatform from the command line")
{
    MigrateCommand.Create(),
    ValidateCommand.Create(),
    SeedCommand.Create(),
    TextCommand.Create(),
    HostCommand.Create(),
    KeyCommand.Create(),
    BillingCommand.Create(),
    NluCommand.Create(),
    CapacityCommand.Create(),
    SimulateCommand.Create(),
    ConverseCommand.Create(),
};
return await root.Parse(args).InvokeAsync();
