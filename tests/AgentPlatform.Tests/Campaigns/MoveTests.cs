using System.Text.RegularExpressions;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Campaigns;

/// <summary>Moves: who does them, in which order, and what becomes of them.</summary>
public sealed class MoveTests : IAsyncLifetime
{
    private CampaignStage _stage = null!;

    public async Task InitializeAsync() => _stage = await CampaignStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("mk-move-lifecycle")]
    public async Task A_member_begins_a_move_and_completes_it_or_says_that_it_failed()
    {
        var (done, undone) = (await _stage.MoveAsync("admin", new { content = new { note = "a" } }), await _stage.MoveAsync("admin"));
        await RefuseAsync(done, "complete fail", "pending");
        var begun = await _stage.RunAsync(done);
        Assert.Equal(("in_progress", "null"), (Text(begun, "status"), begun.GetProperty("completed_at").GetRawText()));
        await RefuseAsync(done, "run", "in_progress");
        Assert.Equal((409, "move_state"), Told(await _stage.Api.SendAsync(HttpMethod.Put, $"/api/v1/moves/{done}", new { title = "X", type = "admin" })));
        Assert.Equal((409, "move_state"), Told(await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/moves/{done}")));

        var completed = await _stage.PostAsync($"moves/{done}/complete", new { content = new { result = "b" } }, 200);
        Assert.Equal(("completed", "a", "b"), (Text(completed, "status"), Text(completed.GetProperty("content"), "note"), Text(completed.GetProperty("content"), "result")));
        Assert.True(completed.GetProperty("completed_at").GetDateTimeOffset() <= TimeProvider.System.GetUtcNow());
        await RefuseAsync(done, "run complete fail", "completed");

        await _stage.RunAsync(undone);
        var failed = await _stage.PostAsync($"moves/{undone}/fail", new { reason = "Nobody answers." }, 200);
        Assert.Equal(("failed", "Nobody answers.", "null"), (Text(failed, "status"), Text(failed, "error"), failed.GetProperty("completed_at").GetRawText()));
        await RefuseAsync(undone, "run complete fail", "failed");
        Assert.Equal(["move.created", "move.started", "move.completed"], await _stage.EventsAsync(done));
        Assert.Equal(["move.created", "move.started", "move.failed"], await _stage.EventsAsync(undone));
    }

    [Fact]
    [Behaviour("mk-move-priority")]
    public async Task The_list_shows_what_is_urgent_first_and_of_that_what_is_due_first()
    {
        foreach (var (title, priority, due) in new[]
        {
            ("g", "low", "2031-01-01T00:00:00Z"), ("b", "urgent", null), ("c", "high", "2031-03-01T00:00:00Z"), ("e", null, "2031-01-01T00:00:00Z"), ("a", "urgent", "2031-09-01T00:00:00Z"),
            ("f", "medium", "2031-02-01T00:00:00Z"), ("d", "high", "2031-04-01T00:00:00Z"),
        })
        {
            await _stage.MoveAsync("admin", new { title, priority, due_date = due });
        }

        var titles = new List<string?>();
        string? cursor = null;
        do
        {
            var page = await _stage.GetAsync($"moves?limit=2{(cursor is null ? "" : $"&cursor={cursor}")}");
            titles.AddRange(page.GetProperty("items").EnumerateArray().Select(m => Text(m, "title")));
            cursor = Text(page, "next_cursor");
        }
        while (cursor is not null);

        Assert.Equal(["a", "b", "c", "d", "e", "f", "g"], titles);
        Assert.Equal(["c", "d"], (await _stage.GetAsync("moves?priority=high")).GetProperty("items").EnumerateArray().Select(m => Text(m, "title")));
        Assert.Equal(400, (await _stage.Api.PostAsync("/api/v1/moves", new { title = "X", type = "admin", priority = "critical" })).Status);
    }

    [Fact]
    [Behaviour("mk-move-types")]
    public async Task A_move_has_one_of_four_types_and_only_a_members_is_ended_by_a_member()
    {
        foreach (var type in new[] { "content", "outreach", "research", "admin" })
        {
            var id = await _stage.MoveAsync(type);
            Assert.Equal(id, CampaignStage.Id(Assert.Single((await _stage.GetAsync($"moves?type={type}")).GetProperty("items").EnumerateArray())));
        }

        Assert.Equal(400, (await _stage.Api.PostAsync("/api/v1/moves", new { title = "X", type = "party" })).Status);
        Assert.Equal(400, (await _stage.Api.PostAsync("/api/v1/moves", new { title = "X" })).Status);
        var research = CampaignStage.Id((await _stage.GetAsync("moves?type=research")).GetProperty("items")[0]);
        await _stage.RunAsync(research);
        Assert.Equal((409, "move_is_not_a_members"), Told(await _stage.Api.PostAsync($"/api/v1/moves/{research}/complete", new { })));
    }

    [Fact]
    [Behaviour("mk-move-assign")]
    public async Task A_move_is_assigned_to_members_of_the_workspace_alone()
    {
        var (member, _) = await _stage.Api.MemberAsync("member");
        var membership = (await _stage.GetAsync("members")).GetProperty("items").EnumerateArray().Single(m => m.GetProperty("user_id").GetGuid() == member);
        var theirs = await _stage.Platform.ProvisionAsync("Others");
        var id = await _stage.MoveAsync("admin", new { assigned_to = member });
        Assert.Equal(id, CampaignStage.Id(Assert.Single((await _stage.GetAsync($"moves?assigned_to={member}")).GetProperty("items").EnumerateArray())));

        foreach (var stranger in new[] { theirs.OwnerId, Guid.Empty })
        {
            var body = new { title = "X", type = "admin", assigned_to = stranger };
            var answers = new[] { await _stage.Api.PostAsync("/api/v1/moves", body), await _stage.Api.SendAsync(HttpMethod.Put, $"/api/v1/moves/{id}", body) };
            Assert.All(answers, answer => Assert.Equal((400, true), (answer.Status, answer.Json.GetProperty("errors").TryGetProperty("assigned_to", out _))));
        }

        Assert.Equal(204, (await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/members/{CampaignStage.Id(membership)}")).Status);
        Assert.Equal("null", (await _stage.GetAsync($"moves/{id}")).GetProperty("assigned_to").GetRawText());
    }

    [Fact]
    [Behaviour("mk-move-execution-link")]
    public async Task A_run_names_itself_and_leaves_its_output_in_the_content()
    {
        await _stage.ContactAsync("Ada", "+14155550101", new { company = "Acme" });
        await _stage.ContactAsync("Bob", "+14155550102");
        var icp = await _stage.IcpAsync(new { path = "$.company", equals = "Acme" }, new { name = "Acme people", pain_points = new[] { "slow anvils" } });
        var campaign = await _stage.CampaignAsync(null, icp);
        var moves = new[] { await _stage.MoveAsync("research", new { campaign_id = campaign }), await _stage.MoveAsync("research", new { campaign_id = campaign }) };

        var names = new[] { Text(await _stage.RunAsync(moves[0]), "execution_id")!, Text(await _stage.RunAsync(moves[1]), "execution_id")! };
        await _stage.SettleAsync();

        Assert.All(names, name => Assert.Matches(new Regex("^exec_[0-9]{8}_[0-9]{6}_research_[0-9a-f]{12}$", RegexOptions.None, TimeSpan.FromSeconds(1)), name));
        Assert.NotEqual(names[0], names[1]);
        var move = Assert.Single((await _stage.GetAsync($"moves?execution_id={names[0]}")).GetProperty("items").EnumerateArray());
        Assert.Equal((moves[0], "completed"), (CampaignStage.Id(move), Text(move, "status")));
        var found = move.GetProperty("content");
        Assert.Equal((2, "Acme people", 1, 1), (
            found.GetProperty("contacts").GetInt64(), Text(found.GetProperty("icps")[0], "name"), found.GetProperty("icps")[0].GetProperty("contacts").GetInt64(),
            found.GetProperty("icps")[0].GetProperty("sms").GetInt64()));
        Assert.Contains("Acme people: 1 fit, 1 by SMS", Text(found, "summary"), StringComparison.Ordinal);
        Assert.Contains("What troubles them first: slow anvils.", Text(found, "summary"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_model_words_are_put_together_from_what_is_known()
    {
        await _stage.PutAsync("foundation", new { company_name = "Acme", unique_value_proposition = "Anvils in an hour" });
        var campaign = await _stage.CampaignAsync(null, await _stage.IcpAsync(true, new { name = "Smiths", pain_points = new[] { "waiting" } }));
        var id = await _stage.MoveAsync("content", new { campaign_id = campaign, title = "One page", description = "For those who ask." });
        await _stage.RunAsync(id);
        await _stage.SettleAsync();

        var content = (await _stage.GetAsync($"moves/{id}")).GetProperty("content");
        Assert.Equal("template", Text(content, "source"));
        Assert.Equal("One page\n\nFor those who ask.\n\nAcme: Anvils in an hour.\n\nFor Smiths, who know this: waiting.\n\nWrite back to Acme, and we will show you.", Text(content, "text"));
    }

    [Fact]
    public async Task A_model_writes_the_words_within_the_budget_and_is_told_of_the_company()
    {
        await using var model = await FakeModel.StartAsync();
        await _stage.AskModelAsync(model);
        await _stage.PutAsync("foundation", new { company_name = "Acme", brand_voice = "dry" });
        model.Fills(new { subject = "Anvils", text = "They are heavy." });
        var (written, broke) = (await _stage.MoveAsync("content"), await _stage.MoveAsync("content"));
        await _stage.RunAsync(written);
        await _stage.SettleAsync();
        await _stage.PutAsync("budgets/tenant", new { daily_budget = 0.01, auto_stop_on_limit = true });
        await _stage.RunAsync(broke);
        await _stage.SettleAsync();

        var content = (await _stage.GetAsync($"moves/{written}")).GetProperty("content");
        Assert.Equal(("They are heavy.", "Anvils", "main"), (Text(content, "text"), Text(content, "subject"), Text(content, "source")));
        Assert.Equal("template", Text((await _stage.GetAsync($"moves/{broke}")).GetProperty("content"), "source"));
        var call = Assert.Single((await _stage.GetAsync("model-calls")).GetProperty("items").EnumerateArray());
        Assert.Equal(("move", written, "answered"), (Text(call, "context_type"), call.GetProperty("context_id").GetGuid(), Text(call, "status")));
        Assert.Contains("The company:\nCompany: Acme\nBrand voice: dry\n", Text(call.GetProperty("input_data"), "instructions"), StringComparison.Ordinal);
        Assert.Equal("model_draft", Text(call, "action_type"));
        Assert.Single((await _stage.GetAsync("token-usage")).GetProperty("items").EnumerateArray());
    }

    [Fact]
    public async Task A_run_that_a_host_did_not_survive_goes_on_elsewhere_and_the_call_is_not_made_again()
    {
        await using var model = await FakeModel.StartAsync();
        await _stage.AskModelAsync(model);
        await using var other = _stage.Platform.Twin();
        var id = await _stage.MoveAsync("content");
        await _stage.RunAsync(id);
        // While the first waits for its answer it loses its lease, and another host finds a call whose end nobody saw.
        model.FillsAfter(async () =>
        {
            await _stage.Platform.Postgres.LoseWorkersAsync("state = 'running' AND kind = 'campaigns.run_move'");
            await other.DrainAsync();
        }, new { text = "Too late." });

        await _stage.SettleAsync();

        var move = await _stage.GetAsync($"moves/{id}");
        Assert.Equal(("completed", "template"), (Text(move, "status"), Text(move.GetProperty("content"), "source")));
        Assert.Single(model.Requests);
    }

    [Fact]
    public async Task A_run_whose_platform_fails_again_and_again_has_failed_and_says_why()
    {
        var id = await _stage.MoveAsync("research");
        await _stage.RunAsync(id);
        await _stage.CountAsync("WITH u AS (UPDATE work.items SET fence = 20, interruptions = 20 WHERE kind = 'campaigns.run_move' RETURNING 1) SELECT count(*) FROM u");
        await _stage.Platform.Postgres.LoseWorkersAsync("kind = 'campaigns.run_move'");

        await _stage.SettleAsync();

        var move = await _stage.GetAsync($"moves/{id}");
        Assert.Equal(("failed", "Interrupted 21 times."), (Text(move, "status"), Text(move, "error")));
    }

    [Theory]
    [InlineData("""{"title": "X", "type": "outreach", "content": {"text": "Hi {{contact.nickname}}"}}""", "content")]
    [InlineData("""{"title": "X", "type": "outreach", "content": {"text": "Hi {{{contact.first_name}}}"}}""", "content")]
    [InlineData("""{"title": "X", "type": "outreach", "content": {"text": 5}}""", "content")]
    [InlineData("""{"title": "X", "type": "outreach", "content": {"channel": "fax"}}""", "content")]
    [InlineData("""{"title": "X", "type": "admin", "content": []}""", "content")]
    [InlineData("""{"title": " ", "type": "admin"}""", "title")]
    [InlineData("""{"title": "X", "type": "admin", "campaign_id": "01936c6e-0000-7000-8000-000000000000"}""", "campaign_id")]
    public async Task What_cannot_be_done_is_refused_before_it_is_put_up(string body, string field)
    {
        var answer = await _stage.Api.PostAsync("/api/v1/moves", body);

        Assert.Equal((400, "validation_failed"), Told(answer));
        Assert.True(answer.Json.GetProperty("errors").TryGetProperty(field, out _), answer.Body);
        Assert.Equal(0, await _stage.CountAsync("SELECT count(*) FROM campaigns.moves"));
    }

    private async Task RefuseAsync(Guid id, string steps, string status)
    {
        foreach (var step in steps.Split(' '))
        {
            var answer = await _stage.Api.PostAsync($"/api/v1/moves/{id}/{step}", step == "fail" ? Json.Of(new { reason = "x" }) : new { });
            Assert.Equal((409, "move_state", step), (answer.Status, answer.Code, step));
        }

        Assert.Equal(status, Text(await _stage.GetAsync($"moves/{id}"), "status"));
    }

    private static string? Text(System.Text.Json.JsonElement of, string name) => of.GetProperty(name).GetString();

    private static (int Status, string Code) Told(ApiAnswer answer) => (answer.Status, answer.Code);
}
