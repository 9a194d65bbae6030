using AgentPlatform.Work;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace AgentPlatform.Chaos.Workers;

/// <summary>A host of the platform's modules, with the chaos jobs beside their own kinds of work.</summary>
internal static class Worker
{
    internal static async Task<int> RunAsync()
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Services.AddAgentPlatform(builder.Configuration);
        builder.Services.AddSingleton(p => new Journal(p.GetRequiredService<IConfiguration>()["Chaos:Journal"]!, p.GetRequiredService<TimeProvider>()));
        builder.Services.AddSingleton<ProviderClient>();
        builder.Services.AddSingleton<Effects>();
        builder.Services.AddWorkHandler<LedgerJob>(Jobs.Ledger);
        builder.Services.AddWorkHandler<MarkJob>(Jobs.Mark);
        builder.Services.AddWorkHandler<LedgerJob>(Jobs.LedgerForgotten, kind => kind.ForgetDone = true);
        builder.Services.AddWorkHandler<MarkJob>(Jobs.MarkForgotten, kind => kind.ForgetDone = true);
        builder.Services.AddWorkHandler<LedgerJob>(Jobs.Serial);
        builder.Services.AddWorkHandler<KeyedJob>(Jobs.Keyed);
        builder.Services.AddWorkHandler<UnkeyedJob>(Jobs.Unkeyed);
        builder.Services.AddWorkHandler<RetryJob>(Jobs.Retry);
        builder.Services.AddHostedService<Sweep>();
        using var host = builder.Build();
        _ = Task.Run(EndWithParentAsync);
        await host.RunAsync();
        return 0;
    }

    /// <summary>Whoever started this holds its input open: no worker outlives a run that was killed.</summary>
    private static async Task EndWithParentAsync()
    {
        await using var input = Console.OpenStandardInput();
        await input.CopyToAsync(Stream.Null);
        Environment.Exit(3);
    }
}
