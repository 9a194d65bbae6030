using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Cli;

/// <summary>The platform's services for a command, configured as the host is: local.settings.json of the working directory, then the environment.</summary>
internal static class CliServices
{
    internal static ServiceProvider Build(params IReadOnlyDictionary<string, string?>[] overrides)
    {
        var builder = new ConfigurationBuilder().AddInMemoryCollection(LocalSettings("local.settings.json")).AddEnvironmentVariables();
        foreach (var settings in overrides)
        {
            builder.AddInMemoryCollection(settings);
        }

        var configuration = builder.Build();
        return new ServiceCollection()
            .AddSingleton<IConfiguration>(configuration)
            .AddSingleton(TimeProvider.System)
            .AddLogging(logging => logging.AddSimpleConsole(console => console.SingleLine = true).SetMinimumLevel(LogLevel.Warning))
            .AddAgentPlatform(configuration)
            .BuildServiceProvider();
    }

    /// <summary>The <c>Values</c> of the file, as if they were environment variables.</summary>
    private static Dictionary<string, string?> LocalSettings(string path)
    {
        if (!File.Exists(path))
        {
            return [];
        }

        using var document = JsonDocument.Parse(File.ReadAllText(path), new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
        return document.RootElement.TryGetProperty("Values", out var values)
            ? values.EnumerateObject().ToDictionary(v => v.Name.Replace("__", ":", StringComparison.Ordinal), v => (string?)v.Value.ToString(), StringComparer.OrdinalIgnoreCase)
            : [];
    }
}
