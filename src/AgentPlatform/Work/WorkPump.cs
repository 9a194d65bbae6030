using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Work;

/// <summary>Turns in-process nudges into drains, for as long as the host runs.</summary>
internal sealed class WorkPump(InProcessNudge nudge, WorkRunner runner, ILogger<WorkPump> log) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await nudge.WaitAsync(stoppingToken);
                await runner.DrainWokenAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is Npgsql.NpgsqlException or TimeoutException)
            {
                // The database is away; the next nudge or the sweep tries again.
                log.DrainFailed(e);
            }
        }
    }
}
