using System.Collections.Concurrent;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Orchestrators kept in memory between their turns. One that another host has stepped since is of no use and goes.</summary>
internal sealed class SessionCache(DurableSettings settings, TimeProvider clock)
{
    private const int Most = 2000;
    private readonly ConcurrentDictionary<string, (OrchestrationSession Session, long Since)> _kept = new(StringComparer.Ordinal);

    /// <summary>Takes the session out for a claimed step, if it is as the instance was left.</summary>
    internal async Task<OrchestrationSession?> TakeAsync(InstanceHead head)
    {
        if (!_kept.TryRemove(head.Id, out var kept))
        {
            return null;
        }

        if (kept.Session.Head.Execution == head.Execution && kept.Session.Head.Fence == head.Fence - 1)
        {
            return kept.Session;
        }

        await kept.Session.DisposeAsync();
        return null;
    }

    /// <summary>Takes the session out for a step without a claim, if it is there and may go on.</summary>
    internal OrchestrationSession? Take(string instance, Guid execution) =>
        _kept.TryGetValue(instance, out var kept) && kept.Session.Head.Execution == execution && kept.Session.Head.Status == "Running"
            && _kept.TryRemove(new(instance, kept))
            ? kept.Session
            : null;

    /// <summary>Keeps the session for the next step; <paramref name="head"/> is how this one left the instance.</summary>
    internal async Task KeepAsync(InstanceHead head, OrchestrationSession session)
    {
        session.Head = head;
        if (!settings.KeepSessions || _kept.Count >= Most || !_kept.TryAdd(head.Id, (session, clock.GetTimestamp())))
        {
            await session.DisposeAsync();
        }
    }

    /// <summary>Lets go of what has been idle for long.</summary>
    internal async Task TrimAsync()
    {
        foreach (var (id, kept) in _kept)
        {
            if (clock.GetElapsedTime(kept.Since) > settings.SessionIdle && _kept.TryRemove(new(id, kept)))
            {
                await kept.Session.DisposeAsync();
            }
        }
    }

    internal async Task ClearAsync()
    {
        foreach (var id in _kept.Keys)
        {
            if (_kept.TryRemove(id, out var kept))
            {
                await kept.Session.DisposeAsync();
            }
        }
    }
}
