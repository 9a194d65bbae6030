using System.Text.Json;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Rules;
using Microsoft.Playwright;

namespace AgentPlatform.Tests.Console;

/// <summary>axe-core finds nothing on any page, in light and dark, on a desk and on a phone.</summary>
[Collection("Console")]
public sealed class AccessibilityTests(ConsoleSite site)
{
    private static readonly Lazy<string> Axe = new(() => File.ReadAllText(Path.Combine(Repository.Folder("tests/witnesses"), "node_modules/axe-core/axe.min.js")));

    [Theory]
    [InlineData(ColorScheme.Light, 1360, 860)]
    [InlineData(ColorScheme.Dark, 1360, 860)]
    [InlineData(ColorScheme.Light, 390, 844)]
    [InlineData(ColorScheme.Dark, 390, 844)]
    public async Task No_page_violates_a_rule(ColorScheme scheme, int width, int height)
    {
        var tenant = await site.TenantAsync();
        var conversation = await Talk.BeginAsync(site, tenant, "hello <b>there</b>");
        var page = await site.OpenAsync(tenant.ApiKey, $"/simulator/{conversation}", new() { ColorScheme = scheme, ViewportSize = new() { Width = width, Height = height } });
        await page.Locator(".theirs .text").First.WaitForAsync();
        await page.Locator("#live[data-state=on]").WaitForAsync();
        await CheckAsync(page, $"/simulator/{conversation}", "/simulator", "/console", "/console/nowhere", "/workflows");

        await page.ClickAsync(".sign-out button");
        await page.FillAsync("#key", "wrong");
        await page.ClickAsync("#with-key button[type=submit]");
        await page.Locator("#key-error").WaitForAsync();
        Assert.Empty(await ViolationsAsync(page));
        await page.FillAsync("#email", "nobody@example.test");
        await page.FillAsync("#password", "wrong");
        await page.ClickAsync("#with-password button[type=submit]");
        await page.Locator("#login-error").WaitForAsync();
        Assert.Empty(await ViolationsAsync(page));
        await page.ClickAsync("#with-password a");
        await page.Locator("#email").WaitForAsync();
        Assert.Empty(await ViolationsAsync(page));
        await page.Context.CloseAsync();
    }

    [Theory]
    [InlineData(ColorScheme.Light, 1360, 860)]
    [InlineData(ColorScheme.Dark, 390, 844)]
    public async Task A_workflows_run_violates_none_either(ColorScheme scheme, int width, int height)
    {
        var (tenant, run) = await WorkflowPageTests.RunAsync(site);
        var page = await site.OpenAsync(tenant.ApiKey, $"/workflows/{run}", new() { ColorScheme = scheme, ViewportSize = new() { Width = width, Height = height } });
        await CheckAsync(page);
        await page.Context.CloseAsync();
    }

    [Theory]
    [InlineData(ColorScheme.Light, 390, 844)]
    [InlineData(ColorScheme.Dark, 1360, 860)]
    public async Task The_form_that_starts_a_run_violates_none_either(ColorScheme scheme, int width, int height)
    {
        var tenant = await WorkflowPageTests.TenantWithFormAsync(site);
        var page = await site.OpenAsync(tenant.ApiKey, "/workflows", new() { ColorScheme = scheme, ViewportSize = new() { Width = width, Height = height } });
        await CheckAsync(page, "/workflows", "/workflows/start/deliver");

        await page.Context.CloseAsync();
    }

    [Theory]
    [InlineData(ColorScheme.Light, 1360, 860)]
    [InlineData(ColorScheme.Dark, 390, 844)]
    public async Task The_pages_of_SOPs_violate_none_either(ColorScheme scheme, int width, int height)
    {
        var (tenant, sop, execution) = await SopPageTests.BegunAsync(site);
        var page = await site.OpenAsync(tenant.ApiKey, "/console/sops", new() { ColorScheme = scheme, ViewportSize = new() { Width = width, Height = height } });
        await CheckAsync(page, "/console/sops", $"/console/sops/{sop}", $"/console/sops/{sop}/start", $"/console/sops/executions/{execution}");

        await page.Context.CloseAsync();
    }

    [Theory]
    [InlineData(ColorScheme.Light, 390, 844)]
    [InlineData(ColorScheme.Dark, 1360, 860)]
    public async Task The_page_of_the_queues_violates_none_either(ColorScheme scheme, int width, int height)
    {
        var tenant = await WorkPageTests.DeadAsync(site, "The disk was full.", new string('x', 500));
        var page = await site.OpenAsync(tenant.ApiKey, "/console/work", new() { ColorScheme = scheme, ViewportSize = new() { Width = width, Height = height } });
        await page.FillAsync("#reason", "For now.");
        await page.ClickAsync("button:has-text('Pause')");
        await page.ClickAsync("button:has-text('Try again') >> nth=0");
        await page.Locator("#redrives-title").WaitForAsync();
        await CheckAsync(page);
        await page.Context.CloseAsync();
    }

    [Theory]
    [InlineData(ColorScheme.Light, 390, 844)]
    [InlineData(ColorScheme.Dark, 1360, 860)]
    public async Task The_audit_violates_none_either(ColorScheme scheme, int width, int height)
    {
        var tenant = await AuditPageTests.ThreatenedAsync(site);
        var page = await site.OpenAsync(tenant.ApiKey, "/console/audit", new() { ColorScheme = scheme, ViewportSize = new() { Width = width, Height = height } });
        await CheckAsync(page);
        await page.Context.CloseAsync();
    }

    [Theory]
    [InlineData(ColorScheme.Light, 390, 844)]
    [InlineData(ColorScheme.Dark, 1360, 860)]
    public async Task The_pages_of_approvals_violate_none_either(ColorScheme scheme, int width, int height)
    {
        var (tenant, approval) = await ApprovalPageTests.AskedAsync(site);
        var link = await ApprovalPageTests.LinkAsync(site, tenant, approval);
        var page = await site.OpenAsync(tenant.ApiKey, "/console/approvals", new() { ColorScheme = scheme, ViewportSize = new() { Width = width, Height = height } });
        await CheckAsync(page, "/console/approvals", $"/console/approvals/{approval}", new Uri(link).AbsolutePath);

        await page.Context.CloseAsync();
    }

    [Theory]
    [InlineData(ColorScheme.Light, 1360, 860)]
    [InlineData(ColorScheme.Dark, 390, 844)]
    public async Task The_pages_of_alerts_violate_none_either(ColorScheme scheme, int width, int height)
    {
        var (tenant, alert) = await NotificationPageTests.AlertedAsync(site);
        var page = await site.OpenAsync(tenant.ApiKey, "/console/notifications", new() { ColorScheme = scheme, ViewportSize = new() { Width = width, Height = height } });
        await CheckAsync(page, "/console/notifications", $"/console/alerts/{alert}");

        await page.Context.CloseAsync();
    }

    [Theory]
    [InlineData(ColorScheme.Light, 1360, 860)]
    [InlineData(ColorScheme.Dark, 390, 844)]
    public async Task The_pages_of_agents_violate_none_either(ColorScheme scheme, int width, int height)
    {
        var (tenant, set) = await AgentPageTests.WordedAsync(site);
        var page = await site.OpenAsync(tenant.ApiKey, "/console/agents", new() { ColorScheme = scheme, ViewportSize = new() { Width = width, Height = height } });
        await CheckAsync(page, "/console/agents", $"/console/agents/{tenant.AgentId}", $"/console/agents/{tenant.AgentId}/template-sets/new", $"/console/template-sets/{set}");

        await page.Context.CloseAsync();
    }

    [Fact]
    public async Task A_contact_confirms_an_address_without_signing_in_on_a_page_that_violates_no_rule()
    {
        var tenant = await site.TenantAsync();
        var conversation = await Talk.BeginAsync(site, tenant, "hello");
        var actor = Actor.System(tenant.TenantId);
        var contact = await site.Platform.AsAsync(actor, async tx => (await site.Platform.Get<ConversationLog>().FindAsync(tx, conversation, default))!.ContactId!.Value);
        var sent = (await site.Platform.AsAsync(actor, tx => site.Platform.Get<EmailProofs>().IssueAsync(tx, contact, conversation, "ada@engines.example", default)))!;
        await using var context = await site.Browser.NewContextAsync(new() { ViewportSize = new() { Width = 390, Height = 844 } });
        var page = await context.NewPageAsync();

        await page.GotoAsync(new Uri(site.Address, $"/verify/{sent.Token}").ToString());
        Assert.Empty(await ViolationsAsync(page));
        await page.GetByRole(AriaRole.Button, new() { Name = "Yes, confirm it" }).ClickAsync();
        await page.GetByText("Your e-mail address is confirmed.").WaitForAsync();
        Assert.Empty(await ViolationsAsync(page));

        Assert.True((await site.Platform.AsAsync(actor, async tx => await site.Platform.Get<ContactDirectory>().FindAsync(tx, contact, default)))!.Verified);
        Assert.Equal(410, (await page.GotoAsync(new Uri(site.Address, $"/verify/{sent.Token}").ToString()))!.Status);
    }

    [Fact]
    public async Task Everything_is_reached_and_seen_by_keyboard()
    {
        var tenant = await site.TenantAsync();
        var conversation = await Talk.BeginAsync(site, tenant, "hello");
        var page = await site.OpenAsync(tenant.ApiKey, $"/simulator/{conversation}");
        var reached = new List<string>();
        for (var i = 0; i < 25; i++)
        {
            await page.Keyboard.PressAsync("Tab");
            if (await page.EvaluateAsync<bool>("document.activeElement !== document.body"))
            {
                reached.Add(await page.EvaluateAsync<string>("(document.activeElement.getAttribute('aria-label') || document.activeElement.textContent || document.activeElement.id).trim()"));
                Assert.NotEqual("none", await page.EvaluateAsync<string>("getComputedStyle(document.activeElement).outlineStyle"));
            }
        }

        foreach (var wanted in new[] { "Skip to content", "AgentPlatform", "Overview", "Simulator", "Workflows", "Sign out", "New conversation", "Messages", "text", "Send", "Turns, latest last" })
        {
            Assert.Contains(wanted, reached);
        }

        await page.Context.CloseAsync();
    }

    [Fact]
    public async Task Who_asked_for_less_motion_gets_none()
    {
        var tenant = await site.TenantAsync();
        var conversation = await Talk.BeginAsync(site, tenant, "hello");
        var page = await site.OpenAsync(tenant.ApiKey, $"/simulator/{conversation}", new() { ReducedMotion = ReducedMotion.Reduce });
        await page.Locator(".theirs .text").First.WaitForAsync();
        Assert.Equal(0, await page.EvaluateAsync<int>("document.getAnimations().length"));
        await page.Context.CloseAsync();
    }

    private async Task CheckAsync(IPage page, params string[] paths)
    {
        foreach (var path in paths)
        {
            await page.GotoAsync(new Uri(site.Address, path).ToString());
            await CheckAsync(page);
        }
    }

    /// <summary>The page as it stands.</summary>
    private static async Task CheckAsync(IPage page)
    {
        Assert.Empty(await ViolationsAsync(page));
        Assert.True(await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth"), $"{page.Url} is wider than the screen");
    }

    private static async Task<IReadOnlyList<string>> ViolationsAsync(IPage page)
    {
        await page.EvaluateAsync(Axe.Value);
        var result = await page.EvaluateAsync<JsonElement>("axe.run()");
        return
        [
            .. from violation in result.GetProperty("violations").EnumerateArray()
               from node in violation.GetProperty("nodes").EnumerateArray()
               select $"{page.Url} {violation.GetProperty("id").GetString()}: {node.GetProperty("html").GetString()}",
        ];
    }
}
