using System.Collections.Concurrent;
using System.Reflection;

namespace AgentPlatform.LocalHost.Invocation;

/// <summary>Awaits whatever a function may return: nothing, a value, Task, ValueTask, or either with a value.</summary>
internal static class Awaited
{
    private static readonly ConcurrentDictionary<Type, PropertyInfo?> Results = new();

    internal static async Task<object?> ResultAsync(object? returned)
    {
        switch (returned)
        {
            case Task task:
                await task;
                return Result(task);
            case ValueTask task:
                await task;
                return null;
            case not null when returned.GetType() is { IsGenericType: true } type && type.GetGenericTypeDefinition() == typeof(ValueTask<>):
                var inner = (Task)type.GetMethod(nameof(ValueTask<int>.AsTask))!.Invoke(returned, null)!;
                await inner;
                return Result(inner);
            default:
                return returned;
        }
    }

    // An async method that returns plain Task is a Task<VoidTaskResult> at run time; that is no result.
    private static object? Result(Task task) =>
        Results.GetOrAdd(
            task.GetType(),
            static type => type.GetProperty(nameof(Task<int>.Result)) is { PropertyType.Name: not "VoidTaskResult" } property ? property : null)
            ?.GetValue(task);
}
