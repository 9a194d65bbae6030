using System.Text.Json;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Campaigns;

/// <summary>Strategy, phases and moves of a campaign, written by work that goes through the queue.</summary>
public sealed class GenerationTests : IAsyncLifetime
{
    private CampaignStage _stage = null!;

    public async Task InitializeAsync() => _stage = await CampaignStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Theory]
    [InlineData("product_launch", "Teaser Launch Follow-up")]
    [InlineData("diwali", "Before the festival Festival After the festival")]
    [InlineData("leadgen", "Find Reach out Nurture")]
    [InlineData("awareness", "Introduce Explain Invite")]
    [Behaviour("mk-campaign-generation")]
    public async Task A_campaign_without_a_model_is_generated_from_the_template_of_its_type(string type, string phases)
    {
        await _stage.PutAsync("foundation", new { company_name = "Acme {{x}}", unique_value_proposition = "Anvils in an hour." });
        var icp = await _stage.IcpAsync(true, new { pain_points = new[] { "waiting for anvils" } });
        var ids = new[] { await DraftAsync(icp, type), await DraftAsync(icp, type) };
        foreach (var id in ids)
        {
            Assert.Equal("queued", Text(await GenerateAsync(id), "generation_status"));
        }

        await _stage.SettleAsync();

        var campaign = await _stage.GetAsync($"campaigns/{ids[0]}");
        Assert.Equal(("generated", "template"), (Text(campaign, "generation_status"), Text(campaign.GetProperty("strategy"), "source")));
        Assert.Contains("Anvils in an hour", Text(campaign.GetProperty("strategy"), "summary"), StringComparison.Ordinal);
        Assert.Equal(phases, string.Join(' ', campaign.GetProperty("phases").EnumerateArray().Select(p => Text(p, "name"))));
        var days = campaign.GetProperty("phases").EnumerateArray().SelectMany(p => new[] { Text(p, "start_date")!, Text(p, "end_date")! }).ToList();
        Assert.Equal(("2031-01-01", "2031-01-30"), (days[0], days[^1]));
        Assert.Equal(days.Order(StringComparer.Ordinal), days);

        var moves = await _stage.MovesAsync(ids[0]);
        Assert.Equal(
            campaign.GetProperty("phases").EnumerateArray().SelectMany(p => p.GetProperty("moves").EnumerateArray().Select(m => m.GetString()!)).Order(StringComparer.Ordinal),
            moves.Select(m => Text(m, "title")!).Order(StringComparer.Ordinal));
        Assert.All(moves, move => Assert.Equal((ids[0], "pending", true), (move.GetProperty("campaign_id").GetGuid(), Text(move, "status"), move.GetProperty("generated").GetBoolean())));
        Assert.All(moves, move => Assert.InRange(move.GetProperty("due_date").GetDateTimeOffset(), new(2031, 1, 1, 0, 0, 0, TimeSpan.Zero), new(2031, 1, 31, 0, 0, 0, TimeSpan.Zero)));
        Assert.All(moves.Where(m => Text(m, "type") == "outreach"), move => Assert.Contains("{{contact.first_name}}", Text(move.GetProperty("content"), "text"), StringComparison.Ordinal));
        Assert.DoesNotContain(moves, move => move.GetProperty("content").GetRawText().Contains("{{x}}", StringComparison.Ordinal));
        Assert.Equal(moves.Length, (await _stage.GetAsync($"campaigns/{ids[0]}")).GetProperty("metrics").GetProperty("moves").GetProperty("pending").GetInt32());

        // The same campaign gets the same plan.
        Assert.Equal(campaign.GetProperty("phases").GetRawText(), (await _stage.GetAsync($"campaigns/{ids[1]}")).GetProperty("phases").GetRawText());
        Assert.Equal(["campaign.created", "campaign.generation_requested", "campaign.generated"], await _stage.EventsAsync(ids[0]));
    }

    [Fact]
    public async Task Risk_decides_whether_a_member_looks_first_and_whether_people_are_reminded()
    {
        var (careful, bold) = (await _stage.CampaignAsync(new { risk_level = 2 }), await _stage.CampaignAsync(new { risk_level = 9 }));
        await GenerateAsync(careful);
        await GenerateAsync(bold);
        await _stage.SettleAsync();

        Assert.Contains(await _stage.MovesAsync(careful), move => Text(move, "title")!.StartsWith("Approve the words of", StringComparison.Ordinal));
        Assert.Contains(await _stage.MovesAsync(bold), move => Text(move, "title")!.StartsWith("Remind, at the end of", StringComparison.Ordinal));
        Assert.DoesNotContain(await _stage.MovesAsync(careful), move => Text(move, "title")!.StartsWith("Remind", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_second_generation_replaces_what_nobody_has_begun_and_leaves_the_rest()
    {
        var id = await _stage.CampaignAsync();
        var own = await _stage.MoveAsync("admin", new { campaign_id = id, title = "Mine" });
        await GenerateAsync(id);
        Assert.Equal((409, "campaign_generating"), Told(await _stage.Api.PostAsync($"/api/v1/campaigns/{id}/generate", new { })));
        Assert.Equal((409, "campaign_state"), Told(await _stage.Api.PostAsync($"/api/v1/campaigns/{id}/start", new { })));
        await _stage.SettleAsync();
        var first = await _stage.MovesAsync(id);
        var begun = CampaignStage.Id(first.First(m => Text(m, "type") == "admin" && Text(m, "title") != "Mine"));
        await _stage.RunAsync(begun);

        await GenerateAsync(id);
        await _stage.SettleAsync();

        var second = await _stage.MovesAsync(id);
        Assert.Equal(first.Length + 1, second.Length);
        Assert.Equal(new[] { own, begun }.Order(), first.Select(CampaignStage.Id).Intersect(second.Select(CampaignStage.Id)).Order());
    }

    [Fact]
    [Behaviour("mk-foundation-context")]
    public async Task A_model_plans_the_campaign_and_is_told_of_company_and_profiles()
    {
        await using var model = await FakeModel.StartAsync();
        await _stage.AskModelAsync(model);
        await _stage.PutAsync("foundation", new { company_name = "Acme", positioning = "The fastest" });
        model.Fills(Plan("Hi {{contact.first_name}}, anvils are here."));
        var id = await _stage.CampaignAsync(null, await _stage.IcpAsync(true, new { name = "Smiths" }));

        await GenerateAsync(id);
        await _stage.SettleAsync();

        var campaign = await _stage.GetAsync($"campaigns/{id}");
        Assert.Equal(("main", "Tell smiths.", "Only phase"), (Text(campaign.GetProperty("strategy"), "source"), Text(campaign.GetProperty("strategy"), "summary"), Text(campaign.GetProperty("phases")[0], "name")));
        Assert.Equal(["outreach", "admin"], (await _stage.MovesAsync(id)).Select(m => Text(m, "type")));
        var told = Assert.Single(model.Requests).Text;
        Assert.Contains("Company: Acme", told, StringComparison.Ordinal);
        Assert.Contains("Positioning: The fastest", told, StringComparison.Ordinal);
        Assert.Contains("Smiths", told, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_plan_that_cannot_be_carried_out_is_not_used()
    {
        await using var model = await FakeModel.StartAsync();
        await _stage.AskModelAsync(model);
        model.Fills(Plan("Hi {{contact.secret}}"));
        var id = await _stage.CampaignAsync();

        await GenerateAsync(id);
        await _stage.SettleAsync();

        Assert.Equal("template", Text((await _stage.GetAsync($"campaigns/{id}")).GetProperty("strategy"), "source"));
        Assert.Single(model.Requests);
    }

    [Fact]
    [Behaviour("mk-campaign-queue")]
    public async Task A_campaign_waits_in_the_queue_and_is_taken_by_one_of_many_hosts()
    {
        await using var other = _stage.Platform.Twin();
        var ids = new List<Guid>();
        for (var i = 0; i < 6; i++)
        {
            ids.Add(await _stage.CampaignAsync());
            await GenerateAsync(ids[^1]);
        }

        Assert.Equal(6, await _stage.CountAsync("SELECT count(*) FROM work.items WHERE kind = 'campaigns.process' AND state = 'ready'"));
        Assert.Empty(await _stage.MovesAsync(ids[0]));

        await Task.WhenAll(_stage.Platform.DrainAsync(), other.DrainAsync());
        await _stage.SettleAsync();

        Assert.Equal(6, await _stage.CountAsync("SELECT count(*) FROM work.items WHERE kind = 'campaigns.process' AND state = 'done' AND attempts = 1"));
        foreach (var id in ids)
        {
            Assert.Equal(["campaign.created", "campaign.generation_requested", "campaign.generated"], await _stage.EventsAsync(id));
            Assert.Equal(7, (await _stage.MovesAsync(id)).Length);
        }
    }

    [Fact]
    [Behaviour("mk-campaign-queue")]
    public async Task What_a_killed_host_had_taken_is_taken_up_and_what_it_does_too_late_counts_for_nothing()
    {
        await using var model = await FakeModel.StartAsync();
        await _stage.AskModelAsync(model);
        await using var other = _stage.Platform.Twin();
        var id = await _stage.CampaignAsync();
        await GenerateAsync(id);
        // The host that waits for the model is taken for dead: another one generates the campaign, and then the answer comes.
        model.FillsAfter(async () =>
        {
            await _stage.Platform.Postgres.LoseWorkersAsync("state = 'running' AND kind = 'campaigns.process'");
            await other.DrainAsync();
        }, Plan("Too late."));

        await _stage.SettleAsync();

        Assert.Equal("template", Text((await _stage.GetAsync($"campaigns/{id}")).GetProperty("strategy"), "source"));
        Assert.Equal(["campaign.created", "campaign.generation_requested", "campaign.generated"], await _stage.EventsAsync(id));
        Assert.DoesNotContain(await _stage.MovesAsync(id), move => Text(move, "title") == "Tell them");
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM work.items WHERE kind = 'campaigns.process' AND state = 'done' AND interruptions = 1"));
    }

    [Fact]
    [Behaviour("mk-campaign-queue")]
    public async Task A_campaign_that_cannot_be_generated_says_why_keeps_nothing_of_it_and_can_be_generated_later()
    {
        var id = await _stage.CampaignAsync();
        await GenerateAsync(id);
        await _stage.CountAsync("WITH u AS (UPDATE work.items SET attempts = max_attempts - 1 WHERE kind = 'campaigns.process' RETURNING 1) SELECT count(*) FROM u");
        await BreakAsync();
        await _stage.SettleAsync();

        var failed = await _stage.GetAsync($"campaigns/{id}");
        Assert.Equal(("failed", "[]", "{}"), (Text(failed, "generation_status"), failed.GetProperty("phases").GetRawText(), failed.GetProperty("strategy").GetRawText()));
        Assert.Contains("Out of ink.", Text(failed, "generation_error"), StringComparison.Ordinal);
        Assert.Empty(await _stage.MovesAsync(id));

        await _stage.CountAsync("SELECT 1::bigint FROM pg_class LIMIT 1; DROP TRIGGER break ON campaigns.moves");
        await GenerateAsync(id);
        await _stage.SettleAsync();
        Assert.Equal(("generated", "null"), (Text(await _stage.GetAsync($"campaigns/{id}"), "generation_status"), (await _stage.GetAsync($"campaigns/{id}")).GetProperty("generation_error").GetRawText()));
    }

    private Task BreakAsync() => _stage.CountAsync(
        """
        SELECT 1::bigint;
        CREATE FUNCTION campaigns.break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'Out of ink.'; END $$;
        CREATE TRIGGER break BEFORE INSERT ON campaigns.moves FOR EACH ROW EXECUTE FUNCTION campaigns.break();
        """);

    private static object Plan(string text) => new
    {
        summary = "Tell smiths.",
        key_messages = new[] { "Fast" },
        phases = new[] { new { name = "Only phase", goal = "Tell.", days = 7, moves = new object[] { new { type = "admin", title = "Look" }, new { type = "outreach", title = "Tell them", priority = "high", text } } } },
    };

    private Task<Guid> DraftAsync(Guid icp, string type) => _stage.CampaignAsync(new { type, start_date = "2031-01-01", end_date = "2031-01-30" }, icp);

    private Task<JsonElement> GenerateAsync(Guid id) => _stage.PostAsync($"campaigns/{id}/generate", new { }, 202);

    private static string? Text(JsonElement of, string name) => of.GetProperty(name).GetString();

    private static (int Status, string Code) Told(ApiAnswer answer) => (answer.Status, answer.Code);
}
