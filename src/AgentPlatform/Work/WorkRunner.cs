using System.Diagnostics;
using AgentPlatform.Kernel;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Work;

/// <summary>
/// Claims due work and runs it, up to the process's concurrency, until nothing is due; then returns. One drain is active per
/// process: a second call wakes the first and returns at once, or takes over from it when it may claim no more.
/// </summary>
public sealed class WorkRunner : IDisposable
{
    internal static readonly ActivitySource Activities = new("AgentPlatform.Work");

    /// <summary>While work goes on without a pause, a look around every so often finds what nobody told of.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(250);

    /// <summary>Looks that take so much that they come no more often than that are dear.</summary>
    private static readonly TimeSpan LookDearly = TimeSpan.FromSeconds(2);

    /// <summary>About what a round trip takes.</summary>
    private static readonly TimeSpan RoundTrip = TimeSpan.FromMilliseconds(5);

    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan AwayPause = TimeSpan.FromSeconds(1);

    private readonly WorkLeases _leases;
    private readonly WorkSlots _slots;
    private readonly IOptions<WorkOptions> _options;
    private readonly ForegroundLoad _callers;
    private readonly TimeProvider _clock;
    private readonly ILogger<WorkRunner> _log;
    private readonly SemaphoreSlim _draining = new(1, 1);
    private readonly Signal _wake = new();
    private long _lookedAt;
    private TimeSpan _lookAgainAfter = LookEvery;
    private int _lookAround;

    /// <summary>The drain that is active claims no more, and a second one waits to take over what it has in hand.</summary>
    private bool _isEnding;
    private int _hasSuccessor;

    /// <summary>Round trips under way, and the items they ask for.</summary>
    private int _under;
    private int _asked;

    internal WorkRunner(WorkLeases leases, WorkExecutor executor, IOptions<WorkOptions> options, ForegroundLoad callers, TimeProvider clock, ILogger<WorkRunner> log)
    {
        _leases = leases;
        _slots = new WorkSlots(executor, options.Value.Concurrency, _wake);
        _options = options;
        _callers = callers;
        _clock = clock;
        _log = log;
    }

    /// <summary>
    /// Runs all that is due. Cancelling stops new claims and lets running handlers finish, unless another drain begins meanwhile: then that one sees to
    /// them, and this one returns. Returns how many items ran.
    /// </summary>
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
        while (_wake.IsSet && !ct.IsCancellationRequested && await EnterAsync())
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

    /// <summary>False when a drain is active that goes on claiming, or when another waits already for one that does not.</summary>
    private async Task<bool> EnterAsync()
    {
        if (!Volatile.Read(ref _isEnding))
        {
            return await _draining.WaitAsync(0, CancellationToken.None);
        }

        if (Interlocked.Exchange(ref _hasSuccessor, 1) == 1)
        {
            return false;
        }

        // Whatever becomes of this caller: from here on the other may leave to it what it has in hand.
        _wake.Set();
        await _draining.WaitAsync(CancellationToken.None);
        Volatile.Write(ref _hasSuccessor, 0);
        return true;
    }

    private async Task<int> DrainWithRenewalAsync(CancellationToken ct)
    {
        using var renewal = new CancellationTokenSource();
        var renewing = RenewAsync(renewal.Token);
        try
        {
            await using var stopping = ct.Register(End);
            return await DrainUntilIdleAsync(ct);
        }
        finally
        {
            await renewal.CancelAsync();
            await renewing;
            Volatile.Write(ref _isEnding, false);
            _draining.Release();
        }
    }

    private void End()
    {
        Volatile.Write(ref _isEnding, true);
        _wake.Set();
    }

    private async Task<int> DrainUntilIdleAsync(CancellationToken ct)
    {
        var trips = new List<Task<int>>();
        var total = 0;
        while (true)
        {
            _wake.TryTake();
            total += await HarvestAsync(trips);
            var isTakenOver = Volatile.Read(ref _isEnding) && Volatile.Read(ref _hasSuccessor) == 1;
            if (isTakenOver && trips.Count == 0)
            {
                return total;
            }

            if (ct.IsCancellationRequested)
            {
                _slots.HandBack();
            }

            // Asked before the trip: what may go on between the two is taken by the trip, or waited for.
            var later = ct.IsCancellationRequested ? null : _leases.Lanes.NextLater;
            if (!isTakenOver && trips.Count < _options.Value.RoundTrips && NextTrip(ct) is { } trip)
            {
                trips.Add(BeginRoundTrip(trip));
            }
            else if (trips.Count == 0 && _slots.InHand == 0 && !_slots.HasEnded && !(later < LongestWait))
            {
                // Work that a rate holds back for longer is left to the next sweep.
                return total;
            }
            else
            {
                await WaitAsync(later);
            }
        }
    }

    /// <summary>Until something ends, something new may be due, or a rate lets something start. What could have started by now waits for an end.</summary>
    private async Task WaitAsync(TimeSpan? later)
    {
        if (later is { } wait && wait > TimeSpan.Zero && wait < LongestWait)
        {
            using var waiting = new CancellationTokenSource();
            await Task.WhenAny(_wake.TakeAsync(waiting.Token), Task.Delay(wait, _clock, waiting.Token));
            await waiting.CancelAsync();
        }
        else
        {
            await _wake.TakeAsync(CancellationToken.None);
        }
    }

    /// <summary>How many items to claim beyond what can run now: what the slots get through while a round trip is under way.</summary>
    private int Ahead => (int)Math.Min(_options.Value.Ahead, _options.Value.Concurrency * (RoundTrip / _slots.Average));

    /// <summary>How many items were claimed by the round trips that are over.</summary>
    private static async Task<int> HarvestAsync(List<Task<int>> trips)
    {
        var total = 0;
        for (var i = trips.Count - 1; i >= 0; i--)
        {
            if (trips[i].IsCompleted)
            {
                var over = trips[i];
                trips.RemoveAt(i);
                total += await over;
            }
        }

        return total;
    }

    /// <summary>What is worth a round trip now; null when nothing is. While callers crowd, one item at a time: the queue keeps what waits, and moves on.</summary>
    private Trip? NextTrip(CancellationToken ct)
    {
        var limit = _callers.IsCrowded ? 1 : _options.Value.Concurrency + Ahead;
        var room = ct.IsCancellationRequested ? 0 : limit - _slots.InHand - Volatile.Read(ref _asked);
        // While another is under way, a small one would only get in its way: it waits until it is half of what can be in hand.
        if (Volatile.Read(ref _under) > 0 && _slots.Ended < limit / 2 && room < limit / 2)
        {
            return null;
        }

        var capacity = Math.Max(Math.Min(room, Math.Max(_options.Value.Concurrency, limit / 2)), 0);
        var look = capacity > 0 ? NextLook() : Look.Nowhere;
        var claims = look.Any || capacity > 0 && _leases.Lanes.Any;
        return claims || _slots.HasEnded ? new Trip(_slots.TakeEnded(), claims ? capacity : 0, look) : null;
    }

    /// <summary>The drain is woken once the task is over, not by the task's last step: woken before, it could miss the end and wait for ever.</summary>
    private Task<int> BeginRoundTrip(Trip trip)
    {
        var under = RoundTripAsync(trip);
        under.ConfigureAwait(false).GetAwaiter().OnCompleted(_wake.Set);
        return under;
    }

    /// <summary>
    /// Completes and claims. When the database is away, what ended is kept for the next round trip: written twice, because only the answer was
    /// lost, it touches no row the second time.
    /// </summary>
    private async Task<int> RoundTripAsync(Trip trip)
    {
        Interlocked.Add(ref _asked, trip.Capacity);
        Interlocked.Increment(ref _under);
        try
        {
            var started = _clock.GetTimestamp();
            var claimed = await _leases.CompleteAndClaimAsync(trip.Ended, trip.Capacity, trip.Look, CancellationToken.None);
            if (trip.Look.Around)
            {
                LookedAround(_clock.GetElapsedTime(started));
            }

            _slots.Run(claimed);
            return claimed.Count;
        }
        catch (Exception e)
        {
            _slots.Keep(trip.Ended);
            Interlocked.Exchange(ref _lookAround, 1);
            if (_slots.InHand == 0)
            {
                throw;
            }

            _log.DrainFailed(e);
            await Task.Delay(AwayPause, _clock, CancellationToken.None);
            return 0;
        }
        finally
        {
            Interlocked.Add(ref _asked, -trip.Capacity);
            Interlocked.Decrement(ref _under);
        }
    }

    /// <summary>
    /// A look that is asked for is taken at once, unless looks have become dear: then lanes go on where they were left, only leases are looked at, and the
    /// rest comes when it is its time.
    /// </summary>
    private Look NextLook()
    {
        var asked = Interlocked.Exchange(ref _lookAround, 0) == 1;
        var isTime = _clock.GetElapsedTime(_lookedAt) > _lookAgainAfter;
        var isPutOff = asked && !isTime && _lookAgainAfter > LookDearly;
        if (isPutOff)
        {
            _leases.Lanes.Resume();
        }

        var again = asked && !isPutOff;
        var around = again || _leases.Lanes.Any && isTime;
        return new Look(asked || around, around, again, [.. _slots.TakeFreed(), .. _leases.Lanes.TakeLater().Select(tenant => new Freed(tenant, null))]);
    }

    /// <summary>
    /// Looks take a twentieth of the time, unless they come so seldom already that work nobody told of would wait for too long. An old snapshot makes them
    /// dear, and one that had to wait seems so.
    /// </summary>
    private void LookedAround(TimeSpan took)
    {
        _lookedAt = _clock.GetTimestamp();
        var seldom = TimeSpan.FromSeconds(_options.Value.LookAtLeastEverySeconds);
        _lookAgainAfter = TimeSpan.FromTicks(Math.Clamp((took * 20).Ticks, LookEvery.Ticks, seldom.Ticks));
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
        catch (Exception e)
        {
            // The leases live on for two more ticks; without a database the fence protects what cannot be renewed. Whatever failed, a handler's own
            // cancellation included, the next tick comes.
            _log.RenewalFailed(e);
        }
    }

    /// <summary>What a round trip writes, how many items it claims at most, and where it looks for them.</summary>
    private sealed record Trip(Ends Ended, int Capacity, Look Look);
}
