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

    /// <summary>A write has failed, and what it held is lost.</summary>
    protected abstract void Failed(Exception e);

    /// <summary>
    /// Writes one part of what was collected. What the database will never take is told and dropped: it costs the other parts nothing. While the database is
    /// away the flush ends here, and goes on with the rest in a second.
    /// </summary>
    protected async Task WriteAsync(Func<CancellationToken, Task> write, CancellationToken ct)
    {
        try
        {
            await write(ct);
        }
        catch (Exception e) when (e is not (OperationCanceledException or TimeoutException or NpgsqlException { IsTransient: true }))
        {
            Failed(e);
        }
    }

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
            catch (Exception e)
            {
                // Whatever it is: a background service that throws takes its host along.
                Failed(e);
            }
        }

        await FlushAsync(CancellationToken.None);
    }
}
