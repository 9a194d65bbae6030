using AgentPlatform.Work;
using AgentPlatform.Work.Operate;

namespace AgentPlatform.Tests.Work;

public sealed class VacuumHorizonTests
{
    [Theory]
    [InlineData(299, 0, 5_000_000, VacuumState.Ok)]
    [InlineData(300, 0, 99_999, VacuumState.Ok)]
    [InlineData(300, 0, 100_000, VacuumState.Warned)]
    [InlineData(0, 1_000_000, 100_000, VacuumState.Warned)]
    [InlineData(300, 0, 1_000_000, VacuumState.Throttled)]
    [InlineData(0, 1_000_000, 1_000_000, VacuumState.Throttled)]
    public void An_old_snapshot_and_dead_rows_together_are_an_alarm(double seconds, long transactions, long dead, VacuumState state) =>
        Assert.Equal(state, new VacuumHorizon(seconds, transactions, dead).Judge(new WorkOptions()));
}
