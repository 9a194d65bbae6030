using System.Text.Json;
using Microsoft.Extensions.Configuration;

namespace AgentPlatform.LocalHost.Hosting;

/// <summary>
/// local.settings.json as Core Tools read it: <c>Values</c> become settings as if they were environment variables,
/// <c>ConnectionStrings</c> and <c>Host</c> keep their section. Real environment variables win.
/// </summary>
internal static class LocalSettings
{
    internal static Dictionary<string, string?> Read(string root)
    {
        var settings = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        var path = Path.Combine(root, "local.settings.json");
        if (!File.Exists(path))
        {
            return settings;
        }

        using var document = Parse(path);
        if (document.RootElement.TryGetProperty("IsEncrypted", out var encrypted) && encrypted.ValueKind == JsonValueKind.True)
        {
            throw new SettingException($"{path} is encrypted; decrypt it with 'func settings decrypt' first.");
        }

        Copy(document.RootElement, "Values", prefix: "", settings);
        Copy(document.RootElement, "ConnectionStrings", prefix: "ConnectionStrings:", settings);
        Copy(document.RootElement, "Host", prefix: "Host:", settings);
        return settings;
    }

    /// <summary>Replaces <c>%Name%</c> by that setting, as trigger attributes allow.</summary>
    internal static string Resolve(this IConfiguration configuration, string text, string where)
    {
        var parts = text.Split('%');
        if (parts.Length % 2 == 0)
        {
            throw new SettingException($"{where}: '{text}' has an unpaired '%'.");
        }

        for (var i = 1; i < parts.Length; i += 2)
        {
            // As for environment variables, a double underscore separates sections.
            parts[i] = configuration[parts[i].Replace("__", ":", StringComparison.Ordinal)] is { Length: > 0 } value
                ? value
                : throw new SettingException($"{where}: the setting {parts[i]} is missing.");
        }

        return string.Concat(parts);
    }

    private static JsonDocument Parse(string path)
    {
        try
        {
            return JsonDocument.Parse(
                File.ReadAllText(path), new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
        }
        catch (JsonException e)
        {
            throw new SettingException($"{path} is not valid JSON: {e.Message}");
        }
    }

    private static void Copy(JsonElement root, string section, string prefix, Dictionary<string, string?> settings)
    {
        if (!root.TryGetProperty(section, out var values) || values.ValueKind != JsonValueKind.Object)
        {
            return;
        }

        foreach (var value in values.EnumerateObject())
        {
            settings[prefix + value.Name.Replace("__", ":", StringComparison.Ordinal)] =
                value.Value.ValueKind == JsonValueKind.String ? value.Value.GetString() : value.Value.GetRawText();
        }
    }
}
