using AgentPlatform.Kernel;
using AgentPlatform.Tests.Api;
using static AgentPlatform.Tests.Alerts.AlertStage;

namespace AgentPlatform.Tests.Alerts;

/// <summary>Rules as members write them.</summary>
public sealed class RuleTests : IAsyncLifetime
{
    private AlertStage _stage = null!;

    public async Task InitializeAsync() => _stage = await AlertStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task A_rule_is_made_read_changed_and_deleted_under_its_etag()
    {
        var made = await _stage.Api.PostAsync("/api/v1/alert-rules", Rule());
        var (id, path) = (Id(made.Json), made.Header("Location")!);
        Assert.Equal($"/api/v1/alert-rules/{id}", path);
        Assert.Equal(
            ("all_tasks", 5, true, 12, "medium", 5, true, false),
            (Text(made.Json, "target_type"), Number("cooldown_minutes"), made.Json.GetProperty("aggregation_enabled").GetBoolean(), Number("max_alerts_per_hour"),
             Text(made.Json, "severity"), Number("priority"), made.Json.GetProperty("is_active").GetBoolean(), made.Json.GetProperty("is_paused").GetBoolean()));
        Assert.Equal(_stage.Api.Tenant.OwnerId, made.Json.GetProperty("user_id").GetGuid());

        // An alert is no change of the rule.
        await _stage.RunAsync(await _stage.TaskAsync());
        var changed = await SendAsync(HttpMethod.Put, path, Rule(new { name = "Day watch", cooldown_minutes = 60 }), made.Header("ETag")!);
        Assert.Equal((200, "Day watch", 1), (changed.Status, Text(changed.Json, "name"), changed.Json.GetProperty("alerts_this_hour").GetInt32()));
        Assert.Equal((412, 412, 412), ((await SendAsync(HttpMethod.Put, path, Rule(), made.Header("ETag")!)).Status, (await SendAsync(HttpMethod.Post, $"{path}/pause", new { }, made.Header("ETag")!)).Status, (await SendAsync(HttpMethod.Delete, path, null, made.Header("ETag")!)).Status));

        Assert.Equal([id], (await _stage.ListAsync("alert-rules?rule_type=task_failure")).Select(Id));
        Assert.Empty(await _stage.ListAsync("alert-rules?rule_type=slow_run"));
        Assert.Equal(204, (await SendAsync(HttpMethod.Delete, path, null, changed.Header("ETag")!)).Status);
        Assert.Equal("alert_rule_not_found", (await _stage.Api.GetAsync(path)).Code);
        Assert.Empty(await _stage.AlertsAsync());

        int Number(string name) => made.Json.GetProperty(name).GetInt32();
    }

    [Fact]
    public async Task Pausing_twice_and_resuming_what_is_not_paused_are_refused()
    {
        var rule = await _stage.RuleAsync();
        foreach (var (step, status) in new[] { ("resume", 409), ("pause", 200), ("pause", 409), ("resume", 200) })
        {
            Assert.Equal((step, status), (step, (await _stage.Api.PostAsync($"/api/v1/alert-rules/{rule}/{step}", new { })).Status));
        }

        Assert.Equal("alert_rule_state", (await _stage.Api.PostAsync($"/api/v1/alert-rules/{rule}/resume", new { })).Code);
    }

    [Theory]
    [InlineData("rule_type", """{"rule_type": "task_sadness"}""")]
    [InlineData("name", """{"name": " "}""")]
    [InlineData("severity", """{"severity": "awful"}""")]
    [InlineData("target_type", """{"target_type": "some"}""")]
    [InlineData("target_task_ids", """{"target_type": "specific_tasks"}""")]
    [InlineData("target_task_ids", """{"target_type": "specific_tasks", "target_task_ids": ["0197f3a0-0000-7000-8000-000000000000"]}""")]
    [InlineData("target_task_ids", """{"target_task_ids": ["0197f3a0-0000-7000-8000-000000000000"]}""")]
    [InlineData("target_tags", """{"target_type": "tags", "target_tags": []}""")]
    [InlineData("target_tags", """{"target_type": "tags", "target_tags": [null]}""")]
    [InlineData("notification_channels", """{"notification_channels": []}""")]
    [InlineData("notification_channels", """{"notification_channels": [{"channel": "fax", "to": "1"}]}""")]
    [InlineData("notification_channels", """{"notification_channels": [{"channel": "sms", "to": "12"}]}""")]
    [InlineData("notification_channels", """{"notification_channels": [{"channel": "in_app", "to": "0197f3a0-0000-7000-8000-000000000000"}]}""")]
    [InlineData("notification_channels", """{"notification_channels": [{"channel": "webhook", "to": "0197f3a0-0000-7000-8000-000000000000"}]}""")]
    [InlineData("cooldown_minutes", """{"cooldown_minutes": -1}""")]
    [InlineData("max_alerts_per_hour", """{"max_alerts_per_hour": 0}""")]
    [InlineData("priority", """{"priority": 11}""")]
    [InlineData("conditions", """{"conditions": []}""")]
    [InlineData("conditions", """{"conditions": {"seconds": 5}}""")]
    [InlineData("conditions", """{"rule_type": "slow_run"}""")]
    [InlineData("conditions", """{"rule_type": "slow_run", "conditions": {"seconds": "5"}}""")]
    [InlineData("conditions", """{"rule_type": "slow_run", "conditions": {"seconds": 0.5}}""")]
    [InlineData("conditions", """{"rule_type": "consecutive_failures", "conditions": {"count": 1}}""")]
    [InlineData("conditions", """{"rule_type": "failure_rate", "conditions": {"percent": 101, "window_minutes": 5}}""")]
    public async Task What_is_wrong_with_a_rule_is_said_field_by_field_and_nothing_is_stored(string field, string rule)
    {
        var answer = await _stage.Api.PostAsync("/api/v1/alert-rules", Rule(Json.Read<object>(System.Text.Json.JsonSerializer.Deserialize<System.Text.Json.JsonElement>(rule))));
        Assert.True(answer.Status == 400, answer.Body);
        Assert.Equal(("validation_failed", field), (answer.Code, answer.Json.GetProperty("errors").EnumerateObject().Single().Name));
        Assert.Empty(await _stage.ListAsync("alert-rules"));
    }

    [Fact]
    public async Task Keys_need_the_scope_and_other_tenants_see_nothing()
    {
        var rule = await _stage.RuleAsync();
        var reader = await _stage.Api.KeyAsync("member", "alerts:read");
        Assert.Equal(403, (await _stage.Api.PostAsync("/api/v1/alert-rules", Rule(), reader)).Status);
        Assert.Equal(200, (await _stage.Api.GetAsync($"/api/v1/alert-rules/{rule}", reader)).Status);
        Assert.Equal(403, (await _stage.Api.GetAsync("/api/v1/alerts", await _stage.Api.KeyAsync("member", "tasks:read"))).Status);

        var stranger = (await _stage.Platform.ProvisionAsync("Rival")).ApiKey;
        await _stage.RunAsync(await _stage.TaskAsync());
        foreach (var path in new[] { "alert-rules", "alerts", "alert-deliveries", "notifications" })
        {
            Assert.Empty(Expect(await _stage.Api.GetAsync($"/api/v1/{path}", stranger), 200).GetProperty("items").EnumerateArray());
        }

        Assert.Equal(404, (await _stage.Api.GetAsync($"/api/v1/alert-rules/{rule}", stranger)).Status);
        Assert.Equal(404, (await _stage.Api.PostAsync($"/api/v1/alerts/{Id((await _stage.AlertsAsync())[0])}/acknowledge", new { }, stranger)).Status);
    }

    [Fact]
    public async Task Alerts_are_paged_and_filtered()
    {
        var task = await _stage.TaskAsync();
        var rule = await _stage.RuleAsync(new { cooldown_minutes = 0, severity = "high" });
        await _stage.RuleAsync(new { cooldown_minutes = 0 });
        await _stage.FailAsync(task, 2);

        var first = await _stage.GetAsync("alerts?limit=3");
        var rest = await _stage.GetAsync($"alerts?limit=3&cursor={Text(first, "next_cursor")}");
        Assert.Equal((3, 1), (first.GetProperty("items").GetArrayLength(), rest.GetProperty("items").GetArrayLength()));
        foreach (var (filter, found) in new[] { ("severity=high", 2), ($"rule_id={rule}", 2), ($"task_id={task}", 4), ("status=failed", 0) })
        {
            Assert.Equal((filter, found), (filter, (await _stage.ListAsync($"alerts?{filter}")).Length));
        }

        Assert.Equal((400, 400, 400), ((await _stage.Api.GetAsync("/api/v1/alerts?status=odd")).Status, (await _stage.Api.GetAsync("/api/v1/alerts?severity=odd")).Status, (await _stage.Api.GetAsync("/api/v1/alert-deliveries?status=odd")).Status));
    }

    private Task<ApiAnswer> SendAsync(HttpMethod method, string path, object? body, string etag) => _stage.Api.SendAsync(method, path, body, null, ("If-Match", etag));
}
