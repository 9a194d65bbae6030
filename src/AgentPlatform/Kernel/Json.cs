using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Npgsql;
using NpgsqlTypes;

namespace AgentPlatform.Kernel;

/// <summary>The one JSON dialect of the platform: snake_case, enums as text, nulls written, for the API and for jsonb columns.</summary>
public static partial class Json
{
    public static readonly JsonSerializerOptions Options = Configure(new JsonSerializerOptions(JsonSerializerDefaults.Web));

    public static JsonSerializerOptions Configure(JsonSerializerOptions options)
    {
        options.PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower;
        options.DictionaryKeyPolicy = null;
        // jsonb and application/json are never pasted into HTML, so text stays readable.
        options.Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
        if (!options.Converters.OfType<JsonStringEnumConverter>().Any())
        {
            options.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower));
        }

        return options;
    }

    public static JsonElement Of<T>(T value) => JsonSerializer.SerializeToElement(value, Options);

    public static string Text<T>(T value) => JsonSerializer.Serialize(value, Options);

    public static T Read<T>(JsonElement element) =>
        element.Deserialize<T>(Options) ?? throw new JsonException($"Expected {typeof(T).Name}, found null.");

    /// <summary>A jsonb parameter; null becomes SQL NULL. The character U+0000, which jsonb cannot hold, is dropped.</summary>
    public static NpgsqlParameter Param<T>(T value) => new()
    {
        NpgsqlDbType = NpgsqlDbType.Jsonb,
        Value = (object?)Storable(value) ?? DBNull.Value,
    };

    /// <summary>A jsonb[] parameter, with the same care.</summary>
    public static NpgsqlParameter Params<T>(IEnumerable<T> values) => new()
    {
        NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Jsonb,
        Value = values.Select(Storable).ToArray(),
    };

    /// <summary>The text of a jsonb value, with the same care.</summary>
    public static string? Storable<T>(T value) => value is null ? null : WithoutNul(Text(value));

    /// <summary>JSON without the character U+0000 in its texts.</summary>
    internal static string WithoutNul(string json) => json.Contains("\\u0000", StringComparison.Ordinal) ? EscapedNul().Replace(json, "") : json;

    /// <summary>Behind another backslash it is text that only looks like it.</summary>
    [GeneratedRegex(@"(?<=(?<!\\)(\\\\)*)\\u0000", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex EscapedNul();
}
