using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using Npgsql;

namespace AgentPlatform.Tests.Knowledge;

/// <summary>Patterns without a user are everybody's in the tenant; those with one are that user's alone, by the API and in the database.</summary>
public sealed class PatternVisibilityTests : IAsyncLifetime
{
    private TestApi _api = null!;
    private (Guid UserId, string Key) _author;
    private (Guid UserId, string Key) _other;

    /// <summary>A kind of pattern: its path, its table, and a body for it.</summary>
    public static TheoryData<string, string, string> Kinds => new()
    {
        { "action-patterns", "knowledge.action_patterns", """{"task_type":"apply","task_name":"Apply","steps":["open"]}""" },
        { "element-selectors", "knowledge.element_selectors", """{"page_path":"/login","element_name":"submit","primary_selector":"#go"}""" },
        { "error-patterns", "knowledge.error_patterns", """{"error_type":"timeout","error_message":"Slow."}""" },
    };

    public async Task InitializeAsync()
    {
        _api = await TestApi.StartAsync();
        (_author, _other) = (await _api.MemberAsync("member"), await _api.MemberAsync("admin"));
    }

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Theory]
    [MemberData(nameof(Kinds))]
    [Behaviour("bb-pattern-shared-or-own")]
    public async Task Over_the_api_a_shared_pattern_is_everybodys_and_ones_own_is_not_there_for_others(string path, string table, string body)
    {
        var own = await CreateAsync(path, body, shared: false);
        var shared = await CreateAsync(path, body, shared: true);

        Assert.Equal([shared, own], await SeenAsync(path, _author.Key));
        Assert.Equal([shared], await SeenAsync(path, _other.Key));
        Assert.Equal([shared], await SeenAsync(path, null));
        foreach (var (method, change) in new (HttpMethod, string?)[] { (HttpMethod.Get, null), (HttpMethod.Patch, """{"metadata":{"a":1}}"""), (HttpMethod.Delete, null) })
        {
            Assert.Equal(404, (await _api.SendAsync(method, $"/api/v1/{path}/{own}", change, _other.Key)).Status);
        }

        Assert.Equal(200, (await _api.SendAsync(HttpMethod.Patch, $"/api/v1/{path}/{shared}", """{"metadata":{"a":1}}""", _other.Key)).Status);
        Assert.Equal(200, (await _api.SendAsync(HttpMethod.Patch, $"/api/v1/{path}/{own}", """{"metadata":{"a":1}}""", _author.Key)).Status);
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/{path}/{own}", key: _author.Key)).Status);
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/{path}/{shared}", key: _other.Key)).Status);
        Assert.Equal(0L, await _api.Platform.Postgres.ScalarAsync<long>($"SELECT count(*) FROM {table}"));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    [Behaviour("bb-pattern-shared-or-own")]
    public async Task The_database_itself_shows_and_changes_only_what_is_shared_or_ones_own(string path, string table, string body)
    {
        await CreateAsync(path, body, shared: false);
        await CreateAsync(path, body, shared: true);
        await GuardedAsync(table, "metadata = '{}'", sharedIsChanged: true);
    }

    [Theory]
    [InlineData("INSERT INTO knowledge.action_patterns (tenant_id, id, user_id, task_type, task_name) VALUES (kernel.current_tenant_id(), gen_random_uuid(), $1, 'a', 'a')")]
    [InlineData("INSERT INTO knowledge.element_selectors (tenant_id, id, user_id, page_path, element_name, primary_selector) VALUES (kernel.current_tenant_id(), gen_random_uuid(), $1, '/', 'a', '#a')")]
    [InlineData("INSERT INTO knowledge.error_patterns (tenant_id, id, user_id, error_type, error_message, signature) VALUES (kernel.current_tenant_id(), gen_random_uuid(), $1, 'a', 'a', 'a')")]
    [InlineData("INSERT INTO workflows.workflow_patterns (tenant_id, id, user_id, pattern_id, name, pattern) VALUES (kernel.current_tenant_id(), gen_random_uuid(), $1, 'a', 'a', '{}')")]
    [Behaviour("bb-pattern-shared-or-own")]
    public async Task Nobody_writes_a_pattern_in_anothers_name(string insert)
    {
        await Assert.ThrowsAsync<PostgresException>(() => _api.Platform.AsAsync(As(_other.UserId), tx => tx.ExecuteAsync(insert, [_author.UserId], default)));
        Assert.Equal(1, await _api.Platform.AsAsync(As(_author.UserId), tx => tx.ExecuteAsync(insert, [_author.UserId], default)));
    }

    [Fact]
    [Behaviour("bb-pattern-shared-or-own")]
    public async Task Workflow_patterns_are_guarded_in_the_same_way()
    {
        var pattern = new { pattern_id = "mine", name = "mine", pattern = new { steps = Array.Empty<object>() } };
        Assert.Equal(201, (await _api.PostAsync("/api/v1/workflow-patterns", pattern, _author.Key)).Status);
        await _api.Platform.AsAsync(Actor.System(_api.Tenant.TenantId), tx => tx.ExecuteAsync(
            "INSERT INTO workflows.workflow_patterns (tenant_id, id, pattern_id, name, pattern) VALUES (kernel.current_tenant_id(), gen_random_uuid(), 'ours', 'ours', '{}')", [], default));

        Assert.Equal(404, (await _api.GetAsync("/api/v1/workflow-patterns/mine", _other.Key)).Status);
        Assert.Equal(200, (await _api.GetAsync("/api/v1/workflow-patterns/mine", _author.Key)).Status);
        Assert.Equal(200, (await _api.GetAsync("/api/v1/workflow-patterns/ours", _other.Key)).Status);
        await GuardedAsync("workflows.workflow_patterns", "usage_count = 9", sharedIsChanged: false);
        await Assert.ThrowsAsync<PostgresException>(() => WriteAsync(_author.UserId, "UPDATE workflows.workflow_patterns SET pattern = '{}'"));
    }

    [Fact]
    [Behaviour("bb-pattern-shared-or-own")]
    public async Task A_success_pattern_is_its_members_alone()
    {
        var made = await _api.PostAsync("/api/v1/task-success-patterns", """{"task_type":"apply","successful_approach":{}}""", _author.Key);
        var path = $"/api/v1/task-success-patterns/{made.Json.Id()}";

        Assert.Equal((200, 404, 404), ((await _api.GetAsync(path, _author.Key)).Status, (await _api.GetAsync(path, _other.Key)).Status, (await _api.GetAsync(path)).Status));
        Assert.Equal((1, 0), (await WriteAsync(_author.UserId, "UPDATE knowledge.task_success_patterns SET usage_count = 9"), await WriteAsync(_other.UserId, "UPDATE knowledge.task_success_patterns SET usage_count = 9")));
    }

    [Fact]
    public async Task What_a_member_kept_for_themselves_goes_when_they_leave_and_what_is_shared_stays()
    {
        await CreateAsync("action-patterns", """{"task_type":"apply","task_name":"Apply","steps":["open"]}""", shared: false);
        var shared = await CreateAsync("action-patterns", """{"task_type":"apply","task_name":"Apply","steps":["open"]}""", shared: true);

        await _api.Platform.AsAsync(_api.Owner, tx => tx.ExecuteAsync("DELETE FROM tenancy.workspace_members WHERE user_id = $1", [_author.UserId], default));

        Assert.Equal(shared, await _api.Platform.Postgres.ScalarAsync<Guid>("SELECT id FROM knowledge.action_patterns"));
    }

    /// <summary>One private row of the author's and one shared row are in the table.</summary>
    private async Task GuardedAsync(string table, string change, bool sharedIsChanged)
    {
        Assert.Equal((2L, 1L, 1L), (await CountAsync(_author.UserId, table), await CountAsync(_other.UserId, table), await CountAsync(_api.Tenant.OwnerId, table)));
        // Without a condition only the policy stands between the statement and the rows.
        Assert.Equal(1, await WriteAsync(_other.UserId, $"UPDATE {table} SET {change}"));
        Assert.Equal(2, await WriteAsync(_author.UserId, $"UPDATE {table} SET {change}"));
        await Assert.ThrowsAsync<PostgresException>(() => WriteAsync(_other.UserId, $"UPDATE {table} SET user_id = '{_author.UserId}'"));
        Assert.Equal(sharedIsChanged ? 1 : 0, await WriteAsync(_other.UserId, $"DELETE FROM {table}"));
        Assert.Equal(_author.UserId, await _api.Platform.Postgres.ScalarAsync<Guid>($"SELECT user_id FROM {table} WHERE user_id IS NOT NULL"));
    }

    private Task<long> CountAsync(Guid userId, string table) => _api.Platform.AsAsync(As(userId), tx => tx.SingleAsync<long>($"SELECT count(*) FROM {table}", [], default));

    private Task<int> WriteAsync(Guid userId, string sql) => _api.Platform.AsAsync(As(userId), tx => tx.ExecuteAsync(sql, [], default));

    private Actor As(Guid userId) => new(_api.Tenant.TenantId, userId, "member");

    private async Task<Guid> CreateAsync(string path, string body, bool shared)
    {
        var made = await _api.PostAsync($"/api/v1/{path}", body.Replace("{\"", $"{{\"shared\":{(shared ? "true" : "false")},\"", StringComparison.Ordinal), _author.Key);
        Assert.True(made.Status == 201, made.Body);
        Assert.Equal(shared, made.Json.IsNull("user_id"));
        return made.Json.Id();
    }

    private async Task<IEnumerable<Guid>> SeenAsync(string path, string? key) =>
        (await _api.GetAsync($"/api/v1/{path}", key)).Json.GetProperty("items").EnumerateArray().Select(Reading.Id).ToList();
}
