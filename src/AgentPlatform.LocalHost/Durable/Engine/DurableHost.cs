using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Runs this host's share of orchestrations and activities. Hosts share them by claims; none is special.</summary>
internal sealed class DurableHost(
    OrchestrationWorker orchestrations, ActivityWorker activities, ActivityRunner runner, ActivityRoom room, SessionCache sessions, DurableSignals signals,
    DurableSettings settings, TimeProvider clock, IHostApplicationLifetime lifetime, ILogger<DurableHost> log) : IHostedService, IDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationTokenSource _aborting = new();
    private readonly CancellationTokenSource _killed = new();
    private readonly CancellationTokenSource _ended = new();
    private readonly InFlight _inFlight = new();
    private Task _running = Task.CompletedTask;
    private Task _renewing = Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        lifetime.ApplicationStopping.Register(_stopping.Cancel);
        if (orchestrations.HasFunctions || runner.HasFunctions)
        {
            room.Open(Begin);
            orchestrations.Open(Begin);
            _running = Task.WhenAll(Turns().RunAsync(_stopping.Token), Activities().RunAsync(_stopping.Token));
            _renewing = RenewAsync();
        }

        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await using var limit = cancellationToken.Register(_aborting.Cancel);
        orchestrations.Close();
        room.Close();
        await _running;
        await _inFlight.EndAsync();
        await _ended.CancelAsync();
        await _renewing;
        await sessions.ClearAsync();
    }

    public void Dispose()
    {
        _stopping.Dispose();
        _aborting.Dispose();
        _killed.Dispose();
        _ended.Dispose();
    }

    /// <summary>Does from now on what a killed process does: nothing. For tests; what was claimed stays claimed until its lease is over.</summary>
    internal async Task KillAsync()
    {
        await _killed.CancelAsync();
        orchestrations.Close();
        room.Close();
        await _stopping.CancelAsync();
        await _ended.CancelAsync();
        await _aborting.CancelAsync();
    }

    private ClaimLoop<ClaimedInstance> Turns() => new(DurableSignals.Turns, orchestrations.Room, signals, _inFlight, clock, log)
    {
        Claim = orchestrations.ClaimAsync,
        Run = RunAsync,
    };

    private ClaimLoop<ClaimedActivity> Activities() => new(DurableSignals.Activities, room.Free, signals, _inFlight, clock, log)
    {
        Claim = activities.ClaimAsync,
        Run = activity => RunAsync(activity, null),
    };

    private void Begin(ClaimedInstance born) => _inFlight.Begin(() => RunAsync(born));

    private void Begin(ClaimedActivity activity, Task<Answer>? running) => _inFlight.Begin(() => RunAsync(activity, running));

    private Task RunAsync(ClaimedInstance claimed) => orchestrations.StepAsync(claimed, _aborting.Token, _killed.Token);

    private Task RunAsync(ClaimedActivity activity, Task<Answer>? running) => activities.RunAsync(activity, running, _aborting.Token, _killed.Token);

    // Leases are kept while the last work runs out, so that no other host begins what still runs here.
    private async Task RenewAsync()
    {
        using var timer = new PeriodicTimer(settings.Lease / 3, clock);
        try
        {
            while (await timer.WaitForNextTickAsync(_ended.Token))
            {
                await RenewOnceAsync();
                await sessions.TrimAsync();
            }
        }
        catch (OperationCanceledException)
        {
            // Nothing runs any more.
        }
    }

    private async Task RenewOnceAsync()
    {
        try
        {
            await orchestrations.RenewAsync(CancellationToken.None);
            await activities.RenewAsync(CancellationToken.None);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            log.DurableUnreadable(e);
        }
    }
}
