using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Tests.Console;

/// <summary>Standard operating procedures in the browser: found, begun, done step by step, allowed, rated.</summary>
[Collection("Console")]
public sealed class SopPageTests(ConsoleSite site)
{
    [Fact]
    public async Task A_person_finds_an_SOP_begins_it_does_its_steps_and_rates_it()
    {
        var tenant = await site.TenantAsync();
        using var client = Client(tenant.ApiKey);
        var drawer = (await PostAsync(client, "/api/v1/sop-categories", new { name = "Money" })).GetProperty("id").GetString();
        await PublishAsync(client, "Refund an order", new { category_id = drawer });
        await PublishAsync(client, "Take back a parcel", new { });
        var page = await site.OpenAsync(tenant.ApiKey, "/console/sops");
        Assert.Equal(["Find", "Money", "Other"], await page.Locator("section h2").AllInnerTextsAsync());

        await page.FillAsync("#q", "refund");
        await page.ClickAsync("button:has-text('Find')");
        Assert.Equal(["Refund an order"], await page.Locator("tbody th").AllInnerTextsAsync());
        await page.ClickAsync("tbody th a");
        Assert.Equal(2, await page.Locator(".procedure li").CountAsync());
        await page.ClickAsync("text=Begin an execution");
        await page.FillAsync("#input-order", "A-7");
        await page.ClickAsync("main button[type=submit]");

        await page.Locator("h2", new() { HasText = "Now: step 1" }).WaitForAsync();
        await page.FillAsync("#input-amount", "0");
        await page.ClickAsync("button.primary");
        await page.Locator("#execution-steps .mark.bad").WaitForAsync();
        await page.FillAsync("#input-amount", "12");
        await page.ClickAsync("button.primary");
        await page.Locator("h2", new() { HasText = "Now: step 2" }).WaitForAsync();
        await page.FillAsync("#input-note", "Paid.");
        await page.ClickAsync("button.primary");
        await page.Locator(".page-head .mark.good").WaitForAsync();

        await page.SelectOptionAsync("#rating", "4");
        await page.FillAsync("#issue", "The till was slow.");
        await page.ClickAsync("button:has-text('Rate')");
        await page.Locator("text=4 of 5").WaitForAsync();
        await page.ClickAsync("h1 a");
        await page.Locator("text=4.0 of 5, 1 rated").WaitForAsync();
        Assert.Equal(1, await page.Locator("#executions-title").CountAsync());
        await page.Context.CloseAsync();
    }

    [Fact]
    public async Task An_execution_that_needs_an_approval_is_answered_by_somebody_else_on_its_page()
    {
        var tenant = await site.TenantAsync();
        using var client = Client(tenant.ApiKey);
        var sop = await PublishAsync(client, "Refund an order", new { human_approval_required = true });
        var key = (await PostAsync(client, "/api/v1/keys", new { name = "no member", scopes = new[] { "workflows:read", "workflows:write", "approvals:write" } })).GetProperty("secret").GetString()!;
        using var operators = await site.SignedInAsync(key);
        var (yes, no) = (await BeginAsync(client, sop), await BeginAsync(client, sop));
        Assert.NotEqual(yes, no);
        using var own = await site.SignedInAsync(tenant.ApiKey);
        Assert.DoesNotContain("/approve", await own.Http.GetStringAsync(new Uri($"/console/sops/executions/{yes}", UriKind.Relative)), StringComparison.Ordinal);
        await AsStartedByThePlatformAsync(yes, no);

        using var approved = await operators.SubmitAsync($"/console/sops/executions/{yes}", $"/console/sops/executions/{yes}/approve");
        using var unsaid = await operators.SubmitAsync($"/console/sops/executions/{no}", $"/console/sops/executions/{no}/reject");
        using var rejected = await operators.SubmitAsync($"/console/sops/executions/{no}", $"/console/sops/executions/{no}/reject", ("reason", "Not today."));

        Assert.Equal((HttpStatusCode.SeeOther, HttpStatusCode.BadRequest, HttpStatusCode.SeeOther), (approved.StatusCode, unsaid.StatusCode, rejected.StatusCode));
        Assert.Equal(("in_progress", "cancelled"), (await StatusAsync(yes), await StatusAsync(no)));
    }

    [Fact]
    public async Task Readers_see_SOPs_and_cannot_act_and_strangers_see_none()
    {
        var (tenant, sop, execution) = await BegunAsync(site);
        using var client = Client(tenant.ApiKey);
        var key = (await PostAsync(client, "/api/v1/keys", new { name = "reader", scopes = new[] { "workflows:read" } })).GetProperty("secret").GetString()!;
        using var reader = await site.SignedInAsync(key);
        using var stranger = await site.SignedInAsync((await site.TenantAsync()).ApiKey);

        foreach (var path in new[] { $"/console/sops/{sop}", $"/console/sops/executions/{execution}" })
        {
            Assert.DoesNotContain("<form method=\"post\" action=\"/console/sops", await reader.Http.GetStringAsync(new Uri(path, UriKind.Relative)), StringComparison.Ordinal);
            using var hidden = await stranger.GetAsync(path);
            Assert.Equal(HttpStatusCode.NotFound, hidden.StatusCode);
        }

        foreach (var act in new[] { $"{sop}/publish", $"{sop}/archive", $"{sop}/start", $"executions/{execution}/steps/1/result", $"executions/{execution}/cancel", $"executions/{execution}/approve", $"executions/{execution}/rating" })
        {
            using var refused = await reader.SubmitAsync($"/console/sops/{sop}", $"/console/sops/{act}");
            Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        }

        Assert.Equal("in_progress", await StatusAsync(execution));
    }

    /// <summary>A published SOP with an execution whose first step a person must do.</summary>
    internal static async Task<(ProvisionedTenant Tenant, Guid Sop, Guid Execution)> BegunAsync(ConsoleSite site)
    {
        var tenant = await site.TenantAsync();
        using var client = Client(site, tenant.ApiKey);
        var sop = await PublishAsync(client, "Refund an order", new { });
        return (tenant, sop, await BeginAsync(client, sop));
    }

    private Task<string> StatusAsync(Guid execution) => site.Platform.Postgres.ScalarAsync<string>("SELECT status FROM workflows.sop_executions WHERE id = $1", execution);

    private async Task AsStartedByThePlatformAsync(params Guid[] executions)
    {
        foreach (var execution in executions)
        {
            await site.Platform.Postgres.ScalarAsync<Guid>("UPDATE workflows.sop_executions SET user_id = NULL WHERE id = $1 RETURNING id", execution);
        }
    }

    private static async Task<Guid> PublishAsync(HttpClient client, string title, object more)
    {
        var body = JsonSerializer.SerializeToNode(more, Json.Options)!.AsObject();
        body["title"] = title;
        body["automation_level"] = "manual";
        body["prerequisites"] = JsonSerializer.SerializeToNode(new { path = "$.input.order", exists = true });
        body["steps"] = JsonSerializer.SerializeToNode(new object[]
        {
            new
            {
                step_number = 1,
                title = "Find the payment",
                instructions = "Look it up in the till.",
                validation_criteria = new { path = "$.step.result.amount", greater_than = 0 },
                error_handling = new { strategy = "retry", max_retries = 2, otherwise = "stop" },
            },
            new { step_number = 2, title = "Pay back", instructions = "Pay back what was paid." },
        });
        var id = (await PostAsync(client, "/api/v1/sops", body)).GetProperty("id").GetGuid();
        await PostAsync(client, $"/api/v1/sops/{id}/publish", new { });
        return id;
    }

    private static async Task<Guid> BeginAsync(HttpClient client, Guid sop) =>
        (await PostAsync(client, $"/api/v1/sops/{sop}/execute", new { context = new { order = "A-7" } })).GetProperty("id").GetGuid();

    private HttpClient Client(string key) => Client(site, key);

    private static HttpClient Client(ConsoleSite site, string key) => new() { BaseAddress = site.Address, DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", key) } };

    private static async Task<JsonElement> PostAsync(HttpClient client, string path, object body)
    {
        using var answer = await client.PostAsJsonAsync(new Uri(path, UriKind.Relative), body, Json.Options);
        var json = await answer.Content.ReadFromJsonAsync<JsonElement>();
        Assert.True(answer.IsSuccessStatusCode, json.ToString());
        return json;
    }
}
