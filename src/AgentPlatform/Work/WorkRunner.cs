using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Work;

/// <summary>
/// Claims due work and runs it, up to the process's concurrency, until nothing is due; then returns. One drain is active per
/// process: a second call wakes the first and returns at once.
/// </summary>
public sealed class WorkRunner : IDisposable
{
    internal static readonly ActivitySource Activities = new("AgentPlatform.Work");

    /// <summary>While work goes on without a pause, a look around every so often finds what nobody told of.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(250);

    private static readonly TimeSpan AwayPause = TimeSpan.FromSeconds(1);

    private readonly WorkLeases _leases;
    private readonly WorkSlots _slots;
    private readonly IOptions<WorkOptions> _options;
    private readonly TimeProvider _clock;
    private readonly ILogger<WorkRunner> _log;
    private readonly SemaphoreSlim _draining = new(1, 1);
    private readonly Signal _wake = new();
    private long _lookedAt;
    private TimeSpan _lookAgainAfter = LookEvery;
    private int _lookAround;
    private int _ahead;

    internal WorkRunner(WorkLeases leases, WorkExecutor executor, IOptions<WorkOptions> options, TimeProvider clock, ILogger<WorkRunner> log)
    {
        _leases = leases;
        _slots = new WorkSlots(executor, options.Value.Concurrency, _wake);
        _options = options;
        _clock = clock;
        _log = log;
    }

    /// <summary>Runs all that is due. Cancelling stops new claims and lets running handlers finish. Returns how many items ran.</summary>
    public Task<int> DrainAsync(CancellationToken ct)
    {
        WakeToLook();
        return DrainWokenAsync(ct);
    }

    public void Dispose() => _draining.Dispose();

    /// <summary>Runs what it was woken for. A wake-up that arrives while a drain is ending finds the lock taken: the ending drain looks once more.</summary>
    internal async Task<int> DrainWokenAsync(CancellationToken ct)
    {
        var total = 0;
        while (_wake.IsSet && !ct.IsCancellationRequested && await _draining.WaitAsync(0, CancellationToken.None))
        {
            total += await DrainWithRenewalAsync(ct);
        }

        return total;
    }

    /// <summary>Something may be due, nobody knows where.</summary>
    internal void WakeToLook()
    {
        Interlocked.Exchange(ref _lookAround, 1);
        _wake.Set();
    }

    internal void Wake(Lane lane)
    {
        _leases.Tell(lane);
        _wake.Set();
    }

    private async Task<int> DrainWithRenewalAsync(CancellationToken ct)
    {
        using var renewal = new CancellationTokenSource();
        await using var stopping = ct.Register(_wake.Set);
        var renewing = RenewAsync(renewal.Token);
        try
        {
            return await DrainUntilIdleAsync(ct);
        }
        finally
        {
            await renewal.CancelAsync();
            await renewing;
            _draining.Release();
        }
    }

    private async Task<int> DrainUntilIdleAsync(CancellationToken ct)
    {
        var total = 0;
        while (true)
        {
            _wake.TryTake();
            if (ct.IsCancellationRequested)
            {
                _slots.HandBack();
            }

            var ended = _slots.TakeEnded();
            var capacity = ct.IsCancellationRequested ? 0 : _options.Value.Concurrency + Ahead(ended.Count) - _slots.InHand;
            var look = capacity > 0 ? NextLook() : new Look(false, []);
            if (ended.Count > 0 || look.Any || capacity > 0 && _leases.Lanes.Any)
            {
                total += await RoundTripAsync(ended, Math.Max(capacity, 0), look, ct);
            }
            else if (_slots.InHand == 0 && !_slots.HasEnded)
            {
                return total;
            }
            else
            {
                await _wake.TakeAsync(CancellationToken.None);
            }
        }
    }

    /// <summary>
    /// Completes and claims. When the database is away, what ended is kept for the next round trip: written twice, because only the answer was
    /// lost, it touches no row the second time.
    /// </summary>
    private async Task<int> RoundTripAsync(IReadOnlyCollection<Settlement> ended, int capacity, Look look, CancellationToken ct)
    {
        try
        {
            var started = _clock.GetTimestamp();
            var claimed = await _leases.CompleteAndClaimAsync(ended, capacity, look, CancellationToken.None);
            if (look.Around)
            {
                LookedAround(_clock.GetElapsedTime(started));
            }

            _slots.Run(claimed);
            return claimed.Count;
        }
        catch (Exception e)
        {
            _slots.Keep(ended);
            Interlocked.Exchange(ref _lookAround, 1);
            if (_slots.InHand == 0)
            {
                throw;
            }

            _log.DrainFailed(e);
            await Task.WhenAny(_wake.TakeAsync(ct), Task.Delay(AwayPause, _clock, CancellationToken.None));
            return 0;
        }
    }

    /// <summary>
    /// How many items to claim beyond what can run now. A round trip in which more ended than can run at a time says that the items are short
    /// and wait for the database; then twice as many are taken the next time.
    /// </summary>
    private int Ahead(int ended) =>
        _ahead = Math.Min(_options.Value.Ahead, Math.Max((2 * ended) - _options.Value.Concurrency, _ahead / 2));

    private Look NextLook()
    {
        var around = Interlocked.Exchange(ref _lookAround, 0) == 1 || _leases.Lanes.Any && _clock.GetElapsedTime(_lookedAt) > _lookAgainAfter;
        return new Look(around, _slots.TakeTenantsToLookAt());
    }

    /// <summary>Looks take a twentieth of the time at most, whatever they cost: an old snapshot makes them expensive.</summary>
    private void LookedAround(TimeSpan took)
    {
        _lookedAt = _clock.GetTimestamp();
        _lookAgainAfter = took * 20 > LookEvery ? took * 20 : LookEvery;
        if (!_leases.HasLookedEverywhere)
        {
            WakeToLook();
        }
    }

    private async Task RenewAsync(CancellationToken ct)
    {
        using var timer = new PeriodicTimer(_leases.Lease / 3, _clock);
        try
        {
            while (await timer.WaitForNextTickAsync(ct))
            {
                await RenewOnceAsync(ct);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // The drain is over.
        }
    }

    private async Task RenewOnceAsync(CancellationToken ct)
    {
        var before = _slots.Items;
        try
        {
            var still = await _leases.RenewAsync(before, ct);
            _slots.Lose(before.Where(item => !still.Contains(item.Id)));
        }
        catch (Exception e) when (e is Npgsql.NpgsqlException or TimeoutException)
        {
            // The leases live on for two more ticks; without a database the fence protects what cannot be renewed.
            _log.RenewalFailed(e);
        }
    }
}
