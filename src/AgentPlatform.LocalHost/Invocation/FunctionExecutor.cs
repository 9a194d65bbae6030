using AgentPlatform.Kernel;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.LocalHost.Invocation;

/// <summary>Runs a function through the app's middleware and returns its result.</summary>
internal sealed class FunctionExecutor(IEnumerable<Func<FunctionExecutionDelegate, FunctionExecutionDelegate>> middleware, IServiceScopeFactory scopes, TimeProvider clock)
{
    private readonly FunctionExecutionDelegate _pipeline = middleware.Reverse().Aggregate((FunctionExecutionDelegate)CallAsync, (next, step) => step(next));

    /// <summary>Runs it in a service scope of its own.</summary>
    internal async Task<object?> ExecuteAsync(LocalFunction function, TriggerData data, CancellationToken ct)
    {
        await using var scope = scopes.CreateAsyncScope();
        return await ExecuteAsync(function, data, scope.ServiceProvider, items: null, ct);
    }

    /// <summary>Runs it in the caller's scope, with <paramref name="items"/> set before the first middleware.</summary>
    internal async Task<object?> ExecuteAsync(
        LocalFunction function, TriggerData data, IServiceProvider services, KeyValuePair<object, object>? items, CancellationToken ct)
    {
        var context = new LocalFunctionContext(function, data, clock.NewId().ToString(), services, ct);
        if (items is { } item)
        {
            context.Items.Add(item.Key, item.Value);
        }

        await _pipeline(context);
        return context.Result.Value;
    }

    private static async Task CallAsync(FunctionContext context)
    {
        var local = (LocalFunctionContext)context;
        local.Result.Value = await local.Function.CallAsync(local);
    }
}
