using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using AgentPlatform.Events.Live;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Hosting;

namespace AgentPlatform.Console.Shell;

/// <summary>Follows what a page shows of an aggregate, and says when it is no longer so; the page then reads itself again.</summary>
internal sealed class FollowChanges(EventSignals signals, IHostApplicationLifetime host, TimeProvider clock)
{
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(15);

    // The browser connects again by itself, and is asked again who it is.
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(10);

    /// <summary><paramref name="revisionOf"/> names the state that the page would show now; <paramref name="seen"/> the one it shows.</summary>
    internal async IAsyncEnumerable<SseItem<string>> FollowAsync(
        Actor actor, Guid aggregate, Func<CancellationToken, Task<string>> revisionOf, string seen, [EnumeratorCancellation] CancellationToken ct)
    {
        using var open = CancellationTokenSource.CreateLinkedTokenSource(ct, host.ApplicationStopping);
        using var signal = signals.Of(actor.TenantId, aggregate);
        var (ends, beat) = (clock.GetUtcNow() + Longest, clock.GetUtcNow());
        yield return new SseItem<string>(seen, "alive") { EventId = seen, ReconnectionInterval = TimeSpan.FromSeconds(1) };
        while (clock.GetUtcNow() < ends && !open.IsCancellationRequested)
        {
            var revision = await revisionOf(ct);
            if (revision != seen)
            {
                (seen, beat) = (revision, clock.GetUtcNow());
                yield return new SseItem<string>(seen, "changed") { EventId = seen };
            }
            else if (clock.GetUtcNow() - beat > Beat)
            {
                beat = clock.GetUtcNow();
                yield return new SseItem<string>(seen, "alive") { EventId = seen };
            }

            try
            {
                await signal.WaitAsync(open.Token);
            }
            catch (OperationCanceledException)
            {
                yield break;
            }
        }
    }
}
