using System.CommandLine;
using AgentPlatform.Cli;

var root = new RootCommand("AgentPlatform from the command line")
{
    MigrateCommand.Create(),
    ValidateCommand.Create(),
    HostCommand.Create(),
};
return await root.Parse(args).InvokeAsync();
