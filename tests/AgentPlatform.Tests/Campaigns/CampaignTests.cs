using AgentPlatform.Tests.Api;
using Npgsql;

namespace AgentPlatform.Tests.Campaigns;

/// <summary>Campaigns as members write and steer them.</summary>
public sealed class CampaignTests : IAsyncLifetime
{
    private CampaignStage _stage = null!;

    public async Task InitializeAsync() => _stage = await CampaignStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("mk-campaign-lifecycle")]
    public async Task A_campaign_goes_from_draft_to_active_rests_goes_on_and_is_completed()
    {
        var id = await _stage.CampaignAsync();
        Assert.Equal("draft", await StatusAsync(id));

        foreach (var (step, status) in new[] { ("start", "active"), ("pause", "paused"), ("resume", "active"), ("complete", "completed") })
        {
            Assert.Equal(status, (await _stage.PostAsync($"campaigns/{id}/{step}", new { }, 200)).GetProperty("status").GetString());
            Assert.Equal(status, await StatusAsync(id));
        }

        Assert.Equal(["campaign.created", "campaign.started", "campaign.paused", "campaign.resumed", "campaign.completed"], await _stage.EventsAsync(id));
    }

    [Theory]
    [InlineData("draft", "start complete", "pause resume complete")]
    [InlineData("active", "start", "start resume generate")]
    [InlineData("paused", "start pause", "start pause generate")]
    [InlineData("completed", "start complete", "start pause resume complete generate")]
    [Behaviour("mk-campaign-lifecycle")]
    public async Task Every_other_jump_is_refused_and_changes_nothing(string status, string path, string refused)
    {
        var id = await _stage.CampaignAsync();
        foreach (var step in status == "draft" ? [] : path.Split(' '))
        {
            await _stage.PostAsync($"campaigns/{id}/{step}", new { }, 200);
        }

        foreach (var step in refused.Split(' '))
        {
            var answer = await _stage.Api.PostAsync($"/api/v1/campaigns/{id}/{step}", new { });
            Assert.Equal((409, "campaign_state", step), (answer.Status, answer.Code, step));
        }

        Assert.Equal(status, await StatusAsync(id));
        var other = await Assert.ThrowsAsync<PostgresException>(() => _stage.Platform.Postgres.ScalarAsync<Guid>("UPDATE campaigns.campaigns SET status = 'archived' WHERE id = $1 RETURNING id", id));
        Assert.Equal("campaign_status", other.ConstraintName);
    }

    [Fact]
    public async Task A_paused_campaign_can_be_completed_without_writing_to_anybody_again()
    {
        var id = await _stage.CampaignAsync();
        await _stage.PostAsync($"campaigns/{id}/start", new { }, 200);
        await _stage.PostAsync($"campaigns/{id}/pause", new { }, 200);

        Assert.Equal("completed", (await _stage.PostAsync($"campaigns/{id}/complete", new { }, 200)).GetProperty("status").GetString());
    }

    [Fact]
    [Behaviour("mk-campaign-types")]
    public async Task A_campaign_has_one_of_four_types()
    {
        foreach (var type in new[] { "product_launch", "diwali", "leadgen", "awareness" })
        {
            Assert.Equal(type, (await _stage.GetAsync($"campaigns/{await _stage.CampaignAsync(new { type })}")).GetProperty("type").GetString());
        }

        Assert.Single((await _stage.GetAsync("campaigns?type=diwali")).GetProperty("items").EnumerateArray());
        Assert.Equal(400, (await _stage.Api.PostAsync("/api/v1/campaigns", new { name = "X", type = "easter" })).Status);
        Assert.Equal(400, (await _stage.Api.PostAsync("/api/v1/campaigns", new { name = "X" })).Status);
        Assert.Equal(400, (await _stage.Api.GetAsync("/api/v1/campaigns?type=easter")).Status);
    }

    [Fact]
    [Behaviour("mk-campaign-icps")]
    public async Task Only_profiles_of_the_same_workspace_can_be_aimed_at()
    {
        var own = await _stage.IcpAsync(true);
        var theirs = await _stage.Platform.ProvisionAsync("Others");
        var foreign = (await _stage.Api.PostAsync("/api/v1/icp-profiles", new { name = "Theirs" }, theirs.ApiKey)).Json.GetProperty("id").GetGuid();
        var id = await _stage.CampaignAsync(null, own, own);
        Assert.Equal([own], (await _stage.GetAsync($"campaigns/{id}")).GetProperty("target_icps").EnumerateArray().Select(icp => icp.GetGuid()));

        foreach (var wrong in new[] { foreign, Guid.Empty })
        {
            var created = await _stage.Api.PostAsync("/api/v1/campaigns", new { name = "X", type = "leadgen", target_icps = new[] { own, wrong } });
            var changed = await _stage.Api.SendAsync(HttpMethod.Put, $"/api/v1/campaigns/{id}", new { name = "X", type = "leadgen", target_icps = new[] { wrong } });
            Assert.All([created, changed], answer => Assert.Equal((400, true), (answer.Status, answer.Json.GetProperty("errors").TryGetProperty("target_icps", out _))));
        }

        Assert.Equal((409, "icp_in_use"), Told(await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/icp-profiles/{own}")));
        await _stage.PutAsync($"campaigns/{id}", new { name = "X", type = "leadgen" });
        Assert.Equal(204, (await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/icp-profiles/{own}")).Status);
    }

    [Fact]
    [Behaviour("mk-campaign-risk")]
    public async Task Risk_has_a_default_and_a_range_and_no_campaign_ends_before_it_starts()
    {
        var id = await _stage.CampaignAsync(new { start_date = "2031-01-01", end_date = "2031-01-01" });
        Assert.Equal(5, (await _stage.GetAsync($"campaigns/{id}")).GetProperty("risk_level").GetInt32());
        foreach (var risk in new[] { 1, 10 })
        {
            Assert.Equal(risk, (await _stage.PutAsync($"campaigns/{id}", new { name = "X", type = "leadgen", risk_level = risk })).GetProperty("risk_level").GetInt32());
        }

        foreach (var (field, body) in new (string, object)[]
        {
            ("risk_level", new { name = "X", type = "leadgen", risk_level = 0 }), ("risk_level", new { name = "X", type = "leadgen", risk_level = 11 }),
            ("end_date", new { name = "X", type = "leadgen", start_date = "2031-01-02", end_date = "2031-01-01" }),
        })
        {
            var answers = new[] { await _stage.Api.PostAsync("/api/v1/campaigns", body), await _stage.Api.SendAsync(HttpMethod.Put, $"/api/v1/campaigns/{id}", body) };
            Assert.All(answers, answer => Assert.Equal((400, true), (answer.Status, answer.Json.GetProperty("errors").TryGetProperty(field, out _))));
        }

        foreach (var (change, constraint) in new[] { ("risk_level = 11", "campaign_risk_level"), ("start_date = '2031-01-02', end_date = '2031-01-01'", "campaign_dates_run_forward") })
        {
            var refused = await Assert.ThrowsAsync<PostgresException>(() => _stage.Platform.Postgres.ScalarAsync<Guid>($"UPDATE campaigns.campaigns SET {change} RETURNING id"));
            Assert.Equal(constraint, refused.ConstraintName);
        }
    }

    [Fact]
    public async Task A_campaign_is_completed_when_its_last_day_is_over_and_cannot_start_after_it()
    {
        var today = DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime);
        var (ends, moved) = (await _stage.CampaignAsync(new { end_date = today }), await _stage.CampaignAsync(new { end_date = today }));
        var late = await _stage.CampaignAsync(new { end_date = today.AddDays(-1) });
        await _stage.PostAsync($"campaigns/{ends}/start", new { }, 200);
        await _stage.PostAsync($"campaigns/{moved}/start", new { }, 200);
        await _stage.PutAsync($"campaigns/{moved}", new { name = "X", type = "leadgen", end_date = today.AddDays(1) });
        Assert.Equal((409, "campaign_state"), Told(await _stage.Api.PostAsync($"/api/v1/campaigns/{late}/start", new { })));
        await _stage.SettleAsync();
        Assert.Equal("active", await StatusAsync(ends));

        // The day is over.
        await _stage.CountAsync("WITH u AS (UPDATE work.items SET run_at = now() WHERE kind = 'campaigns.end' AND key LIKE '%' || $1 RETURNING 1) SELECT count(*) FROM u", $"@{today:yyyy-MM-dd}");
        await _stage.SettleAsync();

        Assert.Equal(("completed", "active"), (await StatusAsync(ends), await StatusAsync(moved)));
    }

    [Fact]
    public async Task A_change_asks_for_the_latest_version_and_metrics_are_no_change()
    {
        var id = await _stage.CampaignAsync();
        var read = await _stage.Api.GetAsync($"/api/v1/campaigns/{id}");
        await _stage.MoveAsync("admin", new { campaign_id = id });
        await _stage.SettleAsync();
        Assert.Equal(1, (await _stage.GetAsync($"campaigns/{id}")).GetProperty("metrics").GetProperty("moves").GetProperty("total").GetInt32());

        Assert.Equal(200, (await _stage.Api.SendAsync(HttpMethod.Put, $"/api/v1/campaigns/{id}", new { name = "X", type = "leadgen" }, null, ("If-Match", read.Header("ETag")!))).Status);
        Assert.Equal((412, "precondition_failed"), Told(await _stage.Api.SendAsync(HttpMethod.Post, $"/api/v1/campaigns/{id}/start", new { }, null, ("If-Match", read.Header("ETag")!))));
        Assert.Equal("draft", await StatusAsync(id));
    }

    [Fact]
    [Behaviour("mk-move-campaign-setnull")]
    public async Task A_deleted_campaign_leaves_its_moves_behind()
    {
        await _stage.ContactAsync("Ada", "+14155550101");
        await _stage.ContactAsync("Bob", "+14155550102");
        await _stage.ContactAsync("Cyd", "+14155550103");
        var (id, outreach) = await _stage.OutreachAsync("Hello");
        var admin = await _stage.MoveAsync("admin", new { campaign_id = id });
        Assert.Equal((409, "campaign_state"), Told(await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/campaigns/{id}")));
        await _stage.PostAsync($"campaigns/{id}/pause", new { }, 200);
        await _stage.CountAsync("WITH u AS (UPDATE campaigns.moves SET status = 'in_progress', execution_id = 'exec_x' WHERE id = $1 RETURNING 1) SELECT count(*) FROM u", outreach);

        Assert.Equal(204, (await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/campaigns/{id}")).Status);

        Assert.Equal("campaign_not_found", (await _stage.Api.GetAsync($"/api/v1/campaigns/{id}")).Code);
        var (left, stopped) = (await _stage.GetAsync($"moves/{admin}"), await _stage.GetAsync($"moves/{outreach}"));
        Assert.Equal(("null", "pending"), (left.GetProperty("campaign_id").GetRawText(), left.GetProperty("status").GetString()));
        Assert.Equal(("null", "failed", "campaign_deleted"), (stopped.GetProperty("campaign_id").GetRawText(), stopped.GetProperty("status").GetString(), stopped.GetProperty("error").GetString()));
    }

    [Fact]
    public async Task Another_workspace_sees_nothing_of_it_and_a_key_that_may_only_read_changes_nothing()
    {
        var id = await _stage.CampaignAsync();
        var theirs = await _stage.Platform.ProvisionAsync("Others");
        var reader = await _stage.Api.KeyAsync("member", "campaigns:read");

        Assert.Equal(404, (await _stage.Api.GetAsync($"/api/v1/campaigns/{id}", theirs.ApiKey)).Status);
        Assert.Equal(404, (await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/campaigns/{id}", null, theirs.ApiKey)).Status);
        Assert.Equal(200, (await _stage.Api.GetAsync($"/api/v1/campaigns/{id}", reader)).Status);
        Assert.Equal(403, (await _stage.Api.PostAsync($"/api/v1/campaigns/{id}/start", new { }, reader)).Status);
        Assert.Equal("draft", await StatusAsync(id));
    }

    private async Task<string?> StatusAsync(Guid id) => (await _stage.GetAsync($"campaigns/{id}")).GetProperty("status").GetString();

    private static (int Status, string Code) Told(ApiAnswer answer) => (answer.Status, answer.Code);
}
