using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace AgentPlatform.LocalHost;

/// <summary>The rest of an execution.</summary>
public delegate Task FunctionExecutionDelegate(FunctionContext context);

/// <summary>Wraps every execution of every function, in the order of registration.</summary>
public interface IFunctionsWorkerMiddleware
{
    /// <summary>Does its part and awaits <paramref name="next"/>.</summary>
    Task Invoke(FunctionContext context, FunctionExecutionDelegate next);
}

/// <summary>Collects services and middleware.</summary>
public interface IFunctionsWorkerApplicationBuilder
{
    /// <summary>The app's services.</summary>
    IServiceCollection Services { get; }

    /// <summary>Adds a step to the execution pipeline.</summary>
    IFunctionsWorkerApplicationBuilder Use(Func<FunctionExecutionDelegate, FunctionExecutionDelegate> middleware);
}

/// <summary>Registration of middleware.</summary>
public static class MiddlewareWorkerApplicationBuilderExtensions
{
    /// <summary>Adds a middleware, created once per app.</summary>
    public static IFunctionsWorkerApplicationBuilder UseMiddleware<T>(this IFunctionsWorkerApplicationBuilder builder)
        where T : class, IFunctionsWorkerMiddleware
    {
        builder.Services.TryAddSingleton<T>();
        return builder.Use(next => context => context.InstanceServices.GetRequiredService<T>().Invoke(context, next));
    }

    /// <summary>Adds an inline middleware.</summary>
    public static IFunctionsWorkerApplicationBuilder UseMiddleware(
        this IFunctionsWorkerApplicationBuilder builder, Func<FunctionContext, Func<Task>, Task> middleware) =>
        builder.Use(next => context => middleware(context, () => next(context)));

    /// <summary>Adds a middleware for the executions <paramref name="predicate"/> accepts.</summary>
    public static IFunctionsWorkerApplicationBuilder UseWhen<T>(this IFunctionsWorkerApplicationBuilder builder, Func<FunctionContext, bool> predicate)
        where T : class, IFunctionsWorkerMiddleware
    {
        builder.Services.TryAddSingleton<T>();
        return builder.Use(next => context =>
            predicate(context) ? context.InstanceServices.GetRequiredService<T>().Invoke(context, next) : next(context));
    }
}
