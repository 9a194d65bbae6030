using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Console.Workflows;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Workflows;
using AgentPlatform.Workflows.Definitions;
using Microsoft.Playwright;

namespace AgentPlatform.Tests.Console;

/// <summary>A run of a workflow in the browser: drawn as a graph, sent the event it waits for, forked when it is over.</summary>
[Collection("Console")]
public sealed class WorkflowPageTests(ConsoleSite site)
{
    [Fact]
    public async Task A_run_is_drawn_with_its_states_takes_the_event_it_waits_for_and_is_forked()
    {
        var (tenant, run) = await RunAsync();
        var page = await site.OpenAsync(tenant.ApiKey, $"/workflows/{run}");
        await WaitForAsync(page, "g.node.waiting");
        Assert.Equal(["Ask", "waits", "Left", "Right"], (await page.Locator("g.node .name").AllTextContentsAsync()).Select(t => t.Trim()));
        Assert.Equal(3, await page.Locator("path.edge").CountAsync());
        Assert.Equal("go", await page.InputValueAsync("#event"));

        await page.ClickAsync("text=Pause");
        await page.Locator(".page-head .mark", new() { HasText = "paused" }).WaitForAsync();
        await page.ClickAsync("text=Resume");
        await page.FillAsync("#payload", "not json");
        await page.ClickAsync("text=Send event");
        Assert.Equal("Must be JSON.", await page.Locator(".alert").InnerTextAsync());
        await page.FillAsync("#payload", """{"n": 1}""");
        await page.ClickAsync("text=Send event");
        await WaitForAsync(page, ".page-head .mark.good");
        Assert.Equal(4, await page.Locator("g.node.good").CountAsync());
        Assert.Equal(3, await page.Locator("#run-attempts tbody tr:has(.mark.good)").CountAsync());

        await page.SelectOptionAsync("#step", "left");
        await page.ClickAsync("button:has-text('Fork')");
        await Assertions.Expect(page).Not.ToHaveURLAsync(new Regex($"({run}|/fork)$"));
        await page.Locator("text=started by fork").WaitForAsync();
        await page.ClickAsync("nav >> text=Workflows");
        Assert.Equal(2, await page.Locator("tbody tr").CountAsync());
        await page.Context.CloseAsync();
    }

    [Fact]
    public async Task A_page_follows_its_run_without_being_read_again_and_keeps_what_is_being_filled_in()
    {
        var (tenant, run) = await RunAsync();
        var page = await site.OpenAsync(tenant.ApiKey, $"/workflows/{run}");
        await WaitForAsync(page, "g.node.waiting");
        await page.Locator("#live[data-state=on]").WaitForAsync();
        await page.FillAsync("#payload", "mine");
        using var client = Client(tenant.ApiKey);
        await PostAsync(client, $"/api/v1/workflow-instances/{run}/signals", new { name = "go" });

        await page.Locator(".page-head .mark.good").WaitForAsync();
        await Assertions.Expect(page.Locator("g.node.good")).ToHaveCountAsync(4);
        Assert.Equal("mine", await page.InputValueAsync("#payload"));
        await page.Context.CloseAsync();
    }

    [Fact]
    public async Task A_run_is_started_on_the_page_with_the_input_that_its_definition_reads()
    {
        var tenant = await TenantWithFormAsync(site);
        var page = await site.OpenAsync(tenant.ApiKey, "/workflows");
        await page.ClickAsync("a:has-text('deliver')");
        await page.FillAsync("#input-city", "Berlin");
        await page.FillAsync("#input-count", "3");
        await page.ClickAsync("main button[type=submit]");
        await page.Locator("text=started by api").WaitForAsync();

        Assert.Equal("""{"city": "Berlin", "count": 3}""", await site.Platform.Postgres.ScalarAsync<string>(
            "SELECT input::text FROM workflows.workflow_executions WHERE tenant_id = $1", tenant.TenantId));
        await page.GotoAsync(new Uri(site.Address, "/workflows/start/nowhere").ToString());
        Assert.Equal(0, await page.Locator("#conversation").CountAsync());
        await page.Context.CloseAsync();
    }

    [Fact]
    public void The_way_back_goes_from_the_failure_through_what_was_undone_in_its_order()
    {
        var start = TimeProvider.System.GetUtcNow();
        GraphNode[] steps = [Node(1, "pack", start.AddSeconds(2)), Node(2, "pay", start.AddSeconds(1)), Node(3, "send", undoneAt: null)];

        var layout = GraphLayout.Of(steps, "send");

        Assert.Equal(["send-pay", "pay-pack"], layout.UndoPath.Select(e => $"{e.From.Node.Step.Id}-{e.To.Node.Step.Id}"));
        Assert.Empty(GraphLayout.Of([Node(1, "pack", undoneAt: null)], errorStep: null).UndoPath);

        static GraphNode Node(int place, string id, DateTimeOffset? undoneAt) => new(
            place, new StepDefinition { Id = id }, "completed", null, [], undoneAt is { } at ? [new WorkflowStep { StepId = id, Direction = "undo", StartedAt = at }] : []);
    }

    [Fact]
    public async Task A_step_that_waits_for_an_approval_is_answered_on_the_page()
    {
        var tenant = await Talk.TenantThatAnswersAsync(site);
        var conversation = await Talk.BeginAsync(site, tenant, "hello");
        using var client = Client(tenant.ApiKey);
        await PostAsync(client, $"/api/v1/agents/{tenant.AgentId}/actions", new { action_id = "confirm", action_name = "confirm", response_type = "none", approval = new { risk_level = "high" } });
        await DefineAsync(client, tenant, "ask", new { id = "ok", name = "Fine?", type = "approval", action = "confirm" });
        var (yes, no) = (await StartAsync(client, "ask", conversation), await StartAsync(client, "ask", conversation));

        var page = await site.OpenAsync(tenant.ApiKey, $"/workflows/{yes}");
        await WaitForAsync(page, "text=Fine? waits for an approval");
        Assert.Equal("awaiting approval", await page.Locator(".page-head .mark").InnerTextAsync());
        Assert.Equal("", await page.InputValueAsync("#event"));
        await page.ClickAsync("button:has-text('Approve')");
        await WaitForAsync(page, ".page-head .mark.good");
        Assert.Equal(0, await page.Locator("button:has-text('Approve')").CountAsync());

        await page.GotoAsync(new Uri(site.Address, $"/workflows/{no}").ToString());
        await WaitForAsync(page, "text=Fine? waits for an approval");
        await page.FillAsync("input[name=reason]", "Not today.");
        await page.ClickAsync("button:has-text('Reject')");
        await WaitForAsync(page, ".page-head .mark.bad");
        await page.Context.CloseAsync();
    }

    [Fact]
    public async Task A_run_is_cancelled_on_its_page()
    {
        var (tenant, run) = await RunAsync();
        using var client = await site.SignedInAsync(tenant.ApiKey);

        using var cancelled = await client.SubmitAsync($"/workflows/{run}", $"/workflows/{run}/cancel");

        Assert.Equal(HttpStatusCode.SeeOther, cancelled.StatusCode);
        Assert.Equal("cancelled", await StatusAsync(run));
    }

    [Fact]
    public async Task Who_gives_way_to_others_is_told_to_try_again()
    {
        var (tenant, run) = await RunAsync();
        using var client = await site.SignedInAsync(tenant.ApiKey);
        const string Rests = "SELECT EXISTS (SELECT FROM workflows.workflow_steps WHERE instance_id = $1 AND step_id = 'waits' AND status = 'waiting')";
        Assert.True(await Eventually.SeeAsync(() => site.Platform.Postgres.ScalarAsync<bool>(Rests, run), rests => rests));
        await using var other = site.Platform.Database.Begin(Actor.System(tenant.TenantId));
        await other.ExecuteAsync("SELECT FROM workflows.workflow_instances WHERE id = $1 FOR UPDATE", [run], default);

        // It holds the session and waits for the run; then the run's holder wants the session, too.
        var cancelling = client.SubmitAsync($"/workflows/{run}", $"/workflows/{run}/cancel");
        Assert.True(await site.Platform.Postgres.SomebodyWaitsAsync());
        await other.ExecuteAsync("SELECT FROM conversations.sessions WHERE id = (SELECT session_id FROM workflows.workflow_instances WHERE id = $1) FOR UPDATE", [run], default);

        using var cancelled = await cancelling;
        Assert.Equal(HttpStatusCode.ServiceUnavailable, cancelled.StatusCode);
        Assert.Equal("in_progress", await StatusAsync(run));
    }

    [Fact]
    public async Task Runs_of_others_do_not_exist()
    {
        var (_, run) = await RunAsync();
        using var stranger = await site.SignedInAsync((await site.TenantAsync()).ApiKey);
        using var shown = await stranger.GetAsync($"/workflows/{run}");
        Assert.Equal(HttpStatusCode.NotFound, shown.StatusCode);
        using var steered = await stranger.SubmitAsync("/workflows", $"/workflows/{run}/cancel");
        Assert.Equal(HttpStatusCode.NotFound, steered.StatusCode);
    }

    [Fact]
    public async Task Readers_see_a_run_and_cannot_steer_it()
    {
        var (tenant, run) = await RunAsync();
        using var owner = Client(tenant.ApiKey);
        var key = (await PostAsync(owner, "/api/v1/keys", new { name = "reader", scopes = new[] { "workflows:read" } })).GetProperty("secret").GetString()!;
        using var reader = await site.SignedInAsync(key);

        Assert.DoesNotContain("<form method=\"post\" action=\"/workflows/", await reader.Http.GetStringAsync(new Uri($"/workflows/{run}", UriKind.Relative)), StringComparison.Ordinal);
        using var form = await reader.GetAsync("/workflows/start/visit");
        Assert.Equal(HttpStatusCode.Forbidden, form.StatusCode);
        foreach (var act in new[] { "cancel", "pause", "signal", "steps/ask/approve" })
        {
            using var refused = await reader.SubmitAsync($"/workflows/{run}", $"/workflows/{run}/{act}");
            Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        }

        Assert.Equal("in_progress", await StatusAsync(run));
    }

    private Task<string> StatusAsync(Guid run) => site.Platform.Postgres.ScalarAsync<string>("SELECT status FROM workflows.workflow_instances WHERE id = $1", run);

    /// <summary>A workflow that waits for an event and then runs two steps side by side, begun for a conversation.</summary>
    internal static async Task<(ProvisionedTenant Tenant, Guid Run)> RunAsync(ConsoleSite site)
    {
        var tenant = await Talk.TenantThatAnswersAsync(site);
        var conversation = await Talk.BeginAsync(site, tenant, "hello");
        using var client = Client(site, tenant.ApiKey);
        object[] steps =
        [
            new { id = "ask", name = "Ask", type = "action", action = "opening_hours" },
            new { id = "waits", type = "wait", @event = "go", timeout_seconds = 3600 },
            new { id = "left", name = "Left", type = "action", action = "opening_hours", after = new[] { "waits" } },
            new { id = "right", name = "Right", type = "action", action = "opening_hours", after = new[] { "waits" } },
        ];
        await DefineAsync(client, tenant, "visit", steps);
        return (tenant, await StartAsync(client, "visit", conversation));
    }

    /// <summary>A workflow that reads two names of its input, and a conversation to start it for.</summary>
    internal static async Task<ProvisionedTenant> TenantWithFormAsync(ConsoleSite site)
    {
        var tenant = await Talk.TenantThatAnswersAsync(site);
        await Talk.BeginAsync(site, tenant, "hello");
        using var client = Client(site, tenant.ApiKey);
        await DefineAsync(
            client, tenant, "deliver", new { id = "waits", type = "wait", @event = "go", timeout_seconds = 3600, when = new { path = "$.input.city", exists = true } },
            new { id = "more", type = "wait", @event = "on", timeout_seconds = 3600, when = new { path = "$.input.count", greater_than = 1 } });
        return tenant;
    }

    private static HttpClient Client(ConsoleSite site, string key) =>
        new() { BaseAddress = site.Address, DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", key) } };

    private HttpClient Client(string key) => Client(site, key);

    private static Task DefineAsync(HttpClient client, ProvisionedTenant tenant, string id, params object[] steps) =>
        PostAsync(client, "/api/v1/workflows", new { workflow_id = id, name = id, agent_id = tenant.AgentId, definition = new { steps } });

    private static async Task<Guid> StartAsync(HttpClient client, string id, Guid conversation) =>
        (await PostAsync(client, $"/api/v1/workflows/{id}/start", new { conversation_id = conversation })).GetProperty("id").GetGuid();

    private Task<(ProvisionedTenant Tenant, Guid Run)> RunAsync() => RunAsync(site);

    private static async Task<JsonElement> PostAsync(HttpClient client, string path, object body)
    {
        using var answer = await client.PostAsJsonAsync(new Uri(path, UriKind.Relative), body, Json.Options);
        var json = await answer.Content.ReadFromJsonAsync<JsonElement>();
        Assert.True(answer.IsSuccessStatusCode, json.ToString());
        return json;
    }

    /// <summary>The page is read again until the run has come there.</summary>
    private static Task<bool> WaitForAsync(IPage page, string selector) => Eventually.SeeAsync(
        async () =>
        {
            await page.ReloadAsync();
            return await page.Locator(selector).CountAsync() > 0;
        },
        seen => seen);
}
