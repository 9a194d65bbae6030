using AgentPlatform.Operations;

namespace AgentPlatform.Functions;

/// <summary>Every timer is a recurring job, whose runs are kept.</summary>
public sealed class JobMiddleware(Jobs jobs) : IFunctionsWorkerMiddleware
{
    public Task Invoke(FunctionContext context, FunctionExecutionDelegate next) =>
        context.FunctionDefinition.InputBindings.Values.Any(binding => binding.Type == "timerTrigger")
            ? jobs.RunAsync(context.FunctionDefinition.Name, () => next(context))
            : next(context);
}
