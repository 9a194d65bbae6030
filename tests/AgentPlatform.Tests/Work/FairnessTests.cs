using AgentPlatform.Postgres;
using AgentPlatform.Work;
using AgentPlatform.Work.Operate;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Tests.Work;

/// <summary>One tenant's long queue beside another's short one: judged by the order of starts, never by the clock.</summary>
public sealed class FairnessTests : IAsyncLifetime
{
    private const int Flood = 20_000;

    private WorkStage _stage = null!;
    private Actor _small = null!;

    public async Task InitializeAsync()
    {
        _stage = await WorkStage.StartAsync();
        _small = await _stage.Platform.NewTenantAsync("Small");
        await _stage.Platform.DrainAsync();
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task A_tenant_with_little_work_starts_it_in_the_next_claim_however_much_another_has_waiting()
    {
        await EnqueueAsync(_stage.Tenant, "test.play", Flood);
        var leases = NewHost();
        Assert.Equal(16, (await leases.CompleteAndClaimAsync([], 16, default)).Count);

        // Put in last, less urgent, and of another kind: still it gets its half of the next claim.
        await EnqueueAsync(_small, "test.other", 10, priority: 90);
        var claimed = await leases.CompleteAndClaimAsync([], 16, default);
        Assert.Equal((8, 8), (claimed.Count(c => c.TenantId == _small.TenantId), claimed.Count(c => c.TenantId == _stage.Tenant.TenantId)));
        claimed = await leases.CompleteAndClaimAsync([], 16, default);
        Assert.Equal(2, claimed.Count(c => c.TenantId == _small.TenantId));
        Assert.Equal(16, (await leases.CompleteAndClaimAsync([], 16, default)).Count);
    }

    [Fact]
    public async Task Tenants_take_turns_when_a_claim_has_less_room_than_there_are_tenants()
    {
        var third = await _stage.Platform.NewTenantAsync("Third");
        await _stage.Platform.DrainAsync();
        foreach (var tenant in new[] { _stage.Tenant, _small, third })
        {
            await EnqueueAsync(tenant, "test.play", 20);
        }

        var leases = NewHost();
        var turns = new List<Guid>();
        for (var i = 0; i < 9; i++)
        {
            turns.Add(Assert.Single(await leases.CompleteAndClaimAsync([], 1, default)).TenantId);
        }

        Assert.All(turns.CountBy(t => t), tenant => Assert.Equal(3, tenant.Value));
    }

    [Fact]
    public async Task Within_a_tenant_the_most_urgent_of_all_kinds_comes_first()
    {
        await EnqueueAsync(_small, "test.play", 5, priority: 50);
        await EnqueueAsync(_small, "test.other", 3, priority: 10);
        var claimed = await NewHost().CompleteAndClaimAsync([], 4, default);
        Assert.Equal(3, claimed.Count(c => c.Kind == "test.other"));
        Assert.Equal(4, claimed.Count);
    }

    private Task EnqueueAsync(Actor tenant, string kind, int count, short priority = 50) => _stage.Platform.AsAsync(tenant, tx =>
    {
        _stage.Platform.Get<WorkQueue>().EnqueueMany(tx, [.. Enumerable.Range(0, count).Select(i => new NewWork(kind, $"{kind}-{i}", new { }) { Priority = priority })]);
        return Task.CompletedTask;
    });

    private WorkLeases NewHost() =>
        new(_stage.Platform.Database, _stage.Platform.Get<WorkKinds>(), _stage.Platform.Get<WorkMetrics>(), _stage.Platform.Get<VacuumAlarm>(), Options.Create(new WorkOptions()), TimeProvider.System);
}
