using AgentPlatform.Bench;

return args switch
{
    ["intake", .. var rest] => await IntakeBench.RunAsync(BenchOptions.Parse(rest)),
    _ => BenchOptions.Usage(),
};
