using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Tenancy;
using Microsoft.Playwright;

namespace AgentPlatform.Tests.Console;

/// <summary>The queues in the browser: what has died is tried again, a kind is held back and let go.</summary>
[Collection("Console")]
public sealed class WorkPageTests(ConsoleSite site)
{
    /// <summary>A kind of the platform that finds nothing to do for a channel that is not there.</summary>
    private const string Kind = "channels.store_inbox";

    [Fact]
    public async Task What_has_died_of_an_error_is_tried_again_with_a_click()
    {
        var tenant = await DeadAsync(site, "The disk was full.", "The disk was full.", "Nobody answered.");
        var page = await site.OpenAsync(tenant.ApiKey, "/console/work");
        Assert.Equal(["Queues", "Dead", "Paused"], await page.Locator("section h2").AllInnerTextsAsync());
        Assert.Equal(["The disk was full.", "Nobody answered."], await page.Locator("[aria-label='Dead, table'] td.text").AllInnerTextsAsync());

        await page.ClickAsync("button:has-text('what died of The disk was full.')");
        await Assertions.Expect(page.Locator("#redrives-title")).ToBeVisibleAsync();
        var done = page.Locator("[aria-label='Tried again, table'] .mark.good");
        await Eventually.SeeAsync(
            async () =>
            {
                await page.ClickAsync("text=Look again");
                return await done.CountAsync();
            },
            count => count == 1);

        Assert.Equal(["2", "2", "2", "0"], await page.Locator("[aria-label='Tried again, table'] td.number").AllInnerTextsAsync());
        Assert.Equal(["Nobody answered."], await page.Locator("[aria-label='Dead, table'] td.text").AllInnerTextsAsync());
        await page.Context.CloseAsync();
    }

    [Fact]
    public async Task A_kind_is_held_back_for_a_reason_and_let_go()
    {
        var tenant = await DeadAsync(site, "The disk was full.");
        var page = await site.OpenAsync(tenant.ApiKey, "/console/work");

        await page.SelectOptionAsync("#kind", Kind);
        await page.FillAsync("#reason", "The disk is being changed.");
        await page.ClickAsync("button:has-text('Pause')");
        await page.Locator("td:has-text('The disk is being changed.')").WaitForAsync();
        Assert.Equal("paused", await page.Locator("[aria-label='Queues, table'] .mark").InnerTextAsync());
        Assert.Equal(1L, await PausesAsync(tenant));

        await page.ClickAsync("button:has-text('Resume')");
        await page.Locator("text=Nothing is held back.").WaitForAsync();
        Assert.Equal(0L, await PausesAsync(tenant));
        await page.Context.CloseAsync();
    }

    [Fact]
    public async Task Readers_see_the_queues_and_cannot_act_and_a_refusal_says_why()
    {
        var tenant = await DeadAsync(site, "The disk was full.");
        using var api = new HttpClient { BaseAddress = site.Address, DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", tenant.ApiKey) } };
        using var issued = await api.PostAsJsonAsync("/api/v1/keys", new { name = "reader", scopes = new[] { "work:read" } }, Json.Options);
        using var reader = await site.SignedInAsync((await issued.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("secret").GetString()!);
        using var owner = await site.SignedInAsync(tenant.ApiKey);

        var seen = await reader.Http.GetStringAsync(new Uri("/console/work", UriKind.Relative));
        Assert.Contains("The disk was full.", seen, StringComparison.Ordinal);
        Assert.DoesNotContain("action=\"/console/work", seen, StringComparison.Ordinal);
        foreach (var act in new[] { "pauses", $"pauses/{ConsoleSite.NewId()}/end", "redrives", $"redrives/{ConsoleSite.NewId()}/stop" })
        {
            using var refused = await reader.SubmitAsync("/console/work", $"/console/work/{act}");
            Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        }

        using var noReason = await owner.SubmitAsync("/console/work", "/console/work/pauses", ("kind", Kind));
        using var nothingDead = await owner.SubmitAsync("/console/work", "/console/work/redrives", ("kind", "no.such"));
        using var notThere = await owner.SubmitAsync("/console/work", $"/console/work/redrives/{ConsoleSite.NewId()}/stop");
        Assert.Equal((HttpStatusCode.BadRequest, HttpStatusCode.Conflict, HttpStatusCode.NotFound), (noReason.StatusCode, nothingDead.StatusCode, notThere.StatusCode));
        Assert.Contains("No dead item fits.", await nothingDead.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    /// <summary>A tenant with an item dead of each error.</summary>
    internal static async Task<ProvisionedTenant> DeadAsync(ConsoleSite site, params string[] errors)
    {
        var tenant = await site.TenantAsync();
        await site.Platform.Postgres.ScalarAsync<long>(
            """
            WITH dead AS (
                INSERT INTO work.items (tenant_id, kind, key, payload, state, attempts, max_attempts, last_error, finished_at)
                SELECT $1, $2, n::text, jsonb_build_object('channel_id', $1), 'dead', 3, 3, error, now() FROM unnest($3::text[]) WITH ORDINALITY AS d (error, n)
                RETURNING 1)
            SELECT count(*) FROM dead
            """,
            tenant.TenantId, Kind, errors);
        return tenant;
    }

    private Task<long> PausesAsync(ProvisionedTenant tenant) =>
        site.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM work.pauses WHERE tenant_id = $1 AND kind = $2", tenant.TenantId, Kind);
}
