using System.Text.Json;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules.Automations;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Conversations;
using AgentPlatform.Tests.Sandbox;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Alerts;

/// <summary>
/// Rules and scheduled tasks behind the API. The automation ends as a test says; text messages, mails and webhooks go to fakes; an attempt at a message is one
/// call, so that attempts at deliveries are what is counted.
/// </summary>
internal sealed class AlertStage : IAsyncDisposable
{
    internal const string Phone = "+14155550111";
    internal const string Mail = "ops@acme.example";

    private readonly ChannelStage _channels;
    private readonly Script _script;

    private AlertStage(ChannelStage channels, TestApi api, Script script, StillClock clock, FakeSmtp smtp) =>
        (_channels, Api, _script, Clock, Smtp) = (channels, api, script, clock, smtp);

    internal TestApi Api { get; }

    internal StillClock Clock { get; }

    internal FakeSmtp Smtp { get; }

    internal ChannelStage Channels => _channels;

    internal TestPlatform Platform => Api.Platform;

    internal IEnumerable<string> Texts => _channels.Twilio.Messages.Select(m => m.Body);

    internal static async Task<AlertStage> StartAsync()
    {
        var (smtp, script, clock) = (new FakeSmtp(), new Script(), new StillClock(TimeProvider.System.GetUtcNow()));
        var channels = await ChannelStage.StartAsync(
            services =>
            {
                TestApi.AddWebHost(services);
                services.AddSingleton<TimeProvider>(clock).AddSingleton<IAutomation>(script);
            },
            ("Channels:Email:Smtp", smtp.Address), ("Messaging:MaxAttempts", "1"), ("Api:RequestsPerMinute", "100000"));
        script.Clock = clock;
        return new AlertStage(channels, await TestApi.OverAsync(channels.Platform, channels.Tenant), script, clock, smtp);
    }

    /// <summary>Channels that text messages and mails leave by.</summary>
    internal async Task ChannelsAsync()
    {
        await _channels.SmsChannelAsync();
        await _channels.ChannelAsync(new ChannelInput("email", "Operations") { ProviderConfig = Json.Of(new { from = "agent@acme.example" }) });
    }

    internal async Task<JsonElement> PostAsync(string path, object body, int status = 201) => Expect(await Api.PostAsync($"/api/v1/{path}", body), status);

    internal async Task<JsonElement> GetAsync(string path) => Expect(await Api.GetAsync($"/api/v1/{path}"), 200);

    internal async Task<JsonElement[]> ListAsync(string path) => [.. (await GetAsync(path)).GetProperty("items").EnumerateArray()];

    internal Task<JsonElement[]> AlertsAsync() => ListAsync("alerts");

    internal async Task<Guid> TaskAsync(object? more = null) => Id(await PostAsync("scheduled-tasks", Over(more, new
    {
        name = "Nightly report",
        automation_type = "custom",
        automation_config = new { },
        schedule_type = "daily",
        cron_expression = "0 3 * * *",
        retry_on_failure = false,
        notify_on_failure = false,
    })));

    /// <summary>A rule over failures that is shown to its author, and nothing holds back for more than five minutes.</summary>
    internal async Task<Guid> RuleAsync(object? more = null) => Id(await PostAsync("alert-rules", Rule(more)));

    internal static object Rule(object? more = null) => Over(more, new { name = "Night watch", rule_type = "task_failure", notification_channels = new object[] { new { channel = "in_app" } } });

    internal Task<JsonElement> RuleOfAsync(Guid id) => GetAsync($"alert-rules/{id}");

    /// <summary>A run from beginning to end, with all that follows from it at once.</summary>
    internal async Task RunAsync(Guid task, string status = "failed", string error = "boom", int seconds = 0)
    {
        _script.Outcome = status switch
        {
            "success" => new AutomationOutcome.Succeeded(new { }),
            "timeout" => new AutomationOutcome.UnderWay(),
            _ => new AutomationOutcome.Failed(error),
        };
        _script.Takes = TimeSpan.FromSeconds(seconds);
        await PostAsync($"scheduled-tasks/{task}/run", new { });
        await DrainAsync();
        if (status == "timeout")
        {
            Clock.Advance(TimeSpan.FromMinutes(5));
            await DueAsync("schedules.run");
        }
    }

    internal async Task FailAsync(Guid task, int times)
    {
        for (var i = 0; i < times; i++)
        {
            await RunAsync(task);
        }
    }

    internal Task DrainAsync() => Platform.DrainAsync();

    /// <summary>As if work of this kind had waited long enough.</summary>
    internal async Task DueAsync(string kind)
    {
        await CountAsync("WITH due AS (UPDATE work.items SET run_at = now() WHERE state = 'ready' AND kind = $1 RETURNING 1) SELECT count(*) FROM due", kind);
        await DrainAsync();
    }

    internal async Task PassAsync(TimeSpan time, string kind)
    {
        Clock.Advance(time);
        await DueAsync(kind);
    }

    /// <summary>Past row level security.</summary>
    internal Task<long> CountAsync(string sql, params object[] args) => Platform.Postgres.ScalarAsync<long>(sql, args);

    internal Actor System => Actor.System(Api.Tenant.TenantId);

    internal static Guid Id(JsonElement thing) => thing.GetProperty("id").GetGuid();

    internal static string Text(JsonElement thing, string name) => thing.GetProperty(name).GetString()!;

    public async ValueTask DisposeAsync()
    {
        await _channels.DisposeAsync();
        await Api.DisposeAsync();
        await Smtp.DisposeAsync();
    }

    internal static JsonElement Expect(ApiAnswer answer, int status)
    {
        Assert.True(answer.Status == status, $"{answer.Status}: {answer.Body}");
        return answer.Body.Length == 0 ? default : answer.Json;
    }

    private static object Over(object? more, object defaults)
    {
        var body = JsonSerializer.SerializeToNode(defaults, Json.Options)!.AsObject();
        foreach (var (name, value) in JsonSerializer.SerializeToNode(more ?? new { }, Json.Options)!.AsObject().ToList())
        {
            body[name] = value?.DeepClone();
        }

        return body;
    }

    private sealed class Script : IAutomation
    {
        public string Type => "custom";

        internal StillClock Clock { get; set; } = null!;

        internal AutomationOutcome Outcome { get; set; } = new AutomationOutcome.UnderWay();

        internal TimeSpan Takes { get; set; }

        public Task<Problem?> CheckAsync(Transaction tx, JsonElement config, CancellationToken ct) => Task.FromResult<Problem?>(null);

        public Task<AutomationOutcome> MoveAsync(Transaction tx, AutomationRun run, CancellationToken ct)
        {
            Clock.Advance(Takes);
            return Task.FromResult(Outcome);
        }

        public Task StopAsync(Transaction tx, AutomationRun run, string reason, CancellationToken ct) => Task.CompletedTask;
    }
}
