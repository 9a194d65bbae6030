using AgentPlatform.Channels.Manage;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules;
using AgentPlatform.Tests.Conversations;
using AgentPlatform.Tests.Sandbox;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Messaging;

/// <summary>A follow-up planned for tomorrow, by SMS over the fake provider.</summary>
public sealed class FollowUpTests : IAsyncLifetime
{
    private readonly StillClock _clock = new(TimeProvider.System.GetUtcNow());
    private ChannelStage _stage = null!;
    private Guid _contactId;
    private Guid _conversationId;

    public async Task InitializeAsync()
    {
        _stage = await ChannelStage.StartAsync(services => services.AddSingleton<TimeProvider>(_clock));
        var channel = await _stage.SmsChannelAsync();
        (_contactId, _conversationId) = await DoAsync(async tx =>
        {
            var contact = await _stage.Platform.Get<ContactDirectory>().GetOrCreateAsync(tx, Talk.Address, null, default);
            var conversation = await _stage.Platform.Get<ConversationLog>().OpenAsync(
                tx, new OpenConversation(contact.Id, channel.AgentId, "sms", Talk.Number, channel.Id), default);
            return (contact.Id, conversation.Id);
        });
        await HearAsync();
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("yp-task-schedule-followup")]
    public async Task A_follow_up_is_sent_when_it_is_due_and_not_before()
    {
        var id = await PlanAsync();
        await _stage.Platform.DrainAsync();
        Assert.Empty(_stage.Twilio.Messages);

        await TomorrowAsync();

        Assert.Equal("Hi, are you still there? We stopped at: requested email. Just reply here to go on.", Assert.Single(_stage.Twilio.Messages).Body);
        Assert.Equal("completed", (await ReadAsync(id)).Status);
        Assert.Equal(("bouncer", true, true), await RowAsync());
    }

    [Fact]
    [Behaviour("yp-task-schedule-followup")]
    public async Task Nobody_who_has_written_since_is_followed_up()
    {
        var id = await PlanAsync();
        await HearAsync();

        await TomorrowAsync();

        Assert.Empty(_stage.Twilio.Messages);
        Assert.Equal("wrote_since", await ReasonAsync(id));
    }

    [Fact]
    [Behaviour("yp-task-schedule-followup")]
    public async Task Nobody_who_opted_out_is_followed_up()
    {
        var id = await PlanAsync();
        await DoAsync(async tx =>
        {
            await _stage.Platform.Get<ContactDirectory>().SetConsentAsync(tx, _contactId, "sms", optedOut: true, "keyword:STOP", default);
            return true;
        });

        await TomorrowAsync();

        Assert.Empty(_stage.Twilio.Messages);
        Assert.Equal("opted_out", await ReasonAsync(id));
    }

    [Fact]
    public async Task A_conversation_that_a_person_has_taken_over_is_left_to_them()
    {
        var id = await PlanAsync();
        await DoAsync(tx => _stage.Platform.Get<ConversationLog>().HandOverAsync(tx, _conversationId, "asked for a human", default));

        await TomorrowAsync();

        Assert.Equal("conversation_not_active", await ReasonAsync(id));
    }

    [Theory]
    [InlineData("""{"last_step":"requested_email"}""")]
    [InlineData("""{"conversation_id":"not an id"}""")]
    [InlineData("""{"conversation_id":"01936c6e-0000-7000-8000-000000000000"}""")]
    public async Task A_follow_up_to_nowhere_fails_at_once_and_says_why(string context)
    {
        var id = await PlanAsync(System.Text.Json.JsonSerializer.Deserialize<System.Text.Json.JsonElement>(context));

        await TomorrowAsync();

        Assert.Equal(("failed", 0), ((await ReadAsync(id)).Status, (await ReadAsync(id)).RetryCount));
        Assert.Contains("conversation", (await ReadAsync(id)).ErrorLog, StringComparison.Ordinal);
    }

    private Task<Guid> PlanAsync(object? context = null) => DoAsync(async tx =>
    {
        var id = _stage.Platform.Get<TaskQueue>().Enqueue(
            tx, new NewAgentTask(FollowUp.ScheduleFollowup, "bouncer", context ?? new { conversation_id = _conversationId, last_step = "requested_email" })
            {
                ContactId = _contactId,
                ScheduledFor = _clock.GetUtcNow().AddHours(24),
                CreatedBy = "bouncer_agent",
            });
        await tx.ExecuteAsync("SELECT 1", [], default);
        return id;
    });

    private Task HearAsync() => DoAsync(async tx =>
    {
        _stage.Platform.Get<ConversationLog>().Append(tx, new NewMessage(_clock.NewId(), _conversationId, _contactId, "user", "inbound", "hello"));
        return await tx.ExecuteAsync("SELECT 1", [], default);
    });

    private async Task TomorrowAsync()
    {
        _clock.Advance(TimeSpan.FromHours(25));
        await DoAsync(tx => tx.ExecuteAsync("UPDATE work.items SET run_at = now() WHERE state = 'ready'", [], default));
        await _stage.Platform.DrainAsync();
    }

    private async Task<AgentTask> ReadAsync(Guid id) => (await _stage.Platform.Get<TaskDesk>().ReadAsync(_stage.System, id, default)).Value;

    private async Task<string?> ReasonAsync(Guid id) => (await ReadAsync(id)).ResultJson!.Value.GetProperty("reason").GetString();

    private async Task<(string Role, bool Proactive, bool Fresh)> RowAsync()
    {
        var row = await DoAsync(tx => tx.SingleAsync<Row>("SELECT agent_id, proactive, requires_fresh_context FROM messaging.message_queue", [], default));
        return (row.AgentId, row.Proactive, row.RequiresFreshContext);
    }

    private Task<T> DoAsync<T>(Func<Transaction, Task<T>> work) => _stage.Platform.AsAsync(_stage.System, work);

    private sealed record Row(string AgentId, bool Proactive, bool RequiresFreshContext);
}
