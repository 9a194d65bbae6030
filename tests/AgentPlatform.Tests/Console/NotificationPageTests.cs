using System.Net;
using AgentPlatform.Alerts;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules.Automations;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;

namespace AgentPlatform.Tests.Console;

/// <summary>Notifications in the browser: read, followed to their alert, dismissed.</summary>
[Collection("Console")]
public sealed class NotificationPageTests(ConsoleSite site)
{
    [Fact]
    public async Task A_member_reads_a_notification_acknowledges_its_alert_and_dismisses_it()
    {
        var (tenant, _) = await AlertedAsync(site);
        var page = await site.OpenAsync(tenant.ApiKey, "/console/notifications");
        Assert.Equal(["Nightly report failed"], await page.Locator("main h2").AllInnerTextsAsync());
        await page.ClickAsync("text=Mark as read");
        await page.Locator("main >> text=unread").WaitForAsync(new() { State = Microsoft.Playwright.WaitForSelectorState.Detached });

        await page.ClickAsync("text=Show the alert");
        Assert.Equal(["in app"], await page.Locator("tbody th").AllInnerTextsAsync());
        await page.ClickAsync("text=Acknowledge");
        await page.Locator("text=Acknowledged").WaitForAsync();

        await page.ClickAsync("nav >> text=Notifications");
        await page.ClickAsync("text=Dismiss");
        await page.Locator("text=None.").WaitForAsync();
        await page.Context.CloseAsync();
    }

    [Fact]
    public async Task A_second_acknowledgement_is_refused_in_words()
    {
        var (tenant, alert) = await AlertedAsync(site);
        using var client = await site.SignedInAsync(tenant.ApiKey);
        using var first = await client.SubmitAsync($"/console/alerts/{alert}", $"/console/alerts/{alert}/acknowledge");
        using var second = await client.SubmitAsync("/console/notifications", $"/console/alerts/{alert}/acknowledge");

        Assert.Equal((HttpStatusCode.SeeOther, HttpStatusCode.Conflict), (first.StatusCode, second.StatusCode));
        Assert.Contains("By ", await second.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    /// <summary>A tenant whose owner is told of a run that failed.</summary>
    internal static async Task<(ProvisionedTenant Tenant, Guid Alert)> AlertedAsync(ConsoleSite site)
    {
        var tenant = await site.TenantAsync();
        var (system, id) = (Actor.System(tenant.TenantId), ConsoleSite.NewId());
        var run = new RunEnded(id, ConsoleSite.NewId(), "Nightly report", tenant.OwnerId, "failed", 1, 1200, "disk full", 1, TimeProvider.System.GetUtcNow())
        {
            Notify = [new(NotificationChannel.InApp, null)],
        };
        await site.Platform.AsAsync(system, tx =>
        {
            site.Platform.Get<WorkQueue>().Enqueue(tx, new NewWork(RunEnded.Kind, id.ToString("n"), run));
            return Task.CompletedTask;
        });
        await site.Platform.DrainAsync();
        var told = await site.Platform.AsAsync(system, tx => site.Platform.Get<Notifications>().ListAsync(tx, tenant.OwnerId, unreadOnly: true, PageRequest.Parse(null, null).Value, default));
        return (tenant, Assert.Single(told.Items).AlertHistoryId!.Value);
    }
}
