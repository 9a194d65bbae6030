using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using AgentPlatform.Work.Operate;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Work;

public sealed class OperateWorkTests : IAsyncLifetime
{
    private TestPlatform _platform = null!;
    private Actor _tenant = null!;
    private bool _healed;

    public async Task InitializeAsync()
    {
        _platform = await TestPlatform.StartAsync(services => services.AddSingleton(this).AddWorkHandler<Fragile>("test.fragile"));
        _tenant = await _platform.NewTenantAsync();
    }

    public async Task DisposeAsync() => await _platform.DisposeAsync();

    [Fact]
    public async Task A_dead_item_is_listed_with_its_reason_and_a_redrive_runs_it_again()
    {
        await EnqueueAsync("a");
        await _platform.DrainAsync();
        var dead = Assert.Single((await ListAsync("dead")).Items);
        Assert.Equal(("a", "no such thing", 1), (dead.Key, dead.LastError, dead.Attempts));

        _healed = true;
        Assert.Equal("ready", (await Operate.RedriveAsync(_tenant, dead.Id, default)).Value.State);
        await _platform.DrainAsync();
        Assert.Empty((await ListAsync("dead")).Items);
        Assert.Equal("work_item_not_dead", (await Operate.RedriveAsync(_tenant, dead.Id, default)).Problem!.Code);
    }

    [Fact]
    public async Task Another_tenant_sees_and_redrives_nothing()
    {
        await EnqueueAsync("a");
        await _platform.DrainAsync();
        var id = Assert.Single((await ListAsync("dead")).Items).Id;
        var other = await _platform.NewTenantAsync("Other");
        Assert.Empty((await ListAsync(other, null, new PageRequest(50, null))).Items);
        Assert.Equal("work_item_not_found", (await Operate.RedriveAsync(other, id, default)).Problem!.Code);
    }

    [Fact]
    public async Task Pages_follow_each_other_without_gaps()
    {
        for (var i = 0; i < 5; i++)
        {
            await EnqueueAsync($"{i}");
        }

        var first = await ListAsync(_tenant, null, new PageRequest(2, null));
        var second = await ListAsync(_tenant, null, PageRequest.Parse(2, first.NextCursor).Value);
        var third = await ListAsync(_tenant, null, PageRequest.Parse(2, second.NextCursor).Value);
        Assert.Equal(["4", "3", "2", "1", "0"], first.Items.Concat(second.Items).Concat(third.Items).Select(i => i.Key));
        Assert.Null(third.NextCursor);
        var depth = Assert.Single(await Operate.DepthAsync(_tenant, default));
        Assert.Equal(("test.fragile", "ready", 5L), (depth.Kind, depth.State, depth.Count));
    }

    private OperateWork Operate => _platform.Get<OperateWork>();

    private Task<Page<WorkView>> ListAsync(string state) => ListAsync(_tenant, state, new PageRequest(50, null));

    private Task<Page<WorkView>> ListAsync(Actor actor, string? state, PageRequest page) => _platform.AsAsync(actor, tx => OperateWork.ListAsync(tx, state, null, page, default));

    private Task EnqueueAsync(string key) => _platform.AsAsync(_tenant, tx =>
    {
        _platform.Get<WorkQueue>().Enqueue(tx, new NewWork("test.fragile", key, new { }));
        return Task.CompletedTask;
    });

    internal sealed class Fragile(OperateWorkTests test) : IWorkHandler
    {
        public Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct) =>
            Task.FromResult<WorkOutcome>(test._healed ? new WorkOutcome.Done() : new WorkOutcome.Dead("no such thing"));
    }
}
