using System.Text.Json;

namespace AgentPlatform.Kernel;

/// <summary>Dotted paths into JSON, with numbers for list positions: <c>data.items.0.id</c>.</summary>
internal static class JsonPath
{
    internal static JsonElement? Find(JsonElement from, string path)
    {
        foreach (var step in path.Split('.', StringSplitOptions.RemoveEmptyEntries))
        {
            if (from.ValueKind == JsonValueKind.Object && from.TryGetProperty(step, out var child))
            {
                from = child;
            }
            else if (from.ValueKind == JsonValueKind.Array && int.TryParse(step, out var index) && index >= 0 && index < from.GetArrayLength())
            {
                from = from[index];
            }
            else
            {
                return null;
            }
        }

        return from;
    }
}
