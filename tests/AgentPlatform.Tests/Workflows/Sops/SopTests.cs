using System.Text.Json.Nodes;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Rules;
using AgentPlatform.Workflows.Sops;

namespace AgentPlatform.Tests.Workflows.Sops;

/// <summary>Drafting, publishing and changing SOPs, and the categories they are kept in.</summary>
public sealed class SopTests : IAsyncLifetime
{
    private Procedures _sops = null!;

    public async Task InitializeAsync() => _sops = await Procedures.StartAsync();

    public async Task DisposeAsync() => await _sops.DisposeAsync();

    [Fact]
    [Behaviour("bb-sop-publish")]
    public async Task An_SOP_starts_as_a_draft_is_published_and_begins_a_new_version_when_it_is_changed_after_that()
    {
        var sop = await _sops.DraftAsync(new { }, Procedures.Manual(1));
        Assert.Equal(("draft", 1, null, null), (sop.Status, sop.Version, sop.PublishedVersion, sop.PublishedAt));
        Assert.Equal("sop_not_published", (await _sops.TryExecuteAsync(sop.Id)).Code);

        Assert.Equal(200, (await _sops.ChangeAsync(sop.Id, new { title = "Refunds" })).Status);
        Assert.Equal(1, (await _sops.SopAsync(sop.Id)).Version);
        var published = Json.Read<Sop>((await _sops.MoveAsync(sop.Id, "publish")).Json);
        Assert.Equal(("published", 1, 1), (published.Status, published.Version, published.PublishedVersion));
        Assert.NotNull(published.PublishedAt);
        Assert.Equal("sop_published", (await _sops.MoveAsync(sop.Id, "publish")).Code);

        var changed = Json.Read<Sop>((await _sops.ChangeAsync(sop.Id, new { objective = "Keep them happy." })).Json);
        Assert.Equal(("draft", 2, 1), (changed.Status, changed.Version, changed.PublishedVersion));
        Assert.Equal(2, Json.Read<Sop>((await _sops.ChangeAsync(sop.Id, new { steps = new[] { Procedures.Manual(1), Procedures.Manual(2) } })).Json).Version);
        Assert.Equal((1, 2), (await StepsAsync(sop.Id, 1), await StepsAsync(sop.Id, 2)));
        await _sops.MoveAsync(sop.Id, "publish");
        Assert.Equal(["sop.published", "sop.published"], await _sops.Flows.EventsAsync(sop.Id));
    }

    [Fact]
    [Behaviour("bb-sop-publish")]
    public async Task An_execution_stays_on_the_version_it_began_with_and_a_draft_is_executed_by_nobody()
    {
        var sop = await _sops.PublishedAsync(new { }, Procedures.Manual(1), Procedures.Manual(2));
        var old = await _sops.ExecuteAsync(sop, "human");
        await _sops.ChangeAsync(sop, new { steps = new[] { Procedures.Manual(7) } });
        var during = await _sops.ExecuteAsync(sop, "human");
        await _sops.MoveAsync(sop, "publish");
        var young = await _sops.ExecuteAsync(sop, "human");

        Assert.Equal((1, 1, 2), (old.Version, during.Version, young.Version));
        await _sops.DoAsync(old.Id, 1);
        Assert.Equal("completed", (await _sops.DoAsync(old.Id, 2)).Status);
        Assert.Equal("completed", (await _sops.DoAsync(young.Id, 7)).Status);
        await _sops.MoveAsync(sop, "archive");
        Assert.Equal("sop_archived", (await _sops.TryExecuteAsync(sop)).Code);
        Assert.Equal(3, Json.Read<Sop>((await _sops.ChangeAsync(sop, new { steps = new[] { Procedures.Manual(8) } })).Json).Version);
        Assert.Equal("in_progress", (await _sops.DoAsync(during.Id, 1)).Status);
    }

    [Fact]
    public async Task An_SOP_is_changed_by_its_owner_and_by_admins_and_not_over_anothers_change()
    {
        var (author, other) = (await _sops.Flows.Api.KeyAsync("member"), await _sops.Flows.Api.KeyAsync("member"));
        var made = await _sops.Flows.Api.PostAsync("/api/v1/sops", new { title = "Mine", steps = new[] { Procedures.Manual(1) } }, author);
        var id = made.Json.GetProperty("id").GetGuid();

        Assert.Equal((403, "sop_not_yours"), await AnswerAsync(_sops.ChangeAsync(id, new { title = "Yours" }, other)));
        Assert.Equal((403, "sop_not_yours"), await AnswerAsync(_sops.MoveAsync(id, "publish", null, other)));
        Assert.Equal(200, (await _sops.Flows.Api.SendAsync(HttpMethod.Patch, $"/api/v1/sops/{id}", new { title = "Ours" }, author, ("If-Match", made.Header("ETag")!))).Status);
        Assert.Equal(412, (await _sops.Flows.Api.SendAsync(HttpMethod.Patch, $"/api/v1/sops/{id}", new { title = "Mine" }, author, ("If-Match", made.Header("ETag")!))).Status);
        Assert.Equal(200, (await _sops.ChangeAsync(id, new { title = "The tenant's" })).Status);
        var stranger = await _sops.Flows.Platform.ProvisionAsync("Other");
        Assert.Equal(404, (await _sops.Flows.Api.GetAsync($"/api/v1/sops/{id}", stranger.ApiKey)).Status);
    }

    [Fact]
    [Behaviour("bb-sop-steps-order")]
    public async Task Steps_that_cannot_be_executed_as_written_are_named_by_their_place()
    {
        Assert.Equal(["steps[0].step_number", "steps[1].step_number"], await ErrorsAsync(Procedures.Manual(1), Procedures.Manual(1)));
        Assert.Equal(["steps"], await ErrorsAsync(Procedures.Manual(1, new { depends_on = new[] { 2 } }), Procedures.Manual(2)));
        Assert.Equal(["steps[0].depends_on"], await ErrorsAsync(Procedures.Manual(1, new { depends_on = new[] { 5 } })));
        Assert.Equal(["steps[0].action_config"], await ErrorsAsync(Procedures.Manual(1, new { action_type = "action" })));
        Assert.Equal(["steps[0].conditions.path"], await ErrorsAsync(Procedures.Manual(1, new { conditions = new { path = "$.steps.9.ok", equals = true } })));
        Assert.Equal(["steps[0].error_handling.step"], await ErrorsAsync(Procedures.Manual(1, new { error_handling = new { strategy = "alternative" } })));
        Assert.Equal(["steps[0].error_handling.max_retries"], await ErrorsAsync(Procedures.Manual(1, new { error_handling = new { strategy = "retry" } })));
        Assert.Equal(["steps"], await ErrorsAsync(
            Procedures.Manual(1, new { error_handling = new { strategy = "alternative", step = 2 } }), Procedures.Manual(2, new { error_handling = new { strategy = "alternative", step = 1 } })));
        Assert.Equal(["steps"], await ErrorsAsync());
        Assert.Equal(["steps"], await ErrorsAsync([null!]));
        Assert.Equal(["steps"], await ErrorsAsync(Procedures.Manual(1, new { alternatives = new object?[] { null } })));
    }

    [Fact]
    [Behaviour("bb-sop-categories")]
    public async Task Categories_are_ones_own_in_ones_own_order_and_are_switched_off_without_losing_an_SOP()
    {
        var (mine, others) = (await _sops.Flows.Api.KeyAsync("member"), await _sops.Flows.Api.KeyAsync("member"));
        var second = await CategoryAsync(mine, new { name = "Second", sort_order = 2, icon = "box", color = "teal" });
        await CategoryAsync(mine, new { name = "First", sort_order = 1 });
        await CategoryAsync(others, new { name = "Theirs", sort_order = 0 });
        Assert.Equal(["First", "Second"], await NamesAsync(mine));
        Assert.Equal(["Theirs"], await NamesAsync(others));
        Assert.Equal(404, (await _sops.Flows.Api.GetAsync($"/api/v1/sop-categories/{second}", others)).Status);
        Assert.Equal("sop_category_not_found", (await MakeAsync(others, second)).Code);

        var sop = (await MakeAsync(mine, second)).Json.GetProperty("id").GetGuid();
        Assert.Equal(200, (await _sops.Flows.Api.SendAsync(HttpMethod.Patch, $"/api/v1/sop-categories/{second}", new { is_active = false }, mine)).Status);
        Assert.Equal(["First"], await NamesAsync(mine));
        Assert.Equal(["First", "Second"], await NamesAsync(mine, "?include_inactive=true"));
        Assert.Equal(second, (await _sops.SopAsync(sop)).CategoryId);
        Assert.Equal(1, (await _sops.Flows.Api.GetAsync($"/api/v1/sops?category_id={second}")).Json.GetProperty("items").GetArrayLength());
        Assert.Equal("sop_category_inactive", (await MakeAsync(mine, second)).Code);
        Assert.Equal(200, (await _sops.MoveAsync(sop, "publish", null, mine)).Status);
    }

    [Fact]
    public async Task A_list_is_narrowed_by_what_SOPs_are_for()
    {
        await _sops.DraftAsync(new { title = "Late parcels", applicable_to = new[] { "parcels" }, tags = new[] { "night" }, priority = "high" }, Procedures.Manual(1));
        await _sops.PublishedAsync(new { title = "Refunds", applicable_to = new[] { "refunds" } }, Procedures.Manual(1));
        Assert.Equal(["Late parcels"], await TitlesAsync("applicable_to=parcels"));
        Assert.Equal(["Late parcels"], await TitlesAsync("tag=night&priority=high"));
        Assert.Equal(["Refunds"], await TitlesAsync("status=published"));
        Assert.Equal(400, (await _sops.Flows.Api.GetAsync("/api/v1/sops?status=lost")).Status);
    }

    [Fact]
    public async Task The_example_of_the_documentation_is_executed_as_it_says()
    {
        await _sops.Flows.OfferAsync(Flows.Act("pay_back") with { ParamsOptional = Json.Of(new[] { "order", "amount" }), ApiBody = Json.Of(new { amount = "{{amount}}" }) });
        var text = await File.ReadAllTextAsync(Path.Combine(Repository.Folder("docs"), "sops.md"));
        var made = await _sops.Flows.Api.PostAsync("/api/v1/sops", text[text.IndexOf('{', StringComparison.Ordinal)..text.IndexOf("\n```\n", StringComparison.Ordinal)]);
        Assert.True(made.Status == 201, made.Body);
        var sop = made.Json.GetProperty("id").GetGuid();
        await _sops.MoveAsync(sop, "publish");
        Assert.Equal("sop_prerequisites_unmet", (await _sops.TryExecuteAsync(sop, context: new { })).Code);
        var (_, approver) = await _sops.Flows.Api.MemberAsync("member", "approvals:write");
        foreach (var (amount, second) in new[] { (20, "2 completed step"), (900, "2 skipped alternative") })
        {
            var execution = await _sops.ExecuteAsync(sop, context: new { order = "A-1" });
            await _sops.SteerAsync(execution.Id, "approve", null, approver);
            execution = await _sops.DoAsync(execution.Id, 1, new { amount });
            execution = amount < 500 ? execution : await _sops.DoAsync(execution.Id, 4);
            Assert.Equal("completed", (await _sops.DoAsync(execution.Id, 3)).Status);
            Assert.Contains(second, Procedures.WayOf(await _sops.ReadAsync(execution.Id)));
        }

        Assert.Equal("20", Assert.Single(_sops.Flows.Depot.Effects).Body.GetProperty("amount").ToString());
    }

    private async Task<int> StepsAsync(Guid sop, int version) => (await _sops.Flows.Api.GetAsync($"/api/v1/sops/{sop}/steps?version={version}")).Json.GetProperty("items").GetArrayLength();

    private async Task<string[]> ErrorsAsync(params JsonObject[] steps)
    {
        var answer = await _sops.TryDraftAsync(new { }, steps);
        Assert.Equal("validation_failed", answer.Code);
        return [.. answer.Json.GetProperty("errors").EnumerateObject().Select(error => error.Name)];
    }

    private async Task<Guid> CategoryAsync(string key, object body) => (await _sops.Flows.Api.PostAsync("/api/v1/sop-categories", body, key)).Json.GetProperty("id").GetGuid();

    private Task<ApiAnswer> MakeAsync(string key, Guid category) =>
        _sops.Flows.Api.PostAsync("/api/v1/sops", new { title = "Kept", category_id = category, steps = new[] { Procedures.Manual(1) } }, key);

    private async Task<string[]> NamesAsync(string key, string query = "") => Of(await _sops.Flows.Api.GetAsync($"/api/v1/sop-categories{query}", key), "name");

    private async Task<string[]> TitlesAsync(string query) => Of(await _sops.Flows.Api.GetAsync($"/api/v1/sops?{query}"), "title");

    private static async Task<(int Status, string Code)> AnswerAsync(Task<ApiAnswer> answer) => ((await answer).Status, (await answer).Code);

    private static string[] Of(ApiAnswer answer, string member) => [.. answer.Json.GetProperty("items").EnumerateArray().Select(item => item.GetProperty(member).GetString()!)];
}
