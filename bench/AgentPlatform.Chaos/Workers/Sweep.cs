using AgentPlatform.Work;
using Microsoft.Extensions.Hosting;
using Npgsql;

namespace AgentPlatform.Chaos.Workers;

/// <summary>The timer that the hosts run: it finds what no nudge told of, retries that fell due and leases that ran out.</summary>
internal sealed class Sweep(WorkRunner runner, TimeProvider clock) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(0.5), clock);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await SweepAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The host stops; what runs has finished.
        }
    }

    private async Task SweepAsync(CancellationToken ct)
    {
        try
        {
            await runner.DrainAsync(ct);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            await Console.Error.WriteLineAsync($"The database is away: {e.Message}");
        }
    }
}
