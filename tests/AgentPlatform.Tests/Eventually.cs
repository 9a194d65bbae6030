using System.Diagnostics;

namespace AgentPlatform.Tests;

/// <summary>Waits for what another process or thread brings about, by looking, up to a limit.</summary>
internal static class Eventually
{
    internal static Task PauseAsync() => Task.Delay(TimeSpan.FromMilliseconds(25), TimeProvider.System);

    /// <summary>Looks until <paramref name="look"/> returns something that satisfies <paramref name="enough"/>; returns the last thing seen.</summary>
    internal static async Task<T> SeeAsync<T>(Func<Task<T>> look, Func<T, bool> enough, int seconds = 60)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            var seen = await look();
            if (enough(seen) || watch.Elapsed.TotalSeconds > seconds)
            {
                return seen;
            }

            await PauseAsync();
        }
    }
}
