namespace AgentPlatform.Kernel;

public static class Clock
{
    /// <summary>A UUIDv7: sorts by time, and partitions by it.</summary>
    public static Guid NewId(this TimeProvider clock) => Guid.CreateVersion7(clock.GetUtcNow());
}
