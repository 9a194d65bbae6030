using AgentPlatform.Knowledge.Patterns;

namespace AgentPlatform.Tests.Knowledge;

/// <summary>What was learned to no end is forgotten; what a person wrote, changed or owns is not, and neither is what helped.</summary>
public sealed class PatternRetentionTests : IAsyncLifetime
{
    private Workshop _shop = null!;

    public async Task InitializeAsync() => _shop = await Workshop.StartAsync();

    public async Task DisposeAsync() => await _shop.DisposeAsync();

    [Fact]
    public async Task Only_what_the_platform_learned_long_ago_and_nothing_came_of_is_forgotten()
    {
        foreach (var type in new[] { "gone", "changed", "helped", "recent" })
        {
            await _shop.PostAsync("error-patterns/occurrences", new { error_type = type, error_message = "x" });
        }

        await _shop.CreateAsync("error-patterns", new { error_type = "written", error_message = "x", shared = true });
        var ids = (await _shop.ItemsAsync("error-patterns")).ToDictionary(p => p.Text("error_type")!, Reading.Id);
        await _shop.Api.SendAsync(HttpMethod.Patch, $"/api/v1/error-patterns/{ids["changed"]}", new { recovery_strategies = new object[] { new { kind = "escalate" } } });
        await _shop.PostAsync($"error-patterns/{ids["helped"]}/recoveries", new { strategy = new { kind = "retry" }, succeeded = true });
        await AgeAsync("UPDATE knowledge.error_patterns SET last_occurred = now() - interval '91 days' WHERE error_type <> 'recent'");
        await AgeAsync(
            """
            INSERT INTO knowledge.action_patterns (tenant_id, id, task_type, task_name, steps, success_count, metadata, last_executed)
            SELECT kernel.current_tenant_id(), gen_random_uuid(), 't', name, to_jsonb(ARRAY[name]), tries, metadata::jsonb, now() - age::interval
            FROM (VALUES ('once', 1, '{"learned": true}', '91 days'), ('twice', 2, '{"learned": true}', '91 days'), ('recent', 1, '{"learned": true}', '1 day'), ('written', 1, '{}', '91 days')) AS v (name, tries, metadata, age)
            """);

        Assert.Equal(2, await _shop.Api.Platform.Get<PatternRetention>().PruneAsync(default));

        Assert.Equal(["changed", "helped", "recent", "written"], (await _shop.ItemsAsync("error-patterns")).Select(p => p.Text("error_type")).Order());
        Assert.Equal(["recent", "twice", "written"], (await _shop.ItemsAsync("action-patterns")).Select(p => p.Text("task_name")).Order());
    }

    private Task AgeAsync(string sql) => _shop.Api.Platform.AsAsync(_shop.System, tx => tx.ExecuteAsync(sql, [], default));
}
