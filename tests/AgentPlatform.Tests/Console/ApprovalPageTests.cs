using System.Net;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using Microsoft.Playwright;

namespace AgentPlatform.Tests.Console;

/// <summary>Approvals in the browser: found, read whole, corrected, allowed, refused, passed on; by members, and by who holds a link.</summary>
[Collection("Console")]
public sealed class ApprovalPageTests(ConsoleSite site)
{
    [Fact]
    public async Task A_member_finds_the_question_corrects_a_field_and_says_yes()
    {
        var (tenant, approval) = await AskedAsync(site);
        var page = await site.OpenAsync(tenant.ApiKey, "/console/approvals");
        await page.ClickAsync("tbody th a");
        Assert.Equal("ORDER-7", await page.InputValueAsync("#param-order"));
        Assert.False(await page.IsEditableAsync("#param-order"));
        await page.FillAsync("#param-note", "By the customer's wish,\nin two lines");
        await page.ClickAsync("button:has-text('Approve')");

        await page.Locator(".mark.good", new() { HasText = "approved" }).WaitForAsync();
        await page.Locator("#answers-title").WaitForAsync();
        var decided = await ReadAsync(tenant, approval);
        Assert.Equal("approved", decided.Status);
        Assert.Equal(("console", tenant.OwnerId), Assert.Single(decided.Votes) is var vote ? (vote.Via, vote.UserId) : default);
        Assert.Equal("""{"note":"By the customer's wish,\nin two lines","order":"ORDER-7"}""", Json.Text(decided.ActionParams).Replace("\\u0027", "'", StringComparison.Ordinal));
        await page.ClickAsync("nav >> text=Approvals");
        await page.Locator("text=None.").WaitForAsync();
        await page.Context.CloseAsync();
    }

    [Fact]
    public async Task A_field_that_may_not_be_edited_is_not_and_a_refusal_says_why()
    {
        var (tenant, approval) = await AskedAsync(site);
        using var client = await site.SignedInAsync(tenant.ApiKey);
        var path = $"/console/approvals/{approval}";
        using var silent = await client.SubmitAsync(path, $"{path}/reject", ("reason", ""));
        Assert.Equal(HttpStatusCode.BadRequest, silent.StatusCode);
        using var elsewhere = await client.SubmitAsync(path, $"{path}/delegate", ("to", "nobody"));
        Assert.Equal(HttpStatusCode.BadRequest, elsewhere.StatusCode);

        using var refused = await client.SubmitAsync(path, $"{path}/reject", ("reason", "Too dear"), ("edit.order", "ORDER-8"));
        Assert.Equal(HttpStatusCode.SeeOther, refused.StatusCode);
        var decided = await ReadAsync(tenant, approval);
        Assert.Equal(("rejected", "Too dear", "ORDER-7"), (decided.Status, decided.RejectionReason, decided.ActionParams.GetProperty("order").GetString()));
        using var late = await client.SubmitAsync("/console/work", $"{path}/approve");
        Assert.Equal(HttpStatusCode.Conflict, late.StatusCode);
    }

    [Fact]
    public async Task Nobody_sees_anothers_tenants_question()
    {
        var (_, approval) = await AskedAsync(site);
        using var client = await site.SignedInAsync((await site.TenantAsync("Other")).ApiKey);
        using var page = await client.GetAsync($"/console/approvals/{approval}");
        Assert.Equal(HttpStatusCode.NotFound, page.StatusCode);
        using var answer = await client.SubmitAsync("/console/work", $"/console/approvals/{approval}/approve");
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    [Fact]
    public async Task Whoever_follows_a_link_reads_the_question_and_answers_it_once_without_an_account()
    {
        var (tenant, approval) = await AskedAsync(site);
        var link = await LinkAsync(site, tenant, approval);
        await using var context = await site.Browser.NewContextAsync(new() { ViewportSize = new() { Width = 390, Height = 844 } });
        var page = await context.NewPageAsync();
        await page.GotoAsync(link);
        await page.Locator("text=An agent asks whether it may do this.").WaitForAsync();
        Assert.Equal("pending", (await ReadAsync(tenant, approval)).Status);

        await page.FillAsync("#reason", "Not today");
        await page.ClickAsync("button:has-text('Reject')");

        await page.Locator("text=It is refused and will not run.").WaitForAsync();
        var decided = await ReadAsync(tenant, approval);
        Assert.Equal(("rejected", "Not today", "link"), (decided.Status, decided.RejectionReason, Assert.Single(decided.Votes).Via));
        Assert.Equal(0, await page.Locator("form").CountAsync());
        using var stranger = site.Client();
        using var unknown = await stranger.GetAsync($"/console/approval-links/{new string('0', 64)}");
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
    }

    /// <summary>A tenant with an action that waits for a yes, and its approval.</summary>
    internal static async Task<(ProvisionedTenant Tenant, Guid Approval)> AskedAsync(ConsoleSite site)
    {
        var tenant = await site.TenantAsync();
        var action = new ActionDefinition
        {
            ActionId = "refund",
            ActionName = "refund my order",
            Description = "Pays the order back.",
            ParamsRequired = Json.Of(new[] { "order" }),
            ParamsOptional = Json.Of(new[] { "note" }),
            ParamValidation = Json.Of(new { order = new { extract = new[] { "order {value}" } } }),
            ResponseTemplate = "paid",
            Approval = Json.Of(new { risk_level = "high", factors = new[] { "money" }, editable_fields = new[] { "note" } }),
        };
        await site.Platform.AsAsync(Actor.System(tenant.TenantId), async tx =>
        {
            var made = await site.Platform.Get<ActionRegistry>().CreateAsync(tx, tenant.AgentId, action, default);
            Assert.True(made.IsOk, made.IsOk ? "" : Json.Text(made.Problem));
            Assert.True((await site.Platform.Get<Chat>().StartAsync(tx, tenant.AgentId, new StartChat(null, null, "refund my order ORDER-7"), default)).IsOk);
        });
        var asked = await Eventually.SeeAsync(
            async () => (await site.Platform.Get<ApprovalDesk>().ListAsync(Actor.System(tenant.TenantId), "pending", PageRequest.Parse(null, null).Value, default)).Items, items => items.Count > 0);
        return (tenant, Assert.Single(asked).Id);
    }

    internal static async Task<string> LinkAsync(ConsoleSite site, ProvisionedTenant tenant, Guid approval)
    {
        var made = await site.Platform.AsAsync(
            new Actor(tenant.TenantId, tenant.OwnerId, "owner"), tx => site.Platform.Get<ApprovalLinks>().CreateAsync(tx, approval, tenant.OwnerId, default));
        return new Uri(site.Address, $"/console/approval-links/{made.Value.Token}").ToString();
    }

    private async Task<ActionApproval> ReadAsync(ProvisionedTenant tenant, Guid approval) =>
        (await site.Platform.Get<ApprovalDesk>().ReadAsync(Actor.System(tenant.TenantId), approval, default))!.Approval;
}
