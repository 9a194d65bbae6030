using AgentPlatform.LocalHost.Invocation;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.LocalHost;

/// <summary>The request of an execution.</summary>
public static class FunctionContextExtensions
{
    internal const string HttpContextKey = "HttpRequestContext";

    /// <summary>The request of an HTTP-triggered execution, or null.</summary>
    public static HttpContext? GetHttpContext(this FunctionContext context) =>
        context.Items.TryGetValue(HttpContextKey, out var value) ? value as HttpContext : null;
}

/// <summary>Loggers of an execution.</summary>
public static class FunctionContextLoggerExtensions
{
    /// <summary>A logger named for the type.</summary>
    public static ILogger<T> GetLogger<T>(this FunctionContext context) =>
        context.InstanceServices.GetRequiredService<ILogger<T>>();

    /// <summary>A logger of the category <c>Function.{categoryName}.User</c>.</summary>
    public static ILogger GetLogger(this FunctionContext context, string categoryName) =>
        context.InstanceServices.GetRequiredService<ILoggerFactory>().CreateLogger($"Function.{categoryName}.User");
}

/// <summary>The result of an execution.</summary>
public static class FunctionContextBindingFeatureExtensions
{
    /// <summary>What the function returned; middleware may replace it after <c>await next(context)</c>.</summary>
    public static InvocationResult GetInvocationResult(this FunctionContext context) => new(((LocalFunctionContext)context).Result);
}

/// <summary>The returned value of an execution.</summary>
public sealed class InvocationResult
{
    private readonly ResultSlot _slot;

    internal InvocationResult(ResultSlot slot) => _slot = slot;

    /// <summary>The value, or null.</summary>
    public object? Value
    {
        get => _slot.Value;
        set => _slot.Value = value;
    }
}
