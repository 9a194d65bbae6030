using System.Net;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Sandbox;
using Microsoft.Playwright;

namespace AgentPlatform.Tests.Console;

[Collection("Console")]
public sealed class SimulatorTests(ConsoleSite site)
{
    [Fact]
    public async Task A_message_is_sent_and_its_reply_and_time_line_arrive_without_a_reload()
    {
        var tenant = await Talk.TenantThatAnswersAsync(site);
        var page = await site.OpenAsync(tenant.ApiKey, "/simulator");
        await page.FillAsync("#text", "hello");
        await page.ClickAsync("main button.primary");
        await page.Locator("#live[data-state=on]").WaitForAsync();
        await page.Locator(".theirs .text").First.WaitForAsync();
        await page.EvaluateAsync("window.stayed = true");

        await page.FillAsync("#text", "please tell me when are you open");
        await page.Keyboard.PressAsync("Enter");
        await page.Locator(".theirs .text", new() { HasText = "from nine to five" }).WaitForAsync();
        await page.Locator("#turns > li:last-child .delivery .good").First.WaitForAsync();
        Assert.True(await page.EvaluateAsync<bool>("window.stayed === true"));
        Assert.Equal("", await page.InputValueAsync("#text"));
        Assert.Contains("from nine to five", await page.TextContentAsync("#announcer"), StringComparison.Ordinal);
        await AssertTurnAsync(page);
        await page.Context.CloseAsync();
    }

    [Fact]
    public async Task A_reply_can_be_read_while_a_model_writes_it()
    {
        await using var model = await FakeModel.StartAsync();
        var (begun, goOn) = (new TaskCompletionSource(), new TaskCompletionSource());
        const string Reply = "We are open from nine to five on weekdays, and from ten to two on Saturdays.";
        model.Fills(new { say = new[] { "Hello to you." }, because = "was greeted" }).Fills(new { say = new[] { Reply }, because = "was asked" }, halfway: async () =>
        {
            begun.SetResult();
            await goOn.Task;
        });
        var tenant = await Talk.TenantThatThinksAsync(site, model);
        var page = await site.OpenAsync(tenant.ApiKey, $"/simulator/{await Talk.BeginAsync(site, tenant, "hello")}");
        await page.Locator(".theirs .text", new() { HasText = "Hello to you." }).WaitForAsync();
        await page.Locator("#live[data-state=on]").WaitForAsync();
        await Assertions.Expect(page.Locator("#draft .text")).ToHaveCountAsync(0);

        await page.FillAsync("#text", "when are you open");
        await page.Keyboard.PressAsync("Enter");
        await begun.Task.WaitAsync(TimeSpan.FromSeconds(60));
        await page.Locator("#draft .text").WaitForAsync();
        var draft = await page.TextContentAsync("#draft .text");
        goOn.SetResult();
        await page.Locator("#messages .theirs .text", new() { HasText = Reply }).WaitForAsync();

        Assert.StartsWith(draft!, Reply, StringComparison.Ordinal);
        Assert.InRange(draft!.Length, 1, Reply.Length - 1);
        await Assertions.Expect(page.Locator("#draft .text")).ToHaveCountAsync(0);
        await page.Context.CloseAsync();
    }

    [Fact]
    public async Task Without_script_the_same_is_there_after_a_reload()
    {
        var tenant = await Talk.TenantThatAnswersAsync(site);
        var page = await site.OpenAsync(tenant.ApiKey, "/simulator", new() { JavaScriptEnabled = false });
        await page.SelectOptionAsync("#agent", $"{tenant.AgentId}");
        await page.FillAsync("#text", "when are you open");
        await page.ClickAsync("main button.primary");
        var delivered = await Eventually.SeeAsync(
            async () =>
            {
                await page.ClickAsync("#live a");
                return await page.Locator("#turns > li:last-child .delivery .good").CountAsync();
            },
            count => count > 0);
        Assert.True(delivered > 0, site.HostOutput);
        Assert.Contains("from nine to five", await page.TextContentAsync(".theirs .text"), StringComparison.Ordinal);
        await AssertTurnAsync(page);

        await page.FillAsync("#text", "thank you");
        await page.ClickAsync("#composer button");
        Assert.Equal("thank you", await page.Locator(".mine .text").Last.TextContentAsync());
        await page.Context.CloseAsync();
    }

    [Fact]
    public async Task The_profile_fills_up_while_the_contact_is_onboarded()
    {
        var tenant = await Talk.TenantThatOnboardsAsync(site);
        var page = await site.OpenAsync(tenant.ApiKey, "/simulator");
        await page.FillAsync("#text", "hi");
        await page.ClickAsync("main button.primary");
        await page.Locator(".theirs .text").First.WaitForAsync();
        Assert.Equal(0, await page.Locator("#profile .known").CountAsync());
        await page.FillAsync("#text", "Ada");
        await page.Keyboard.PressAsync("Enter");
        await page.Locator("#profile .known dd", new() { HasText = "Ada" }).WaitForAsync();
        await page.Locator("#turns .step.profile code", new() { HasText = "first_name" }).WaitForAsync();
        await page.Context.CloseAsync();
    }

    [Fact]
    public async Task What_a_contact_writes_stays_text()
    {
        const string Attack = "<img src=x onerror=\"document.title='taken'\"></li><script>document.title='taken'</script> {{7*7}} & \"quotes\"";
        var tenant = await site.TenantAsync();
        var conversation = await Talk.BeginAsync(site, tenant, Attack);
        var page = await site.OpenAsync(tenant.ApiKey, $"/simulator/{conversation}");
        Assert.Equal(Attack, await page.Locator(".mine .text").First.TextContentAsync());
        await page.Locator("#live[data-state=on]").WaitForAsync();
        await page.FillAsync("#text", Attack);
        await page.Keyboard.PressAsync("Enter");
        await page.Locator(".mine").Nth(1).WaitForAsync();
        Assert.Equal(Attack, await page.Locator(".mine .text").Nth(1).TextContentAsync());
        Assert.Equal(0, await page.Locator("main img, main script").CountAsync());
        Assert.DoesNotContain("taken", await page.TitleAsync(), StringComparison.Ordinal);
        await page.Context.CloseAsync();
    }

    [Fact]
    public async Task A_conversation_by_text_message_is_shown_and_not_written_in()
    {
        var tenant = await site.TenantAsync();
        var id = await ByTextMessageAsync(Actor.System(tenant.TenantId), tenant.AgentId, "+14155550142");
        using var client = await site.SignedInAsync(tenant.ApiKey);
        Assert.Contains("+14155550142", WebUtility.HtmlDecode(await client.Http.GetStringAsync(new Uri("/console", UriKind.Relative))), StringComparison.Ordinal);
        var html = await client.Http.GetStringAsync(new Uri($"/simulator/{id}", UriKind.Relative));
        Assert.Contains("Hello by text", html, StringComparison.Ordinal);
        Assert.Contains("This conversation runs over sms", html, StringComparison.Ordinal);
        Assert.DoesNotContain("id=\"composer\"", html, StringComparison.Ordinal);
        using var answer = await client.SubmitAsync("/console", $"/simulator/{id}/messages", ("text", "as the contact"));
        Assert.Equal(HttpStatusCode.Conflict, answer.StatusCode);
    }

    [Fact]
    public async Task Another_tenants_conversation_is_not_found()
    {
        var (mine, theirs) = (await site.TenantAsync(), await site.TenantAsync("Other"));
        var id = await Talk.BeginAsync(site, theirs, "secret");
        using var client = await site.SignedInAsync(mine.ApiKey);
        foreach (var path in new[] { $"/simulator/{id}", $"/simulator/{id}/events" })
        {
            using var answer = await client.GetAsync(path);
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        }

        using var said = await client.SubmitAsync("/simulator", $"/simulator/{id}/messages", ("text", "hello"));
        Assert.Equal(HttpStatusCode.NotFound, said.StatusCode);
        using var begun = await client.SubmitAsync("/simulator", "/simulator", ("agent", $"{theirs.AgentId}"), ("text", "hello"));
        Assert.Equal(HttpStatusCode.NotFound, begun.StatusCode);
        var overview = await client.Http.GetStringAsync(new Uri("/console", UriKind.Relative));
        Assert.DoesNotContain($"{id}", overview, StringComparison.Ordinal);
        Assert.DoesNotContain("Other", overview, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1601)]
    public async Task A_message_that_cannot_be_sent_is_given_back(int length)
    {
        var tenant = await site.TenantAsync();
        var id = await Talk.BeginAsync(site, tenant, "hello");
        var text = new string('x', length);
        using var client = await site.SignedInAsync(tenant.ApiKey);
        using var answer = await client.SubmitAsync("/simulator", $"/simulator/{id}/messages", ("text", text));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        var html = await answer.Content.ReadAsStringAsync();
        Assert.Contains("role=\"alert\"", html, StringComparison.Ordinal);
        Assert.Contains($"value=\"{text}\"", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stream_that_was_cut_brings_what_was_missed()
    {
        var tenant = await site.TenantAsync();
        var id = await Talk.BeginAsync(site, tenant, "what was missed");
        using var client = await site.SignedInAsync(tenant.ApiKey);
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/simulator/{id}/events?after=999999") { Headers = { { "Last-Event-ID", "0" } } };
        using var answer = await client.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType!.MediaType);
        using var lines = new StreamReader(await answer.Content.ReadAsStreamAsync());
        var seen = "";
        while (!seen.Contains("what was missed", StringComparison.Ordinal) && await lines.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)) is { } line)
        {
            seen += line + "\n";
        }

        Assert.Contains("event: patch", seen, StringComparison.Ordinal);
        Assert.Contains("what was missed", seen, StringComparison.Ordinal);
    }

    private static async Task AssertTurnAsync(IPage page)
    {
        var turn = page.Locator("#turns > li", new() { HasText = "opening_hours" }).Last;
        var text = string.Join(' ', (await turn.InnerTextAsync()).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        foreach (var wanted in new[] { "Turn ", "Received", "Intent", "Match", "synonym", "Queued", "ready", "Attempt 1", "Result", "completed", "Reply", "from nine to five", "Delivery", "delivered" })
        {
            Assert.Contains(wanted, text, StringComparison.Ordinal);
        }

        Assert.Matches("[0-9]+%", text);
    }

    private Task<Guid> ByTextMessageAsync(Actor actor, Guid agentId, string number) => site.Platform.AsAsync(actor, async tx =>
    {
        var contact = await site.Platform.Get<ContactDirectory>().GetOrCreateAsync(tx, new ChannelAddress(ChannelAddress.Sms, number), null, CancellationToken.None);
        var log = site.Platform.Get<ConversationLog>();
        var conversation = await log.OpenAsync(tx, new OpenConversation(contact.Id, agentId, ChannelAddress.Sms, number, null), CancellationToken.None);
        log.Append(tx, new NewMessage(ConsoleSite.NewId(), conversation.Id, contact.Id, "user", "inbound", "Hello by text"));
        return conversation.Id;
    });
}
