using Microsoft.Extensions.Hosting;
using Npgsql;

namespace AgentPlatform.Postgres;

/// <summary>What is collected in memory, so that nobody waits for it to be written, and written every second and at the end.</summary>
public abstract class WriteBehind(TimeProvider clock) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    protected TimeProvider Clock { get; } = clock;

    /// <summary>Writes everything collected so far.</summary>
    public abstract Task FlushAsync(CancellationToken ct);

    /// <summary>A write has failed for want of the database; the next one comes in a second.</summary>
    protected abstract void Failed(Exception e);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, Clock);
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await timer.WaitForNextTickAsync(stoppingToken);
                await FlushAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                break;
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException)
            {
                Failed(e);
            }
        }

        await FlushAsync(CancellationToken.None);
    }
}
