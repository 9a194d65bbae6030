using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.LocalHost.Invocation;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.LocalHost.Timers;

/// <summary>Holds the leases of this host's timers and runs one loop for each timer it holds.</summary>
internal sealed class TimerListeners(
    FunctionCatalog catalog, TimerStore store, FunctionExecutor executor, HostJson host, IConfiguration configuration, TimeProvider clock,
    IHostApplicationLifetime lifetime, ILogger<TimerListeners> log) : IHostedService, IDisposable
{
    private readonly Dictionary<string, TimerLoop> _loops = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationTokenSource _aborting = new();
    private Task _holding = Task.CompletedTask;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        lifetime.ApplicationStopping.Register(_stopping.Cancel);
        foreach (var (function, trigger) in catalog.Of<TimerTriggerAttribute>())
        {
            var where = $"Function {function.Name}";
            var expression = configuration.Resolve(trigger.Schedule, where);
            var schedule = Schedule.Parse(expression, where);
            await store.RegisterAsync(function.Name, expression, schedule.After(clock.GetUtcNow()), cancellationToken);
            _loops[function.Name] = new TimerLoop(function, trigger, schedule, store, executor, host.FunctionTimeout, clock, log);
        }

        if (_loops.Count > 0)
        {
            _holding = Task.Run(HoldAsync, CancellationToken.None);
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await using var limit = cancellationToken.Register(_aborting.Cancel);
        await _holding;
    }

    public void Dispose()
    {
        _stopping.Dispose();
        _aborting.Dispose();
        foreach (var loop in _loops.Values)
        {
            loop.Dispose();
        }
    }

    // Leases are held on while the last runs finish: another host must not start what still runs here.
    private async Task HoldAsync()
    {
        var names = _loops.Keys.ToArray();
        var ended = EndedAfterStopAsync();
        using var timer = new PeriodicTimer(TimerStore.Lease / 3, clock);
        do
        {
            await HoldOnceAsync(names);
        }
        while (await Task.WhenAny(timer.WaitForNextTickAsync(CancellationToken.None).AsTask(), ended) != ended);

        await ReleaseAsync();
    }

    private async Task EndedAfterStopAsync()
    {
        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = _stopping.Token.Register(stopped.SetResult);
        await stopped.Task;
        await Task.WhenAll(_loops.Values.Select(l => l.Ended));
    }

    private async Task HoldOnceAsync(string[] names)
    {
        try
        {
            var held = (await store.HoldAsync(names, CancellationToken.None)).ToDictionary(s => s.Name, StringComparer.Ordinal);
            foreach (var (name, loop) in _loops)
            {
                if (!held.TryGetValue(name, out var state))
                {
                    await loop.LoseAsync();
                }
                else if (!_stopping.IsCancellationRequested)
                {
                    loop.Hold(state, _stopping.Token, _aborting.Token);
                }
            }
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            log.TimersUnreadable(e);
        }
    }

    private async Task ReleaseAsync()
    {
        try
        {
            await store.ReleaseAsync(CancellationToken.None);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            // The leases run out by themselves.
            log.TimersUnreadable(e);
        }
    }
}
