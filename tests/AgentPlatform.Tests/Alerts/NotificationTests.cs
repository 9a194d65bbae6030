using System.Text.Json;
using AgentPlatform.Alerts;
using static AgentPlatform.Tests.Alerts.AlertStage;

namespace AgentPlatform.Tests.Alerts;

/// <summary>What members see in the console, what they say to it, and what tasks want told by themselves.</summary>
public sealed class NotificationTests : IAsyncLifetime
{
    private AlertStage _stage = null!;

    public async Task InitializeAsync() => _stage = await AlertStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Theory]
    [InlineData("task_failure", "failed", "low", "info")]
    [InlineData("task_failure", "failed", "medium", "warning")]
    [InlineData("task_failure", "failed", "high", "error")]
    [InlineData("task_failure", "failed", "critical", "error")]
    [InlineData("task_success", "success", "high", "success")]
    [Behaviour("bb-notification-inapp")]
    public async Task A_notification_has_the_type_of_its_alert(string ruleType, string status, string severity, string type)
    {
        await _stage.RuleAsync(new { rule_type = ruleType, severity, priority = 2 });
        await _stage.RunAsync(await _stage.TaskAsync(), status);

        var (shown, alert) = (Assert.Single(await _stage.ListAsync("notifications")), Assert.Single(await _stage.AlertsAsync()));
        Assert.Equal((type, 2, Text(alert, "title"), Id(alert)), (Text(shown, "type"), shown.GetProperty("priority").GetInt32(), Text(shown, "title"), shown.GetProperty("alert_history_id").GetGuid()));
        Assert.Equal(shown.GetProperty("created_at").GetDateTimeOffset().AddDays(30), shown.GetProperty("expires_at").GetDateTimeOffset());
    }

    [Fact]
    [Behaviour("bb-notification-inapp")]
    public async Task Notifications_are_read_and_dismissed_with_the_times_of_the_first_word()
    {
        var (read, gone) = await TwoAsync();
        var first = await _stage.PostAsync($"notifications/{read}/read", new { }, 200);
        Assert.True(first.GetProperty("is_read").GetBoolean());
        Assert.Equal([gone], await UnreadAsync());

        _stage.Clock.Advance(TimeSpan.FromMinutes(1));
        var again = await _stage.PostAsync($"notifications/{read}/read", new { }, 200);
        Assert.Equal(first.GetProperty("read_at").GetDateTimeOffset(), again.GetProperty("read_at").GetDateTimeOffset());
        Assert.Equal(2, (await _stage.ListAsync("notifications")).Length);

        var dismissed = await _stage.PostAsync($"notifications/{gone}/dismiss", new { }, 200);
        Assert.Equal((true, false), (dismissed.GetProperty("is_dismissed").GetBoolean(), dismissed.GetProperty("is_read").GetBoolean()));
        _stage.Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(dismissed.GetProperty("dismissed_at").GetDateTimeOffset(), (await _stage.PostAsync($"notifications/{gone}/dismiss", new { }, 200)).GetProperty("dismissed_at").GetDateTimeOffset());
        Assert.Equal([read], (await _stage.ListAsync("notifications")).Select(Id));
        Assert.Empty(await UnreadAsync());
    }

    [Fact]
    [Behaviour("bb-notification-inapp")]
    public async Task A_notification_disappears_after_its_time_and_is_pruned()
    {
        var (old, _) = await TwoAsync();
        var expires = (await _stage.ListAsync("notifications")).Single(n => Id(n) == old).GetProperty("expires_at").GetDateTimeOffset();
        _stage.Clock.Advance(expires - _stage.Clock.GetUtcNow() - TimeSpan.FromSeconds(1));
        Assert.Contains(old, await UnreadAsync());

        _stage.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.DoesNotContain(old, await UnreadAsync());
        Assert.Equal(404, (await _stage.Api.PostAsync($"/api/v1/notifications/{old}/read", new { })).Status);
        Assert.Equal(404, (await _stage.Api.PostAsync($"/api/v1/notifications/{old}/dismiss", new { })).Status);

        // The job goes by the database's clock.
        await _stage.CountAsync("WITH old AS (UPDATE alerts.in_app_notifications SET expires_at = now() - interval '1 second' WHERE id = $1 RETURNING 1) SELECT count(*) FROM old", old);
        Assert.Equal(1, await _stage.Platform.Get<AlertRetention>().PruneAsync(default));
        Assert.Equal((0L, 2), (await _stage.CountAsync("SELECT count(*) FROM alerts.in_app_notifications WHERE id = $1", old), (await _stage.AlertsAsync()).Length));
    }

    [Fact]
    public async Task Alerts_are_kept_for_ninety_days()
    {
        var (_, kept) = await TwoAsync();
        var older = Id((await _stage.AlertsAsync())[1]);
        await _stage.CountAsync(
            "WITH old AS (UPDATE alerts.alert_history SET triggered_at = now() - interval '90 days' + CASE WHEN id = $1 THEN '-1 second' ELSE '1 hour' END::interval RETURNING 1) SELECT count(*) FROM old", older);

        Assert.Equal(1, await _stage.Platform.Get<AlertRetention>().PruneAsync(default));

        Assert.Equal(404, (await _stage.Api.GetAsync($"/api/v1/alerts/{older}")).Status);
        Assert.Equal([kept], (await _stage.ListAsync("notifications")).Select(Id));
        Assert.Single(await _stage.ListAsync("alert-deliveries"));
    }

    [Fact]
    [Behaviour("bb-notification-inapp")]
    public async Task Deleting_the_alert_deletes_its_notifications_and_deliveries_and_nothing_else()
    {
        var (gone, kept) = await TwoAsync();
        var alert = (await _stage.ListAsync("notifications")).Single(n => Id(n) == gone).GetProperty("alert_history_id").GetGuid();

        Expect(await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/alerts/{alert}"), 204);

        Assert.Equal([kept], (await _stage.ListAsync("notifications")).Select(Id));
        Assert.Empty(await _stage.ListAsync($"alert-deliveries?alert_id={alert}"));
        Assert.Single(await _stage.ListAsync("alert-deliveries"));
        Assert.Equal(404, (await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/alerts/{alert}")).Status);
    }

    [Fact]
    public async Task Members_see_and_change_their_own_and_one_who_has_left_is_shown_nothing()
    {
        var (other, key) = await _stage.Api.MemberAsync("member");
        await _stage.RuleAsync(new { notification_channels = new object[] { new { channel = "in_app", to = other } }, cooldown_minutes = 0 });
        var task = await _stage.TaskAsync();
        await _stage.RunAsync(task);

        Assert.Empty(await _stage.ListAsync("notifications"));
        var theirs = Id(Assert.Single(Expect(await _stage.Api.GetAsync("/api/v1/notifications", key), 200).GetProperty("items").EnumerateArray()));
        Assert.Equal(("notification_not_found", 404), ((await _stage.Api.PostAsync($"/api/v1/notifications/{theirs}/read", new { })).Code, (await _stage.Api.PostAsync($"/api/v1/notifications/{theirs}/dismiss", new { })).Status));

        var membership = (await _stage.ListAsync("members")).Single(m => m.GetProperty("user_id").GetGuid() == other);
        Expect(await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/members/{Id(membership)}"), 204);
        await _stage.RunAsync(task);
        Assert.Equal("not_a_member", Text((await _stage.ListAsync("alert-deliveries?status=failed"))[0], "error"));
    }

    [Fact]
    [Behaviour("bb-alert-acknowledge")]
    public async Task Acknowledging_says_who_and_when_once()
    {
        await _stage.RuleAsync();
        var task = await _stage.TaskAsync();
        await _stage.FailAsync(task, 2);
        var (folding, sent) = (Id((await _stage.AlertsAsync())[0]), Id((await _stage.AlertsAsync())[1]));
        var (member, key) = await _stage.Api.MemberAsync("member");
        var before = _stage.Clock.GetUtcNow();

        var said = Expect(await _stage.Api.PostAsync($"/api/v1/alerts/{sent}/acknowledge", new { }, key), 200);

        Assert.Equal(member, said.GetProperty("acknowledged_by").GetGuid());
        Assert.InRange(said.GetProperty("acknowledged_at").GetDateTimeOffset(), before, _stage.Clock.GetUtcNow());
        var again = await _stage.Api.PostAsync($"/api/v1/alerts/{sent}/acknowledge", new { });
        Assert.Equal((409, "alert_acknowledged"), (again.Status, again.Code));
        Assert.Equal(said.GetRawText(), (await _stage.GetAsync($"alerts/{sent}")).GetRawText());
        Assert.Equal([sent], (await _stage.ListAsync("alerts?acknowledged=true")).Select(Id));
        Assert.Equal([folding], (await _stage.ListAsync("alerts?acknowledged=false")).Select(Id));

        var early = await _stage.Api.PostAsync($"/api/v1/alerts/{folding}/acknowledge", new { });
        Assert.Equal((409, "alert_folding"), (early.Status, early.Code));
        Assert.Equal("alert_not_found", (await _stage.Api.PostAsync($"/api/v1/alerts/{task}/acknowledge", new { })).Code);
        Assert.Equal(403, (await _stage.Api.PostAsync($"/api/v1/alerts/{sent}/acknowledge", new { }, await _stage.Api.KeyAsync("member", "alerts:read"))).Status);
    }

    [Fact]
    [Behaviour("bb-sched-notify")]
    public async Task A_task_tells_of_failures_and_not_of_successes_unless_it_says_otherwise()
    {
        var usual = Id(await _stage.PostAsync("scheduled-tasks", new { name = "Usual", automation_type = "custom", automation_config = new { }, schedule_type = "daily", cron_expression = "0 3 * * *", retry_on_failure = false }));
        var other = await _stage.TaskAsync(new { name = "Other", notify_on_success = true, notify_on_failure = false });
        var read = await _stage.GetAsync($"scheduled-tasks/{usual}");
        Assert.Equal((false, true), (read.GetProperty("notify_on_success").GetBoolean(), read.GetProperty("notify_on_failure").GetBoolean()));

        foreach (var (task, status, told) in new[] { (usual, "success", 0), (usual, "failed", 1), (usual, "timeout", 2), (other, "failed", 2), (other, "timeout", 2), (other, "success", 3) })
        {
            await _stage.RunAsync(task, status);
            Assert.Equal((told, task, status), ((await _stage.ListAsync("notifications")).Length, task, status));
        }

        Assert.Equal(["success", "warning", "warning"], (await _stage.ListAsync("notifications")).Select(n => Text(n, "type")));
        Assert.All(await _stage.AlertsAsync(), alert => Assert.Equal(JsonValueKind.Null, alert.GetProperty("rule_id").ValueKind));
    }

    [Fact]
    [Behaviour("bb-sched-notify")]
    public async Task A_tasks_notices_go_to_its_channels_each_time_and_may_be_turned_off()
    {
        await _stage.ChannelsAsync();
        var task = await _stage.TaskAsync(new { notify_on_failure = true, notification_channels = new object[] { new { channel = "sms", to = Phone }, new { channel = "email", to = Mail } } });
        await _stage.FailAsync(task, 2);
        Assert.Equal((2, 2, 0), (_stage.Texts.Count(), _stage.Smtp.Mails.Count, (await _stage.ListAsync("notifications")).Length));
        Assert.Equal("Nightly report failed", _stage.Smtp.Mails.First().Header("Subject"));

        Expect(await _stage.Api.SendAsync(HttpMethod.Patch, $"/api/v1/scheduled-tasks/{task}", new { notification_channels = Array.Empty<object>() }), 200);
        await _stage.RunAsync(task);
        Expect(await _stage.Api.SendAsync(HttpMethod.Patch, $"/api/v1/scheduled-tasks/{task}", new { notification_channels = new[] { new { channel = "in_app" } }, notify_on_failure = false }), 200);
        await _stage.RunAsync(task);

        Assert.Equal(2, (await _stage.AlertsAsync()).Length);
    }

    [Fact]
    [Behaviour("bb-sched-notify")]
    public async Task A_failure_that_is_repeated_is_told_with_its_last_attempt()
    {
        var task = await _stage.TaskAsync(new { notify_on_failure = true, retry_on_failure = true, max_retries = 1 });
        await _stage.RunAsync(task);
        Assert.Empty(await _stage.ListAsync("notifications"));

        await _stage.PassAsync(TimeSpan.FromMinutes(1), "schedules.run");

        Assert.Single(await _stage.ListAsync("notifications"));
    }

    [Theory]
    [InlineData("""[{"channel": "pigeon", "to": "x"}]""")]
    [InlineData("""[{"channel": "sms", "to": "12"}]""")]
    [InlineData("""[{"channel": "email"}]""")]
    [InlineData("""[{"channel": "webhook", "to": "https://acme.example"}]""")]
    [InlineData("""[null]""")]
    public async Task A_task_does_not_take_places_that_cannot_be_reached(string channels)
    {
        var task = await _stage.TaskAsync();
        var answer = await _stage.Api.SendAsync(HttpMethod.Patch, $"/api/v1/scheduled-tasks/{task}", $$"""{"notification_channels": {{channels}}}""");
        Assert.Equal((400, "notification_channels"), (answer.Status, answer.Json.GetProperty("errors").EnumerateObject().Single().Name));
    }

    private async Task<(Guid Older, Guid Newer)> TwoAsync()
    {
        await _stage.RuleAsync(new { cooldown_minutes = 0 });
        await _stage.FailAsync(await _stage.TaskAsync(), 2);
        var shown = await _stage.ListAsync("notifications");
        return (Id(shown[1]), Id(shown[0]));
    }

    private async Task<IEnumerable<Guid>> UnreadAsync() => (await _stage.ListAsync("notifications?unread=true")).Select(Id);
}
