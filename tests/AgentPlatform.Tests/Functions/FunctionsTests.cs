using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.LocalHost;
using AgentPlatform.LocalHost.Queues;
using AgentPlatform.LocalHost.Invocation;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules;
using AgentPlatform.Tenancy;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Functions;

/// <summary>The functions app itself: its Program's services and triggers, in this process.</summary>
public sealed class FunctionsTests : IAsyncLifetime
{
    private FunctionsStage _stage = null!;

    public async Task InitializeAsync() => _stage = await FunctionsStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task Live_answers_and_ready_says_whether_the_schema_is_complete()
    {
        Assert.Equal("live", await StatusAsync("health/live", HttpStatusCode.OK));
        Assert.Equal("ready", await StatusAsync("health/ready", HttpStatusCode.OK));

        await _stage.Database.ScalarAsync<string>("DELETE FROM kernel.migrations WHERE (module, version) = ('work', 1) RETURNING module");

        Assert.Equal("migrations pending", await StatusAsync("health/ready", HttpStatusCode.ServiceUnavailable));
        Assert.Equal("live", await StatusAsync("health/live", HttpStatusCode.OK));
    }

    [Fact]
    public async Task Every_run_of_a_timer_is_kept_and_other_functions_are_no_jobs()
    {
        Assert.Equal("live", await StatusAsync("health/live", HttpStatusCode.OK));

        var runs = await Eventually.SeeAsync(
            () => _stage.Database.ScalarAsync<long>("SELECT count(*) FROM operations.cron_job_status WHERE job_name = 'WorkSweep' AND last_outcome = 'succeeded'"), seen => seen > 0);
        Assert.Equal(1, runs);
        Assert.Equal(0L, await _stage.Database.ScalarAsync<long>("SELECT count(*) FROM operations.jobs WHERE name LIKE 'Health%'"));
    }

    [Fact]
    public async Task The_API_routes_by_itself_behind_its_function()
    {
        using var document = JsonDocument.Parse(await _stage.App.Client.GetStringAsync("api/openapi.json"));
        using var unknown = await _stage.App.Client.GetAsync("api/v1/no-such-thing");
        using var unauthorised = await _stage.App.Client.GetAsync("api/v1/tenants");

        Assert.StartsWith("3.1", document.RootElement.GetProperty("openapi").GetString());
        Assert.Equal(("application/problem+json", HttpStatusCode.NotFound), (unknown.Content.Headers.ContentType?.MediaType, unknown.StatusCode));
        Assert.Equal(HttpStatusCode.Unauthorized, unauthorised.StatusCode);
    }

    [Theory]
    [InlineData("webhooks/twilio/{0}/sms", "application/x-www-form-urlencoded")]
    [InlineData("webhooks/twilio/{0}/status", "application/x-www-form-urlencoded")]
    [InlineData("webhooks/email/{0}", "application/json")]
    [InlineData("webhooks/custom/{0}", "application/json")]
    public async Task Every_webhook_reaches_its_use_case(string route, string contentType)
    {
        using var body = new StringContent(contentType.EndsWith("json", StringComparison.Ordinal) ? "{}" : "a=b", null, contentType);

        using var response = await _stage.App.Client.PostAsync(string.Format(null, System.Text.CompositeFormat.Parse(route), TimeProvider.System.NewId()), body);

        var problem = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal((HttpStatusCode.NotFound, "channel_not_found"), (response.StatusCode, problem.GetProperty("code").GetString()));
    }

    [Theory]
    [InlineData("work-ready")]
    [InlineData("work-ready-poison")]
    public async Task A_nudge_drains_the_work_and_is_gone(string queue)
    {
        await _stage.EnqueueUnnoticedAsync();

        await Queue(queue).SendAsync("e30=", default);

        Assert.Equal("payload", await _stage.Inbox.NextAsync());
        Assert.Equal(0L, await Eventually.SeeAsync(() => _stage.Database.ScalarAsync<long>("SELECT count(*) FROM localhost.queue_messages"), seen => seen == 0));
    }

    [Fact]
    public async Task The_sweep_finds_work_whose_nudge_was_lost()
    {
        await _stage.EnqueueUnnoticedAsync();

        Assert.Equal("payload", await _stage.Inbox.NextAsync());
    }

    /// <summary>Seed 004 has a cron job for tasks and one for messages: here one timer finds both, and its runs are listed.</summary>
    [Fact]
    [Behaviour("yp-cron-scheduled")]
    public async Task Tasks_and_messages_that_fall_due_unnoticed_are_found_by_a_timer_whose_runs_are_listed()
    {
        await _stage.UnnoticedAsync(QueueAsync);

        var done = await Eventually.SeeAsync(
            async () => (
                await _stage.Database.ScalarAsync<string>("SELECT status FROM schedules.agent_tasks"), await _stage.Database.ScalarAsync<string>("SELECT status FROM messaging.message_queue")),
            seen => seen == ("failed", "sent"));
        Assert.Equal(("failed", "sent"), done);
        Assert.Equal(
            "succeeded", await Eventually.SeeAsync(() => _stage.Database.ScalarAsync<string>("SELECT coalesce(max(last_outcome), '') FROM operations.cron_job_status WHERE job_name = 'WorkSweep'"), o => o != ""));
    }

    /// <summary>Also those that are due once a day only: each is run by hand, as an operator does.</summary>
    [Fact]
    public async Task Every_timer_of_the_app_runs_to_its_end_and_is_a_job_that_is_listed()
    {
        var timers = _stage.App.Services.GetRequiredService<FunctionCatalog>().All.Where(f => f.Trigger is TimerTriggerAttribute).Select(f => f.Name).Order(StringComparer.Ordinal).ToArray();

        foreach (var timer in timers)
        {
            using var response = await _stage.App.Client.PostAsJsonAsync($"admin/functions/{timer}?code={_stage.App.Keys()["_master"]}", new { });
            Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        }

        Assert.Contains("WorkSweep", timers);
        Assert.Equal(
            string.Join(',', timers.Select(timer => $"{timer} succeeded")),
            await _stage.Database.ScalarAsync<string>("SELECT string_agg(job_name || ' ' || coalesce(last_outcome, 'never ran'), ',' ORDER BY job_name COLLATE \"C\") FROM operations.cron_job_status"));
    }

    /// <summary>A message in a talk that needs no provider, and a task that nobody here knows how to do.</summary>
    private static async Task QueueAsync(IServiceProvider platform, Transaction tx)
    {
        var web = new ChannelAddress(ChannelAddress.Web, "visitor");
        var contact = await platform.GetRequiredService<ContactDirectory>().GetOrCreateAsync(tx, web, null, default);
        var agent = await platform.GetRequiredService<AgentDirectory>().DefaultAsync(tx, default);
        var conversation = await platform.GetRequiredService<ConversationLog>().OpenAsync(tx, new OpenConversation(contact.Id, agent.Id, web.Channel, web.Address, null), default);
        platform.GetRequiredService<Outbox>().Queue(tx, new OutgoingMessage(contact.Id, conversation.Id, "concierge", "It is time.") { ScheduledFor = TimeProvider.System.GetUtcNow().AddSeconds(1) });
        platform.GetRequiredService<TaskQueue>().Enqueue(tx, new NewAgentTask("unheard_of", "concierge", new { }));
    }

    private async Task<string?> StatusAsync(string path, HttpStatusCode code)
    {
        using var response = await _stage.App.Client.GetAsync(path);
        Assert.Equal(code, response.StatusCode);
        return (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("status").GetString();
    }

    private IMessageQueue Queue(string name) =>
        _stage.App.Services.GetRequiredService<QueueFactory>().Open(_stage.App.Services.GetRequiredService<FunctionCatalog>().All[0], new(name));
}
