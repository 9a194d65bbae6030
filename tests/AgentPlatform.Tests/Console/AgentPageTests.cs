using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Tests.Console;

/// <summary>Template sets and instances of agents in the browser: worded, reworded, deployed, compared, terminated.</summary>
[Collection("Console")]
public sealed class AgentPageTests(ConsoleSite site)
{
    [Fact]
    public async Task A_person_words_a_set_rewords_it_and_deploys_and_terminates_an_instance_that_uses_it()
    {
        var tenant = await Talk.TenantThatAnswersAsync(site);
        var page = await site.OpenAsync(tenant.ApiKey, $"/console/agents/{tenant.AgentId}");
        await page.ClickAsync("text=Word another set");
        await page.FillAsync("#name", "house");
        await page.FillAsync("#part-identity", "You are {{agent.nam}}.");
        await page.ClickAsync("button.primary");
        Assert.Equal("There is no variable {{agent.nam}} here.", await page.TextContentAsync(".alert"));
        Assert.Equal("house", await page.InputValueAsync("#name"));

        await page.FillAsync("#part-identity", "\nYou are {{agent.name}},\nthe concierge.");
        await page.CheckAsync("#in_use");
        await page.ClickAsync("button.primary");
        await page.Locator("h1", new() { HasText = "house" }).WaitForAsync();
        Assert.Equal("\nYou are {{agent.name}},\nthe concierge.", await page.InputValueAsync("#part-identity"));
        Assert.Equal(1, await page.Locator("label .mark.good").CountAsync());
        await page.FillAsync("#name", "home");
        await page.ClickAsync("button:has-text('Save as version 2')");
        await page.Locator("h1", new() { HasText = "home" }).WaitForAsync();
        Assert.Equal(1, await page.Locator(".buttons a").CountAsync());

        await page.FillAsync("#part-guard", "");
        await page.ClickAsync("button:has-text('Save as version 2')");
        await page.Locator("button:has-text('Save as version 3')").WaitForAsync();
        Assert.Equal(2, await page.Locator(".buttons a").CountAsync());
        await page.ClickAsync(".buttons li:last-child a");
        await page.Locator("h2", new() { HasText = "Version 1, to begin from" }).WaitForAsync();
        Assert.NotEqual("", await page.InputValueAsync("#part-guard"));

        await page.GotoAsync(new Uri(site.Address, $"/console/agents/{tenant.AgentId}").ToString());
        Assert.Equal(["home", "in use", "2", "guard, identity"], (await page.Locator("section[aria-labelledby=sets-title] tbody tr").Locator("th, td").AllInnerTextsAsync()).Take(4));
        await page.FillAsync("#name", "B");
        await page.FillAsync("#weight", "many");
        await page.ClickAsync("button:has-text('Deploy')");
        Assert.Equal("Must be 0 to 1000.", await page.TextContentAsync(".alert"));
        await page.FillAsync("#weight", "25");
        await page.SelectOptionAsync("#template_set_id", new Microsoft.Playwright.SelectOptionValue { Label = "home" });
        await page.FillAsync("#prompt_version", "1");
        await page.ClickAsync("button:has-text('Deploy')");
        var row = page.Locator("section[aria-labelledby=instances-title] tbody tr", new() { HasText = "agent / B" });
        await row.WaitForAsync();
        Assert.Equal(["agent / B", "active", "25", "home, version 1", "0", "0"], (await row.Locator("th, td").AllInnerTextsAsync()).Take(6));

        await row.Locator("button").ClickAsync();
        await row.Locator("text=terminated").WaitForAsync();
        Assert.Equal(0, await row.Locator("button").CountAsync());
        await page.Context.CloseAsync();
    }

    [Fact]
    public async Task A_change_of_somebody_else_in_between_is_not_overwritten_and_a_set_in_use_by_an_instance_is_kept()
    {
        var tenant = await site.TenantAsync();
        using var api = Client(tenant.ApiKey);
        var set = await SetAsync(api, tenant.AgentId);
        await PostAsync(api, $"/api/v1/agents/{tenant.AgentId}/instances", new { agent_type = "agent", name = "B", template_set_id = set });
        using var client = await site.SignedInAsync(tenant.ApiKey);
        var path = $"/console/template-sets/{set}";
        var html = await client.Http.GetStringAsync(new Uri(path, UriKind.Relative));
        var seen = html.Split("name=\"seen\" value=\"")[1].Split('"')[0];
        using (var other = await api.PutAsJsonAsync(new Uri($"/api/v1/template-sets/{set}", UriKind.Relative), new { name = "house", parts = new { identity = "Somebody else." } }))
        {
            Assert.Equal(HttpStatusCode.OK, other.StatusCode);
        }

        using var late = await client.SubmitAsync(path, path, ("name", "house"), ("part.identity", "Mine."), ("seen", WebUtility.HtmlDecode(seen)));
        using var deleted = await client.SubmitAsync(path, $"{path}/delete");

        Assert.Equal((HttpStatusCode.PreconditionFailed, HttpStatusCode.Conflict), (late.StatusCode, deleted.StatusCode));
        Assert.Contains("Mine.", await late.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Contains("Instance &#x27;B&#x27; of the agent uses it.", await deleted.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal("Somebody else.", (await GetAsync(api, $"/api/v1/template-sets/{set}")).GetProperty("parts").GetProperty("identity").GetString());
    }

    [Fact]
    public async Task Readers_look_at_wordings_and_instances_and_change_nothing_and_strangers_see_none()
    {
        var tenant = await site.TenantAsync();
        using var api = Client(tenant.ApiKey);
        var set = await SetAsync(api, tenant.AgentId);
        var instance = (await PostAsync(api, $"/api/v1/agents/{tenant.AgentId}/instances", new { agent_type = "agent", name = "B" })).GetProperty("id").GetGuid();
        var key = (await PostAsync(api, "/api/v1/keys", new { name = "reader", scopes = new[] { "agents:read" } })).GetProperty("secret").GetString()!;
        using var reader = await site.SignedInAsync(key);
        using var stranger = await site.SignedInAsync((await site.TenantAsync()).ApiKey);

        Assert.Contains("agent / B", await reader.Http.GetStringAsync(new Uri($"/console/agents/{tenant.AgentId}", UriKind.Relative)), StringComparison.Ordinal);
        Assert.Contains("Speak softly.", await reader.Http.GetStringAsync(new Uri($"/console/template-sets/{set}", UriKind.Relative)), StringComparison.Ordinal);
        foreach (var path in new[] { "/console/agents", $"/console/agents/{tenant.AgentId}", $"/console/template-sets/{set}" })
        {
            Assert.DoesNotContain("action=\"/console/agents", await reader.Http.GetStringAsync(new Uri(path, UriKind.Relative)), StringComparison.Ordinal);
            Assert.DoesNotContain("action=\"/console/template-sets", await reader.Http.GetStringAsync(new Uri(path, UriKind.Relative)), StringComparison.Ordinal);
            Assert.DoesNotContain($"{tenant.AgentId}", await (await stranger.GetAsync(path)).Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        foreach (var act in new[] { $"agents/{tenant.AgentId}/instances", $"agents/{tenant.AgentId}/instances/{instance}/terminate", $"agents/{tenant.AgentId}/template-sets", $"template-sets/{set}", $"template-sets/{set}/delete" })
        {
            using var refused = await reader.SubmitAsync("/console/agents", $"/console/{act}", ("name", "mine"));
            using var hidden = await stranger.SubmitAsync("/console/agents", $"/console/{act}", ("name", "mine"), ("agent_type", "agent"));
            Assert.Equal((act, HttpStatusCode.Forbidden, HttpStatusCode.NotFound), (act, refused.StatusCode, hidden.StatusCode));
        }

        Assert.Equal("active", (await GetAsync(api, $"/api/v1/agent-instances/{instance}")).GetProperty("status").GetString());
    }

    internal static async Task<(ProvisionedTenant Tenant, Guid Set)> WordedAsync(ConsoleSite site)
    {
        var tenant = await Talk.TenantThatAnswersAsync(site);
        using var api = new HttpClient { BaseAddress = site.Address, DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", tenant.ApiKey) } };
        var set = await SetAsync(api, tenant.AgentId);
        await PostAsync(api, $"/api/v1/agents/{tenant.AgentId}/instances", new { agent_type = "agent", name = "B", weight = 25, template_set_id = set, prompt_version = 1 });
        await Talk.BeginAsync(site, tenant, "when are you open");
        return (tenant, set);
    }

    private static async Task<Guid> SetAsync(HttpClient api, Guid agentId) =>
        (await PostAsync(api, $"/api/v1/agents/{agentId}/template-sets", new { name = "house", parts = new { identity = "Speak softly.", guard = "" } })).GetProperty("id").GetGuid();

    private HttpClient Client(string key) => new() { BaseAddress = site.Address, DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", key) } };

    private static async Task<JsonElement> PostAsync(HttpClient api, string path, object body)
    {
        using var answer = await api.PostAsJsonAsync(new Uri(path, UriKind.Relative), body, Json.Options);
        var json = await answer.Content.ReadFromJsonAsync<JsonElement>();
        Assert.True(answer.IsSuccessStatusCode, json.ToString());
        return json;
    }

    private static Task<JsonElement> GetAsync(HttpClient api, string path) => api.GetFromJsonAsync<JsonElement>(new Uri(path, UriKind.Relative));
}
