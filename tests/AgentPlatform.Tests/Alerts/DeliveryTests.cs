using System.Text;
using System.Text.Json;
using AgentPlatform.Channels;
using AgentPlatform.Channels.Custom;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Sandbox;
using static AgentPlatform.Tests.Alerts.AlertStage;

namespace AgentPlatform.Tests.Alerts;

/// <summary>How an alert reaches people and machines.</summary>
public sealed class DeliveryTests : IAsyncLifetime
{
    private static readonly object[] ByText = [new { channel = "sms", to = Phone }];

    private AlertStage _stage = null!;
    private Guid _task;

    public async Task InitializeAsync()
    {
        _stage = await AlertStage.StartAsync();
        await _stage.ChannelsAsync();
        _task = await _stage.TaskAsync();
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("bb-alert-delivery-queue")]
    public async Task Each_channel_gets_a_row_and_is_reached_and_the_alert_says_how()
    {
        await using var receiver = await FakeWebhookReceiver.StartAsync();
        var (hook, secret) = await HookAsync(receiver);
        await _stage.RuleAsync(new
        {
            severity = "critical",
            notification_channels = new object[]
            {
                new { channel = "in_app" }, new { channel = "email", to = "OPS@Acme.example" }, new { channel = "email", to = "boss@acme.example" }, new { channel = "sms", to = Phone },
                new { channel = "webhook", to = hook },
            },
        });

        await _stage.RunAsync(_task);

        var alert = Assert.Single(await _stage.AlertsAsync());
        Assert.Equal("sent", Text(alert, "status"));
        var owner = _stage.Api.Tenant.OwnerId.ToString();
        Assert.Equal(
            [$"email boss@acme.example sent", $"email {Mail} sent", $"in_app {owner} sent", $"sms {Phone} sent", $"webhook {hook} sent"],
            alert.GetProperty("delivery_status").EnumerateObject().SelectMany(c => c.Value.EnumerateObject().Select(d => $"{c.Name} {d.Name} {d.Value}")).Order());
        var rows = await _stage.ListAsync($"alert-deliveries?alert_id={Id(alert)}");
        Assert.Equal(5, rows.Length);
        Assert.All(rows, row => Assert.Equal((1, 3, "sent"), (row.GetProperty("attempts").GetInt32(), row.GetProperty("max_attempts").GetInt32(), Text(row, "status"))));
        Assert.All(rows, row => Assert.NotEqual(JsonValueKind.Null, row.GetProperty("sent_at").ValueKind));

        Assert.StartsWith("[critical] Night watch: Nightly report failed\n", Assert.Single(_stage.Texts));
        Assert.Equal([Mail, "boss@acme.example"], _stage.Smtp.Mails.Select(m => m.To).OrderDescending());
        Assert.All(_stage.Smtp.Mails, mail => Assert.Equal("Night watch: Nightly report failed", mail.Header("Subject")));
        var call = Assert.Single(receiver.Calls);
        Assert.True(WebhookSignature.Verify(
            [secret], call.Headers["webhook-id"], call.Headers["webhook-timestamp"], call.Headers["webhook-signature"], Encoding.UTF8.GetBytes(call.Body), _stage.Clock.GetUtcNow()));
        var told = JsonSerializer.Deserialize<JsonElement>(Text(JsonSerializer.Deserialize<JsonElement>(call.Body).GetProperty("data"), "text"));
        Assert.Equal((Id(alert), _task, "critical"), (told.GetProperty("alert_id").GetGuid(), told.GetProperty("task_id").GetGuid(), Text(told, "severity")));
    }

    [Fact]
    [Behaviour("bb-alert-delivery-queue")]
    public async Task An_endpoint_that_does_not_take_it_is_tried_three_times_and_then_given_up()
    {
        await using var receiver = await FakeWebhookReceiver.StartAsync();
        var (hook, _) = await HookAsync(receiver);
        receiver.Next(500).Next(500).Next(500);
        await _stage.RuleAsync(new { notification_channels = new object[] { new { channel = "webhook", to = hook }, new { channel = "in_app" } } });
        await _stage.RunAsync(_task);

        for (var attempt = 1; attempt <= 3; attempt++)
        {
            var delivery = await DeliveryAsync("webhook");
            Assert.Equal((attempt, attempt), (receiver.Calls.Count, delivery.GetProperty("attempts").GetInt32()));
            Assert.Equal((attempt < 3 ? "pending" : "failed", "exhausted"), (Text(delivery, "status"), Text(delivery, "error")));
            Assert.Equal(attempt < 3 ? "pending" : "partial", Text(Assert.Single(await _stage.AlertsAsync()), "status"));
            await _stage.DueAsync("alerts.deliver");
        }

        Assert.Equal(3, receiver.Calls.Count);
        Assert.Equal("failed", (await _stage.AlertsAsync())[0].GetProperty("delivery_status").GetProperty("webhook").GetProperty(hook).GetString());
    }

    [Fact]
    [Behaviour("bb-alert-delivery-queue")]
    public async Task A_later_attempt_is_not_made_before_it_is_due_and_may_succeed()
    {
        await using var receiver = await FakeWebhookReceiver.StartAsync();
        var (hook, _) = await HookAsync(receiver);
        receiver.Next(500);
        await _stage.RuleAsync(new { notification_channels = new object[] { new { channel = "webhook", to = hook } } });
        await _stage.RunAsync(_task);

        Assert.Equal(
            1L,
            await _stage.CountAsync(
                """
                SELECT count(*) FROM work.items i JOIN alerts.alert_delivery_queue d ON i.key = d.id || ':1'
                WHERE i.kind = 'alerts.deliver' AND i.run_at = d.scheduled_for AND d.scheduled_for > d.created_at + interval '50 seconds'
                """));
        await _stage.DrainAsync();
        Assert.Single(receiver.Calls);
        await _stage.DueAsync("alerts.deliver");

        Assert.Equal(("sent", "sent"), (Text(await DeliveryAsync("webhook"), "status"), Text((await _stage.AlertsAsync())[0], "status")));
        Assert.Equal(2, receiver.Calls.Count);
    }

    [Fact]
    [Behaviour("bb-alert-delivery-queue")]
    public async Task What_matters_more_is_delivered_first()
    {
        await _stage.RuleAsync(new { name = "Later", priority = 9 });
        await _stage.RuleAsync(new { name = "First", priority = 1 });
        await _stage.RuleAsync(new { name = "Default" });

        await _stage.RunAsync(_task);

        Assert.Equal(
            3L,
            await _stage.CountAsync(
                """
                SELECT count(*) FROM work.items i JOIN alerts.alert_delivery_queue d ON i.key = d.id || ':0'
                WHERE i.kind = 'alerts.deliver' AND i.priority = d.priority * 10
                  AND d.priority = CASE WHEN d.payload ->> 'title' LIKE 'First%' THEN 1 WHEN d.payload ->> 'title' LIKE 'Later%' THEN 9 ELSE 5 END
                """));
    }

    [Fact]
    public async Task Nobody_is_written_to_who_has_opted_out_and_that_is_not_tried_again()
    {
        await _stage.Platform.AsAsync(_stage.System, async tx =>
        {
            var contacts = _stage.Platform.Get<ContactDirectory>();
            var contact = await contacts.GetOrCreateAsync(tx, new ChannelAddress(ChannelAddress.Sms, Phone), null, default);
            await contacts.SetConsentAsync(tx, contact.Id, ChannelAddress.Sms, optedOut: true, "keyword:STOP", default);
        });
        await _stage.RuleAsync(new { notification_channels = ByText });

        await _stage.RunAsync(_task);

        Assert.Empty(_stage.Texts);
        Assert.Equal(("failed", "opted_out"), (Text(await DeliveryAsync("sms"), "status"), Text(await DeliveryAsync("sms"), "error")));
        Assert.Equal("failed", Text((await _stage.AlertsAsync())[0], "status"));
    }

    [Fact]
    public async Task A_text_message_says_what_fits_into_it()
    {
        await _stage.RuleAsync(new { notification_channels = ByText });

        // One is told at once, the others when the cooldown ends; two units a character, whichever way the cut falls.
        for (var i = 0; i < 6; i++)
        {
            await _stage.RunAsync(_task, error: string.Concat(Enumerable.Repeat("\U0001F525", 200)));
        }

        await _stage.PassAsync(TimeSpan.FromMinutes(5), "alerts.tell_folded");

        var text = _stage.Texts.Last();
        Assert.Equal(2, _stage.Texts.Count());
        Assert.InRange(text.Length, 1400, 1600);
        Assert.False(char.IsHighSurrogate(text[^2]));
        Assert.EndsWith("…", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_channel_it_waits_for_one_as_long_as_it_is_tried()
    {
        var channel = (await _stage.ListAsync("channels")).Single(c => Text(c, "channel_type") == "sms");
        await _stage.CountAsync("WITH off AS (UPDATE channels.user_webhooks SET is_active = false WHERE id = $1 RETURNING 1) SELECT count(*) FROM off", Id(channel));
        await _stage.RuleAsync(new { notification_channels = ByText });
        await _stage.RunAsync(_task);
        Assert.Equal(("pending", "no_channel"), (Text(await DeliveryAsync("sms"), "status"), Text(await DeliveryAsync("sms"), "error")));

        await _stage.CountAsync("WITH on_ AS (UPDATE channels.user_webhooks SET is_active = true WHERE id = $1 RETURNING 1) SELECT count(*) FROM on_", Id(channel));
        await _stage.DueAsync("alerts.deliver");

        Assert.Equal("sent", Text(await DeliveryAsync("sms"), "status"));
        Assert.Single(_stage.Texts);
    }

    [Fact]
    public async Task A_delivery_whose_worker_dies_is_made_once()
    {
        await _stage.RuleAsync(new { notification_channels = ByText });
        await _stage.RunAsync(_task, "success");
        await _stage.RunAsync(_task);
        var again = await _stage.CountAsync(
            "WITH again AS (UPDATE work.items SET state = 'ready', finished_at = NULL, run_at = now() WHERE kind = 'alerts.deliver' RETURNING 1) SELECT count(*) FROM again");
        await _stage.DrainAsync();

        Assert.Equal(1L, again);
        Assert.Single(_stage.Texts);
    }

    private async Task<JsonElement> DeliveryAsync(string channel) => (await _stage.ListAsync("alert-deliveries")).Single(d => Text(d, "channel") == channel);

    private async Task<(string Channel, string Secret)> HookAsync(FakeWebhookReceiver receiver)
    {
        var made = await _stage.Platform.Get<ManageChannels>().CreateAsync(
            _stage.System, new ChannelInput(ChannelTypes.CustomWebhook, "Incidents") { OutboundConfig = Json.Of(new { url = receiver.Address }) }, default);
        await _stage.Platform.Get<VerifyChannel>().TrustAsync(_stage.System, made.Value.Channel.Id, default);
        return (made.Value.Channel.Id.ToString(), made.Value.Secret!);
    }
}
