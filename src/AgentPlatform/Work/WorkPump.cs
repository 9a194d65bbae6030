using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Work;

/// <summary>
/// Turns in-process nudges into drains, for as long as the host runs. Nobody nudges for what a host that was killed has left behind, so each host looks
/// by itself, too: at its start, and when it has heard nothing for a while. The timer that sweeps runs on one host, which may be the one that was killed.
/// </summary>
internal sealed class WorkPump(InProcessNudge nudge, WorkRunner runner, TimeProvider clock, ILogger<WorkPump> log) : BackgroundService
{
    private static readonly TimeSpan LookAfter = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AfterError = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await runner.DrainAsync(stoppingToken);
                while (await IsNudgedAsync(stoppingToken))
                {
                    await runner.DrainWokenAsync(stoppingToken);
                }
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is Npgsql.NpgsqlException or TimeoutException)
            {
                // The database is away.
                log.DrainFailed(e);
                await Task.WhenAny(Task.Delay(AfterError, clock, stoppingToken));
            }
        }
    }

    /// <summary>False when nothing was heard for a while.</summary>
    private async Task<bool> IsNudgedAsync(CancellationToken stoppingToken)
    {
        using var quiet = new CancellationTokenSource(LookAfter, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(quiet.Token, stoppingToken);
        try
        {
            await nudge.WaitAsync(either.Token);
            return true;
        }
        catch (OperationCanceledException) when (!stoppingToken.IsCancellationRequested)
        {
            return false;
        }
    }
}
