using AgentPlatform.Tests.Workflows;

namespace AgentPlatform.Tests.Schedules;

public sealed class WorkflowAutomationTests
{
    [Fact]
    public async Task A_scheduled_workflow_is_started_followed_to_its_end_and_shown_by_the_api()
    {
        await using var flows = await Flows.StartAsync();
        await flows.DefineAsync("nightly", new { id = "a", action = "upload", input = new { n = "$.input.n" } });
        var config = new { workflow_id = "nightly", conversation_id = flows.ConversationId, input = new { n = 7 } };
        var made = await flows.Api.PostAsync("/api/v1/scheduled-tasks", new { name = "Nightly", automation_type = "workflow", automation_config = config, schedule_type = "daily", cron_expression = "0 3 * * *" });
        Assert.True(made.Status == 201, made.Body);
        var path = $"/api/v1/scheduled-tasks/{made.Json.GetProperty("id").GetGuid()}";
        Assert.Equal(201, (await flows.Api.PostAsync($"{path}/run", null)).Status);
        for (var i = 0; i < 3; i++)
        {
            await flows.DrainAsync();
            await flows.ChangeAsync("UPDATE work.items SET run_at = now() WHERE state = 'ready' AND kind = 'schedules.run'");
        }

        var run = (await flows.Api.GetAsync($"{path}/executions")).Json.GetProperty("items")[0];
        Assert.True(run.GetProperty("status").GetString() == "success", run.GetRawText());
        Assert.StartsWith("wfi_", run.GetProperty("output").GetProperty("workflow_instance_id").GetString(), StringComparison.Ordinal);
        Assert.Equal("7", flows.Depot.Effects.Single().Body.GetProperty("n").ToString());
        Assert.Equal(1, (await flows.Api.GetAsync("/api/v1/scheduled-tasks")).Json.GetProperty("items")[0].GetProperty("success_count").GetInt32());
        Assert.False((await flows.Api.GetAsync($"{path}/job")).Json.GetProperty("is_running").GetBoolean());

        Assert.Equal("paused", (await flows.Api.PostAsync($"{path}/pause", null)).Json.GetProperty("status").GetString());
        Assert.Equal("active", (await flows.Api.PostAsync($"{path}/resume", null)).Json.GetProperty("status").GetString());
        Assert.Equal("15 3 * * *", (await flows.Api.SendAsync(HttpMethod.Patch, path, new { cron_expression = "15 3 * * *" })).Json.GetProperty("cron_expression").GetString());
        Assert.Equal("archived", (await flows.Api.PostAsync($"{path}/archive", null)).Json.GetProperty("status").GetString());
        Assert.Equal(204, (await flows.Api.SendAsync(HttpMethod.Delete, path)).Status);
        Assert.Equal("scheduled_task_not_found", (await flows.Api.GetAsync(path)).Code);
    }

    [Fact]
    [Behaviour("bb-sched-timeout")]
    public async Task A_workflow_past_the_time_of_its_run_is_cancelled()
    {
        await using var flows = await Flows.StartAsync();
        await flows.DefineAsync("waits", new { id = "a", type = "wait", @event = "go" });
        var made = await flows.Api.PostAsync("/api/v1/scheduled-tasks", new
        {
            name = "Waits",
            automation_type = "workflow",
            automation_config = new { workflow_id = "waits", conversation_id = flows.ConversationId },
            schedule_type = "daily",
            cron_expression = "0 3 * * *",
            retry_on_failure = false,
        });
        var path = $"/api/v1/scheduled-tasks/{made.Json.GetProperty("id").GetGuid()}";
        await flows.Api.PostAsync($"{path}/run", null);
        await flows.DrainAsync();
        Assert.Equal("in_progress", await StatusAsync());

        await flows.ChangeAsync("UPDATE schedules.scheduled_task_executions SET started_at = started_at - interval '301 seconds'");
        await flows.ChangeAsync("UPDATE work.items SET run_at = now() WHERE state = 'ready' AND kind = 'schedules.run'");
        await flows.DrainAsync();

        Assert.Equal("timeout", (await flows.Api.GetAsync($"{path}/executions")).Json.GetProperty("items")[0].GetProperty("status").GetString());
        Assert.Equal("cancelled", await StatusAsync());

        Task<string> StatusAsync() => flows.Platform.AsAsync(flows.Actor, tx => tx.SingleAsync<string>("SELECT status FROM workflows.workflow_instances", [], default));
    }
}
