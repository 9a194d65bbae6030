using AgentPlatform.Tasks;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Tasks;

/// <summary>Which tasks the bot takes, when, and who takes each.</summary>
public sealed class BoardQueueTests : IAsyncLifetime
{
    private Board _board = null!;

    public async Task InitializeAsync() => _board = await Board.StartAsync(("Work:Concurrency", "1"));

    public async Task DisposeAsync() => await _board.DisposeAsync();

    [Fact]
    [Behaviour("bb-task-pick")]
    public async Task The_bot_takes_its_due_tasks_critical_before_high_before_medium_before_low()
    {
        var later = await _board.PutAsync("later", new { priority = "critical", scheduled_for = DateTimeOffset.UnixEpoch.AddYears(100) });
        var person = await _board.PutAsync("a person's", new { priority = "critical", assigned_to_bot = false });
        await _board.ChangeAsync("INSERT INTO work.pauses (tenant_id, id, reason, created_by) VALUES ($1, gen_random_uuid(), 'collecting', gen_random_uuid())", _board.Api.Tenant.TenantId);
        await _board.PutAsync("urgent low", new { priority = "low", urgency = "urgent", scheduled_for = TimeProvider.System.GetUtcNow().AddHours(-1) });
        foreach (var priority in new[] { "low", "medium", "critical", "high" })
        {
            await _board.PutAsync(priority, new { priority });
        }

        await _board.ChangeAsync("DELETE FROM work.pauses");
        await _board.DrainAsync();

        // An urgent task counts as one class higher, and within a class the longer wait decides.
        Assert.Equal(["critical", "high", "urgent low", "medium", "low"], _board.Processor.Ran);
        Assert.Equal(("queued", null), ((await _board.ReadAsync(later)).Status, (await _board.ReadAsync(later)).StatusReason));
        Assert.Equal(("pending", "Waits for a person to do it."), ((await _board.ReadAsync(person)).Status, (await _board.ReadAsync(person)).StatusReason));
    }

    [Fact]
    [Behaviour("bb-task-pick-once")]
    public async Task Parallel_workers_of_two_hosts_start_each_task_once()
    {
        await using var other = _board.Platform.Twin(services => services.AddSingleton<IAgencyTaskProcessor>(_board.Processor));
        for (var i = 0; i < 30; i++)
        {
            await _board.PutAsync($"{i}");
        }

        await Task.WhenAll(_board.DrainAsync(), other.DrainAsync(), _board.DrainAsync(), other.DrainAsync());

        Assert.Equal(Enumerable.Range(0, 30), _board.Processor.Ran.Select(int.Parse).Order());
        Assert.Equal(30L, await _board.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM tasks.task_executions WHERE attempt_number = 1 AND status = 'completed'"));
        Assert.Equal(30L, await _board.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM tasks.task_executions"));
    }

    [Fact]
    public async Task A_task_whose_worker_died_is_begun_anew_and_what_the_dead_one_still_does_is_not_kept()
    {
        await using var other = _board.Platform.Twin(services => services.AddSingleton<IAgencyTaskProcessor>(_board.Processor));
        var id = await _board.PutAsync("fragile");
        _board.Processor.Steps = [new("one", async (run, tx, ct) =>
        {
            if (run.Attempt == 1)
            {
                // Held up for longer than its lease, and cut off from its transaction: another host takes over, and finishes first.
                await tx.DisposeAsync();
                await _board.Platform.Postgres.LoseWorkersAsync();
                await other.DrainAsync();
            }

            return new StepOutcome.Done(Kernel.Json.Of(new { by = run.Attempt }));
        })];

        await _board.DrainAsync();

        Assert.Equal(2, (await _board.ReadAsync(id)).Result!.Value.GetProperty("by").GetInt32());
        Assert.Equal(["interrupted", "completed"], (await _board.ExecutionsAsync(id)).Select(e => e.Status));
        Assert.Equal(0, (await _board.ReadAsync(id)).ErrorCount);
    }

    [Fact]
    public async Task A_task_that_kills_every_worker_has_failed_in_the_end_and_says_so()
    {
        var id = await _board.PutAsync("deadly");
        await _board.ChangeAsync("UPDATE work.items SET fence = 20, attempts = 1, interruptions = 20 WHERE kind = 'tasks.run'");
        await _board.Platform.Postgres.LoseWorkersAsync("kind = 'tasks.run'");

        await _board.DrainAsync();

        Assert.Empty(_board.Processor.Ran);
        Assert.Equal(("failed", "Interrupted 21 times."), ((await _board.ReadAsync(id)).Status, (await _board.ReadAsync(id)).LastError));
        Assert.Equal("internal_error", Assert.Single(await _board.ExecutionsAsync(id)).ErrorCode);
    }

    [Fact]
    [Behaviour("bb-task-deadline")]
    public async Task A_task_past_its_deadline_becomes_overdue_and_goes_before_all_others()
    {
        var far = TimeProvider.System.GetUtcNow().AddHours(2);
        var waiting = await _board.PutAsync("waits for a person", new { assigned_to_bot = false, deadline = far });
        var moved = await _board.PutAsync("moved", new { assigned_to_bot = false, deadline = far });
        await _board.ChangeAsync("INSERT INTO work.pauses (tenant_id, id, kind, reason, created_by) VALUES ($1, gen_random_uuid(), 'tasks.run', 'collecting', gen_random_uuid())", _board.Api.Tenant.TenantId);
        await _board.PutAsync("critical", new { priority = "critical" });
        var late = await _board.PutAsync("late", new { priority = "low", deadline = far });
        await _board.DrainAsync();
        Assert.Equal("normal", (await _board.ReadAsync(late)).Urgency);

        // Two hours pass, for two of the three.
        await _board.ChangeAsync("UPDATE tasks.agency_tasks SET deadline = now() - interval '1 second' WHERE id = ANY ($1)", [new[] { waiting, late }]);
        await _board.DrainDueAsync();

        Assert.Equal(("overdue", "pending"), ((await _board.ReadAsync(waiting)).Urgency, (await _board.ReadAsync(waiting)).Status));
        Assert.Equal(("overdue", "queued"), ((await _board.ReadAsync(late)).Urgency, (await _board.ReadAsync(late)).Status));
        Assert.Equal("normal", (await _board.ReadAsync(moved)).Urgency);
        Assert.Single(await _board.EventsAsync(late), "agency_task.overdue");
        Assert.Equal([late, waiting], (await _board.Api.GetAsync("/api/v1/agency-tasks?urgency=overdue")).Json.GetProperty("items").EnumerateArray().Select(t => t.GetProperty("id").GetGuid()));

        await _board.ChangeAsync("DELETE FROM work.pauses");
        await _board.DrainAsync();
        Assert.Equal(["late", "critical"], _board.Processor.Ran);

        var later = await _board.Api.SendAsync(HttpMethod.Patch, $"/api/v1/agency-tasks/{waiting}", new { deadline = far });
        Assert.Equal("normal", later.Json.GetProperty("urgency").GetString());
    }
}
