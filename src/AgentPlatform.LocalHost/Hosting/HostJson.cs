using System.Globalization;
using AgentPlatform.LocalHost.Durable;
using Microsoft.Extensions.Configuration;

namespace AgentPlatform.LocalHost.Hosting;

/// <summary>
/// What this host honours of host.json, with the official defaults. As on Azure, a setting
/// <c>AzureFunctionsJobHost__extensions__queues__batchSize</c> overrides the file.
/// </summary>
internal sealed record HostJson(string RoutePrefix, QueueSettings Queues, DurableSettings Durable, TimeSpan FunctionTimeout, IConfiguration Logging)
{
    internal static HostJson Read(string root, IConfiguration settings)
    {
        var path = Path.Combine(root, "host.json");
        IConfigurationRoot file;
        try
        {
            file = new ConfigurationBuilder()
                .AddJsonFile(path, optional: true, reloadOnChange: false)
                .AddConfiguration(settings.GetSection("AzureFunctionsJobHost"))
                .Build();
        }
        catch (InvalidDataException e)
        {
            throw new SettingException($"{path} is not valid JSON: {e.InnerException?.Message ?? e.Message}");
        }

        var queues = file.GetSection("extensions:queues");
        var durable = file.GetSection("extensions:durableTask");
        var batchSize = Integer(queues, "batchSize", 16, 1, 32);
        return new HostJson(
            RoutePrefix: (file["extensions:http:routePrefix"] ?? "api").Trim('/'),
            new QueueSettings(
                batchSize,
                NewBatchThreshold: Integer(queues, "newBatchThreshold", Math.Max(1, batchSize / 2), 0, 1000),
                MaxDequeueCount: Integer(queues, "maxDequeueCount", 5, 1, 1000),
                RetryAfter: Duration(queues, "visibilityTimeout", TimeSpan.Zero, TimeSpan.Zero),
                MaxPollingInterval: Duration(queues, "maxPollingInterval", TimeSpan.FromMinutes(1), TimeSpan.FromMilliseconds(100)),
                Base64: Encoding(queues)),
            new DurableSettings(
                MaxActivities: Integer(durable, "maxConcurrentActivityFunctions", DurableSettings.DefaultConcurrency, 1, 10_000),
                MaxOrchestrators: Integer(durable, "maxConcurrentOrchestratorFunctions", DurableSettings.DefaultConcurrency, 1, 10_000),
                KeepSessions: !string.Equals(durable["extendedSessionsEnabled"], "false", StringComparison.OrdinalIgnoreCase),
                SessionIdle: TimeSpan.FromSeconds(Integer(durable, "extendedSessionIdleTimeoutInSeconds", 30, 1, 86_400)),
                Lease: Duration(durable.GetSection("storageProvider"), "taskEventLockTimeout", TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(1))),
            FunctionTimeout: Duration(file, "functionTimeout", TimeSpan.FromMinutes(30), TimeSpan.FromSeconds(1)),
            Logging: file.GetSection("logging"));
    }

    private static int Integer(IConfiguration section, string key, int fallback, int min, int max) =>
        section[key] is not { } text ? fallback
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= min && value <= max ? value
        : throw new SettingException($"host.json: {key} must be a whole number from {min} to {max}, not '{text}'.");

    private static TimeSpan Duration(IConfiguration section, string key, TimeSpan fallback, TimeSpan min) =>
        section[key] is not { } text ? fallback
        : TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var value) && value >= min ? value
        : throw new SettingException($"host.json: {key} must be a time like 00:00:30 and at least {min:c}, not '{text}'.");

    private static bool Encoding(IConfiguration queues) => queues["messageEncoding"]?.ToUpperInvariant() switch
    {
        null or "BASE64" => true,
        "NONE" => false,
        _ => throw new SettingException($"host.json: messageEncoding must be base64 or none, not '{queues["messageEncoding"]}'."),
    };
}

/// <summary>
/// Queue settings of host.json. At most <paramref name="BatchSize"/> + <paramref name="NewBatchThreshold"/> messages of a function run
/// at once; a failed message is visible again after <paramref name="RetryAfter"/> (<c>visibilityTimeout</c>).
/// </summary>
internal sealed record QueueSettings(
    int BatchSize, int NewBatchThreshold, int MaxDequeueCount, TimeSpan RetryAfter, TimeSpan MaxPollingInterval, bool Base64);
