using System.Diagnostics.CodeAnalysis;

namespace AgentPlatform.LocalHost;

/// <summary>Turns inputs, results, events and statuses into text and back.</summary>
public abstract class DataConverter
{
    /// <summary>The value as text; null stays null.</summary>
    [return: NotNullIfNotNull(nameof(value))]
    public abstract string? Serialize(object? value);

    /// <summary>The text as a value of the type; null stays null.</summary>
    [return: NotNullIfNotNull(nameof(data))]
    public abstract object? Deserialize(string? data, Type targetType);

    /// <summary>The text as a value of the type.</summary>
    [return: NotNullIfNotNull(nameof(data))]
    public virtual T? Deserialize<T>(string? data) => (T?)(Deserialize(data, typeof(T)) ?? default(T));
}
