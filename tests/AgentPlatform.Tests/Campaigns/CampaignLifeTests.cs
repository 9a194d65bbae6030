using System.Globalization;
using System.Text.Json;
using AgentPlatform.Campaigns;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Campaigns;

/// <summary>What a pause, an end and a change of a campaign do to its outreach, and to what that has handed over and has not left.</summary>
public sealed class CampaignLifeTests : IAsyncLifetime
{
    private CampaignStage _stage = null!;

    private static DateOnly Today => DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime);

    public async Task InitializeAsync() => _stage = await CampaignStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_waits_for_its_hour_rests_while_the_campaign_is_paused_and_leaves_after_it(bool inAColleaguesPrivateConversation)
    {
        var (campaign, move) = await HeldAsync();
        if (inAColleaguesPrivateConversation)
        {
            await _stage.Platform.Postgres.ScalarAsync<Guid>(
                """
                WITH colleague AS (INSERT INTO identity.users (id, email) VALUES (gen_random_uuid(), 'colleague@example.test') RETURNING id)
                UPDATE conversations.conversations SET shared = false, user_id = (SELECT id FROM colleague) RETURNING id
                """);
        }

        await _stage.PostAsync($"campaigns/{campaign}/pause", new { }, 200);
        await MorningAsync();
        Assert.Empty(_stage.Twilio.Messages);
        Assert.Equal("paused", await _stage.Platform.Postgres.ScalarAsync<string>("SELECT hold_reason FROM messaging.message_queue WHERE status = 'held'"));
        Assert.Equal("queued", Text(Assert.Single(await _stage.RecipientsAsync(move)), "status"));

        await _stage.PostAsync($"campaigns/{campaign}/resume", new { }, 200);
        await _stage.SettleAsync();

        Assert.Single(_stage.Twilio.Messages);
        Assert.Equal("sent", Text(Assert.Single(await _stage.RecipientsAsync(move)), "status"));
    }

    [Theory]
    [InlineData("complete")]
    [InlineData("delete")]
    [InlineData("delete the move")]
    [InlineData("last day")]
    public async Task What_waits_for_its_hour_stays_when_its_campaign_is_over(string how)
    {
        var (campaign, move) = await HeldAsync();
        switch (how)
        {
            case "complete":
                await _stage.PostAsync($"campaigns/{campaign}/complete", new { }, 200);
                break;
            case "delete":
                await _stage.PostAsync($"campaigns/{campaign}/pause", new { }, 200);
                Assert.Equal(204, (await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/campaigns/{campaign}")).Status);
                break;
            case "delete the move":
                Assert.Equal(204, (await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/moves/{move}")).Status);
                break;
            default:
                await _stage.CountAsync("WITH u AS (UPDATE work.items SET run_at = now() WHERE kind = 'campaigns.end' RETURNING 1) SELECT count(*) FROM u");
                await _stage.Platform.DrainAsync();
                break;
        }

        await MorningAsync();

        Assert.Empty(_stage.Twilio.Messages);
        Assert.Equal("cancelled", await _stage.Platform.Postgres.ScalarAsync<string>("SELECT status FROM messaging.message_queue"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM events.events WHERE event_type = 'message.cancelled'"));
        if (how != "delete the move")
        {
            var recipient = Assert.Single(await _stage.RecipientsAsync(move));
            Assert.Equal(("failed", "cancelled"), (Text(recipient, "status"), Text(recipient, "reason")));
        }
    }

    [Fact]
    public async Task A_first_day_that_was_moved_during_a_pause_holds_from_its_end_on()
    {
        await PersonAsync();
        var campaign = await _stage.CampaignAsync(new { start_date = Today.AddDays(3) }, await _stage.IcpAsync(true));
        var move = await MoveAsync(campaign);
        await _stage.PostAsync($"campaigns/{campaign}/pause", new { }, 200);
        // As if nobody had looked again when it was moved.
        await _stage.CountAsync("WITH u AS (UPDATE campaigns.campaigns SET start_date = NULL RETURNING 1) SELECT count(*) FROM u");

        await _stage.PostAsync($"campaigns/{campaign}/resume", new { }, 200);
        await _stage.SettleAsync();

        Assert.Single(_stage.Twilio.Messages);
        Assert.Equal("completed", Text(await _stage.GetAsync($"moves/{move}"), "status"));
    }

    [Fact]
    public async Task An_outreach_does_not_begin_while_its_campaign_is_being_completed()
    {
        await PersonAsync();
        var (campaign, move) = await _stage.OutreachAsync("Hello");

        var beginning = Task.FromResult<ApiAnswer>(null!);
        await _stage.Platform.AsAsync(Actor.System(_stage.Api.Tenant.TenantId), async tx =>
        {
            await CampaignStore.LockAsync(tx, campaign, default);
            beginning = _stage.Api.PostAsync($"/api/v1/moves/{move}/run", new { });
            Assert.True(await _stage.Platform.Postgres.SomebodyWaitsAsync());
            await tx.ExecuteAsync("UPDATE campaigns.campaigns SET status = 'completed' WHERE id = $1", [campaign], default);
        });

        var refused = await beginning;
        Assert.Equal((409, "campaign_not_active"), (refused.Status, refused.Code));
        Assert.Equal("pending", Text(await _stage.GetAsync($"moves/{move}"), "status"));
    }

    [Fact]
    public async Task A_run_that_finds_its_campaign_completed_writes_to_nobody()
    {
        await PersonAsync();
        var (_, move) = await _stage.OutreachAsync("Hello");
        await _stage.RunAsync(move);
        await _stage.CountAsync("WITH u AS (UPDATE campaigns.campaigns SET status = 'completed' RETURNING 1) SELECT count(*) FROM u");

        await _stage.SettleAsync();

        Assert.Empty(_stage.Twilio.Messages);
        Assert.Equal("campaign_completed", Text(await _stage.GetAsync($"moves/{move}"), "error"));
    }

    [Fact]
    public async Task Of_two_messages_that_wait_for_who_turns_out_to_be_one_person_one_leaves()
    {
        var other = await _stage.ContactAsync("Q", "+14155550102");
        var (_, move) = await HeldAsync(2);

        await _stage.PostAsync($"contacts/{other}/merge", new { into_id = (await _stage.RecipientsAsync(move)).Select(r => r.GetProperty("contact_id").GetGuid()).Single(c => c != other) }, 200);
        await MorningAsync();

        Assert.Single(_stage.Twilio.Messages);
        Assert.Equal("sent", Text(Assert.Single(await _stage.RecipientsAsync(move)), "status"));
    }

    /// <summary>A message to everybody, handed over, which waits for the end of its reader's quiet hours.</summary>
    private async Task<(Guid Campaign, Guid Move)> HeldAsync(int expected = 1)
    {
        await PersonAsync();
        await _stage.CountAsync($"WITH u AS (UPDATE contacts.customer_profiles SET quiet_hours_start = '{Hour(-1)}', quiet_hours_end = '{Hour(2)}' RETURNING 1) SELECT count(*) FROM u");
        var campaign = await _stage.CampaignAsync(new { end_date = Today.AddDays(1) }, await _stage.IcpAsync(true));
        var move = await MoveAsync(campaign);
        Assert.Equal(expected, await _stage.CountAsync("SELECT count(*) FROM messaging.message_queue WHERE status = 'held' AND hold_reason = 'quiet_hours'"));
        return (campaign, move);
    }

    private Task<Guid> PersonAsync() => _stage.ContactAsync("P", "+14155550101");

    /// <summary>The campaign is started, and an outreach of it has done what it can.</summary>
    private async Task<Guid> MoveAsync(Guid campaign)
    {
        var move = await _stage.MoveAsync("outreach", new { campaign_id = campaign, content = new { text = "Hello" } });
        await _stage.PostAsync($"campaigns/{campaign}/start", new { }, 200);
        await _stage.RunAsync(move);
        await _stage.SettleAsync();
        return move;
    }

    /// <summary>The quiet hours are over, for whatever waits for it.</summary>
    private async Task MorningAsync()
    {
        await _stage.CountAsync(
            """
            WITH c AS (UPDATE contacts.customer_profiles SET quiet_hours_start = NULL, quiet_hours_end = NULL RETURNING 1),
                 q AS (UPDATE messaging.message_queue SET scheduled_for = now() - interval '1 second' RETURNING 1)
            SELECT (SELECT count(*) FROM c) + (SELECT count(*) FROM q)
            """);
        await _stage.DrainDueAsync();
        await _stage.SettleAsync();
    }

    private static string Hour(int fromNow) => TimeProvider.System.GetUtcNow().AddHours(fromNow).ToString("HH:mm", CultureInfo.InvariantCulture);

    private static string? Text(JsonElement of, string name) => of.GetProperty(name).GetString();
}
