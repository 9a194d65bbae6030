using System.Text.Json;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>The isolated worker's JSON: names as they are written, read in any case.</summary>
internal sealed class DurableJson : DataConverter
{
    internal static readonly DurableJson Instance = new();

    private static readonly JsonSerializerOptions Options = new() { PropertyNameCaseInsensitive = true };

    [return: System.Diagnostics.CodeAnalysis.NotNullIfNotNull(nameof(value))]
    public override string? Serialize(object? value) => value is null ? null : JsonSerializer.Serialize(value, value.GetType(), Options);

    [return: System.Diagnostics.CodeAnalysis.NotNullIfNotNull(nameof(data))]
    public override object? Deserialize(string? data, Type targetType) => data is null ? null : JsonSerializer.Deserialize(data, targetType, Options);
}
