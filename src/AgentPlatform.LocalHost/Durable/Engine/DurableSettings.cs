namespace AgentPlatform.LocalHost.Durable;

/// <summary>
/// What this host honours of <c>extensions:durableTask</c> in host.json. <paramref name="KeepSessions"/> (<c>extendedSessionsEnabled</c>,
/// here on unless told) keeps orchestrators in memory between their turns; without, each turn replays the history. <paramref name="Lease"/>
/// (<c>storageProvider:taskEventLockTimeout</c>) is how long a killed host's work rests; it is renewed at a third of it while the work runs.
/// </summary>
internal sealed record DurableSettings(int MaxActivities, int MaxOrchestrators, bool KeepSessions, TimeSpan SessionIdle, TimeSpan Lease)
{
    /// <summary>How late another host's work is seen.</summary>
    internal static readonly TimeSpan Poll = TimeSpan.FromSeconds(1);

    /// <summary>An activity that takes its host down this often fails.</summary>
    internal const int MaxClaims = 20;

    internal static int DefaultConcurrency => 10 * Environment.ProcessorCount;
}
