using AgentPlatform.Chaos;
using AgentPlatform.Chaos.Workers;

return args switch
{
    ["worker"] => await Worker.RunAsync(),
    ["run", .. var rest] => await ChaosCommand.RunAsync(rest),
    _ => ChaosCommand.Usage(),
};
