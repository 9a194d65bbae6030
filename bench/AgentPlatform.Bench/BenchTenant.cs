using AgentPlatform.Demo;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentPlatform.Bench;

/// <summary>The demo tenant on a fresh database, with limits that no bench reaches.</summary>
internal static class BenchTenant
{
    internal static async Task<WebhookTarget> CreateAsync(string baseUrl, string twilio)
    {
        var configuration = new ConfigurationBuilder().AddEnvironmentVariables()
            .AddInMemoryCollection(new Dictionary<string, string?>(StringComparer.Ordinal) { ["Channels:Twilio:ApiBaseUrl"] = twilio, ["PublicBaseUrl"] = baseUrl })
            .Build();
        await using var services = new ServiceCollection()
            .AddSingleton<IConfiguration>(configuration)
            .AddSingleton(TimeProvider.System)
            .AddLogging()
            .AddAgentPlatform(configuration)
            .BuildServiceProvider();
        await services.GetRequiredService<Migrator>().MigrateAsync(CancellationToken.None);
        var demo = (await services.GetRequiredService<DemoSeeder>().SeedAsync(known: null, baseUrl, CancellationToken.None)).Value;
        await LiftLimitsAsync();
        var sms = demo.Channels[DemoChannels.Sms];
        return new WebhookTarget(sms.WebhookUrl, sms.AccountSid!, sms.AuthToken!, sms.From);
    }

    private static async Task LiftLimitsAsync()
    {
        await using var source = NpgsqlDataSource.Create(BenchOptions.AdminConnectionString);
        await using var command = source.CreateCommand("UPDATE channels.user_webhooks SET rate_limit_per_minute = 1000000, rate_limit_per_hour = 10000000");
        await command.ExecuteNonQueryAsync();
    }
}
