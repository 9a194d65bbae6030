using System.Text.Json;
using AgentPlatform.Kernel;

namespace AgentPlatform.Demo;

/// <summary>A channel of the demo tenant, with what a client needs to act as its provider.</summary>
public sealed record DemoChannel(Guid Id, string WebhookUrl, string From)
{
    public string? StatusUrl { get; init; }

    public string? AccountSid { get; init; }

    public string? AuthToken { get; init; }

    public string? Secret { get; init; }
}

/// <summary>What a client of the demo needs: written by <c>./dev run</c> to <c>.local/demo.json</c>, readable by its owner only.</summary>
public sealed record DemoFile(string BaseUrl, string ApiKey, Guid TenantId, Guid AgentId, IReadOnlyDictionary<string, DemoChannel> Channels)
{
    /// <summary>The agent behind the channel <c>concierge</c>.</summary>
    public Guid ConciergeAgentId { get; init; }

    public const string DefaultPath = ".local/demo.json";

    private static readonly JsonSerializerOptions Indented = Json.Configure(new JsonSerializerOptions(JsonSerializerDefaults.Web) { WriteIndented = true });

    /// <summary>Null when there is none, or it is not a demo file: then the demo is made anew.</summary>
    public static DemoFile? Read(string path)
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize<DemoFile>(File.ReadAllText(path), Indented) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public void Write(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        // Written beside and moved: a reader never sees half a file, and the mode holds from the first byte.
        var fresh = $"{path}.new";
        File.Delete(fresh);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using (var stream = new FileStream(fresh, options))
        {
            JsonSerializer.Serialize(stream, this, Indented);
        }

        File.Move(fresh, path, overwrite: true);
    }
}
