using AgentPlatform.Bench;
using AgentPlatform.Bench.Durable;
using AgentPlatform.Bench.Engine;

return args switch
{
    ["intake", .. var rest] => await IntakeBench.RunAsync(BenchOptions.Parse(rest)),
    ["work", .. var rest] => await WorkBench.RunAsync(BenchOptions.Parse(rest)),
    ["durable", .. var rest] => await DurableBench.RunAsync(BenchOptions.Parse(rest)),
    ["turn", .. var rest] => await TurnBench.RunAsync(BenchOptions.Parse(rest)),
    _ => BenchOptions.Usage(),
};
