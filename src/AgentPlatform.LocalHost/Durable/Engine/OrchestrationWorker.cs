using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Steps instances: takes in their messages, runs the orchestrator as far as it goes, writes what came of it.</summary>
internal sealed class OrchestrationWorker(
    InstanceStore store, TurnTaker turns, StepKeeper keeper, Hand hand, SessionCache sessions, DurableSignals signals, DurableSettings settings,
    ILogger<OrchestrationWorker> log) : IDisposable
{
    private readonly ConcurrentDictionary<string, InstanceHead> _held = new(StringComparer.Ordinal);
    private Action<ClaimedInstance>? _begin;
    private volatile bool _isOpen;

    public void Dispose() => Room.Dispose();

    internal bool HasFunctions => turns.HasFunctions;

    /// <summary>How many claimed instances may take their turns at once.</summary>
    internal SemaphoreSlim Room { get; } = new(settings.MaxOrchestrators);

    /// <summary>From now on what this process starts may begin here; <paramref name="begin"/> is how.</summary>
    internal void Open(Action<ClaimedInstance> begin) => (_begin, _isOpen) = (begin, true);

    /// <summary>What is started from now on is left to other hosts.</summary>
    internal void Close() => _isOpen = false;

    /// <summary>Takes room for an instance that is about to be started, if this host can run it.</summary>
    internal bool TryEnter(NewInstance instance)
    {
        if (!_isOpen || !turns.Knows(instance.Name) || !Room.Wait(0, CancellationToken.None))
        {
            return false;
        }

        if (signals.TryWatch(instance.Id))
        {
            return true;
        }

        Room.Release();
        return false;
    }

    /// <summary>Gives back the room of one that was not started.</summary>
    internal void Leave(NewInstance instance)
    {
        Room.Release();
        signals.LetGo(instance.Id);
    }

    /// <summary>Begins an instance that was born claimed, in room that was taken for it.</summary>
    internal void Begin(ClaimedInstance born)
    {
        _held[born.Head.Id] = born.Head;
        _begin!(born);
    }

    internal async Task<Claims<ClaimedInstance>> ClaimAsync(int max, CancellationToken ct)
    {
        var heard = signals.TurnPulses;
        var claims = await store.ClaimAsync(max, ct);
        foreach (var instance in claims.Items)
        {
            _held[instance.Head.Id] = instance.Head;
            signals.Watch(instance.Head.Id);
        }

        if (signals.TurnPulses != heard)
        {
            // What came during the claim may be for one of these.
            foreach (var instance in claims.Items)
            {
                signals.Miss(instance.Head.Id);
            }
        }

        return claims;
    }

    internal async Task RenewAsync(CancellationToken ct)
    {
        if (_held.Values is { Count: > 0 } held)
        {
            await store.RenewAsync([.. held], ct);
        }
    }

    /// <summary>
    /// Steps a claimed instance until it is free again. Whatever goes wrong before a step is written leaves no trace: the messages are still there.
    /// <paramref name="aborting"/> is the host's stop after its drain limit; <paramref name="killed"/> leaves everything as it is.
    /// </summary>
    internal async Task StepAsync(ClaimedInstance claimed, CancellationToken aborting, CancellationToken killed)
    {
        var head = claimed.Head;
        var place = new Place(Room);
        try
        {
            await StepAsync(claimed, place, aborting, killed);
        }
        catch (OperationCanceledException) when (killed.IsCancellationRequested)
        {
            // As if the process had ended here.
        }
        catch (OperationCanceledException) when (aborting.IsCancellationRequested)
        {
            await ReleaseAsync(head);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            log.StepFailed(head.Id, e);
            await ReleaseAsync(head);
        }
        catch (Exception e)
        {
            // A bug. The claim stays until its lease is over, so that it is not tried in a tight loop.
            log.StepFailed(head.Id, e);
        }
        finally
        {
            _held.TryRemove(new(head.Id, head));
            place.Leave();
            signals.LetGo(head.Id);
        }
    }

    /// <summary>
    /// A step without a claim: answers of activities go to the orchestrator that is kept here. False when it is not, or when somebody else has
    /// stepped the instance since: then the answers still wait to be kept.
    /// </summary>
    internal async Task<bool> GoOnAsync(IReadOnlyList<Answer> answers, CancellationToken killed)
    {
        var first = answers[0].Activity;
        if (sessions.Take(first.Instance, first.Execution) is not { } session)
        {
            return false;
        }

        try
        {
            return await keeper.WriteAsync(turns.GoOn(session, answers, []) with { Answers = answers }, session, killed);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            log.StepFailed(first.Instance, e);
            return false;
        }
    }

    private async Task StepAsync(ClaimedInstance claimed, Place place, CancellationToken aborting, CancellationToken killed)
    {
        var (step, session) = await turns.TakeAsync(claimed, killed);
        if (!await hand.WriteAsync(step, session, claimed.Birth is not null, place.Leave, aborting, killed))
        {
            log.StepLost(claimed.Head.Id);
            await ReleaseAsync(claimed.Head);
            signals.Pulse(DurableSignals.Turns);
        }
    }

    private async Task ReleaseAsync(InstanceHead head)
    {
        try
        {
            await store.ReleaseAsync(head, CancellationToken.None);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            // Its lease runs out.
            log.StepFailed(head.Id, e);
        }
    }

    /// <summary>A claimed instance's place among those that take turns, left once: when the instance stays in hand, or at the end.</summary>
    private sealed class Place(SemaphoreSlim room)
    {
        private bool _hasLeft;

        internal void Leave()
        {
            if (!_hasLeft)
            {
                _hasLeft = true;
                room.Release();
            }
        }
    }
}
