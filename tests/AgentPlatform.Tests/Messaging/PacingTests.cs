using AgentPlatform.Channels.Manage;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging;
using AgentPlatform.Messaging.Pacing;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Sandbox;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Messaging;

/// <summary>What is said unasked: budgets, quiet hours, schedules, superseding. The clock is the test's.</summary>
public sealed class PacingTests : IAsyncLifetime
{
    private readonly SteppedClock _clock = new(new DateTimeOffset(2026, 11, 20, 15, 0, 0, TimeSpan.Zero));
    private ChannelStage _stage = null!;
    private ChannelView _channel = null!;
    private Guid _contactId;
    private Guid _conversationId;
    private int _numbers = 1000;

    public Task InitializeAsync() => BeginAsync();

    private async Task BeginAsync(params (string Key, string Value)[] settings)
    {
        _stage = await ChannelStage.StartAsync(services => services.AddSingleton<TimeProvider>(_clock), [.. settings, ("Work:Concurrency", "1")]);
        _channel = await _stage.SmsChannelAsync();
        (_contactId, _conversationId) = await _stage.Platform.AsAsync(_stage.System, async tx =>
        {
            var contact = await _stage.Platform.Get<ContactDirectory>().GetOrCreateAsync(tx, new ChannelAddress("sms", "+14155550100"), null, CancellationToken.None);
            var conversation = await _stage.Platform.Get<ConversationLog>().OpenAsync(tx, new OpenConversation(contact.Id, _channel.AgentId, "sms", "+14155550100", _channel.Id), CancellationToken.None);
            return (contact.Id, conversation.Id);
        });
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("yp-budget-hourly", "yp-budget-active")]
    public async Task The_third_unasked_message_of_an_hour_waits_until_the_hour_is_over()
    {
        await SayAsync("1", "2", "3");
        Assert.Equal(["1", "2"], Sent());
        Assert.Equal("hourly_limit", await HeldAsync());
        Assert.Equal(new DateTime(2026, 11, 20, 16, 0, 0), await _stage.ValueAsync<DateTime>("SELECT date_trunc('minute', scheduled_for AT TIME ZONE 'UTC') FROM messaging.message_queue WHERE status = 'held'"));
        await WakeAsync(TimeSpan.FromMinutes(61));
        Assert.Equal(["1", "2", "3"], Sent());
    }

    [Fact]
    [Behaviour("yp-budget-daily", "yp-budget-row", "yp-budget-active")]
    public async Task The_sixth_unasked_message_of_a_day_waits_for_the_next_day()
    {
        for (var i = 1; i <= 5; i++)
        {
            await SayAsync($"{i}");
            _clock.Step(TimeSpan.FromMinutes(40));
        }

        await SayAsync("6");
        Assert.Equal(5, Sent().Count);
        Assert.Equal("daily_limit", await HeldAsync());
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM messaging.user_message_budget WHERE date = '2026-11-20' AND messages_sent = 5 AND last_message_at IS NOT NULL"));
        await WakeAsync(TimeSpan.FromHours(9));
        Assert.Equal(6, Sent().Count);
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM messaging.user_message_budget WHERE date = '2026-11-21' AND messages_sent = 1"));
    }

    [Fact]
    [Behaviour("yp-budget-row")]
    public async Task Messages_decided_on_at_the_same_moment_share_one_budget()
    {
        var other = await _stage.Platform.AsAsync(_stage.System, async tx =>
        {
            tx.Post("UPDATE conversations.conversations SET status = 'resolved', resolved_at = now() WHERE id = $1", _conversationId);
            return (await _stage.Platform.Get<ConversationLog>().OpenAsync(tx, new OpenConversation(_contactId, _channel.AgentId, "sms", "+14155550100", _channel.Id), CancellationToken.None)).Id;
        });
        await _stage.Platform.AsAsync(_stage.System, tx =>
        {
            foreach (var conversation in Enumerable.Repeat(new[] { _conversationId, other }, 4).SelectMany(c => c))
            {
                _stage.Platform.Get<Outbox>().Queue(tx, new OutgoingMessage(_contactId, conversation, "agent", "x") { Proactive = true });
            }

            return Task.CompletedTask;
        });
        await Task.WhenAll(_stage.Platform.DrainAsync(), _stage.Platform.DrainAsync());
        // A worker that was held up makes no call, and tries again a moment later.
        var sent = await Eventually.SeeAsync(
            async () =>
            {
                await _stage.Platform.DrainAsync();
                return _stage.Twilio.Messages.Count;
            },
            count => count >= 2);
        Assert.Equal(2, sent);
        Assert.Equal(6, await _stage.CountAsync("SELECT count(*) FROM messaging.message_queue WHERE status = 'held' AND hold_reason = 'hourly_limit'"));
    }

    [Fact]
    [Behaviour("yp-budget-custom")]
    public async Task A_person_may_be_given_other_limits_and_keeps_them_the_next_day()
    {
        var budgets = _stage.Platform.Get<ContactBudgets>();
        var changed = await budgets.ChangeAsync(_stage.System, _contactId, new MessageBudgetInput(10, 4, null), CancellationToken.None);
        Assert.Equal((10, 4), (changed.Value.DailyLimit, changed.Value.HourlyLimit));
        await SayAsync("1", "2", "3", "4", "5");
        Assert.Equal(4, Sent().Count);
        _clock.Step(TimeSpan.FromDays(1));
        Assert.Equal(10, (await budgets.ReadAsync(_stage.System, _contactId, CancellationToken.None)).Value.DailyLimit);
        Assert.False((await budgets.ChangeAsync(_stage.System, _contactId, new MessageBudgetInput(-1, null, null), CancellationToken.None)).IsOk);
    }

    [Fact]
    [Behaviour("yp-quiet-hours", "yp-quiet-hours-reply")]
    public async Task Quiet_hours_hold_what_is_unasked_and_let_replies_pass()
    {
        await QuietAsync("22:00", "08:00", "America/New_York");
        // 03:30 UTC is half past ten at night in New York.
        _clock.Step(TimeSpan.FromHours(12.5));
        await SayAsync("unasked");
        await _stage.Platform.AsAsync(_stage.System, tx =>
        {
            _stage.Platform.Get<Outbox>().Queue(tx, new OutgoingMessage(_contactId, _conversationId, "agent", "reply"));
            return Task.CompletedTask;
        });
        await _stage.Platform.DrainAsync();
        Assert.Equal(["reply"], Sent());
        Assert.Equal("quiet_hours", await HeldAsync());
        Assert.Equal(new DateTime(2026, 11, 21, 13, 0, 0), await _stage.ValueAsync<DateTime>("SELECT scheduled_for AT TIME ZONE 'UTC' FROM messaging.message_queue WHERE status = 'held'"));
        await WakeAsync(TimeSpan.FromHours(9.6));
        Assert.Equal(["reply", "unasked"], Sent());
    }

    [Fact]
    [Behaviour("yp-quiet-hours")]
    public async Task Quiet_hours_can_be_switched_off_for_a_person()
    {
        await QuietAsync("00:00", "23:59", "UTC");
        await _stage.Platform.Get<ContactBudgets>().ChangeAsync(_stage.System, _contactId, new MessageBudgetInput(null, null, false), CancellationToken.None);
        await SayAsync("anyway");
        Assert.Equal(["anyway"], Sent());
    }

    [Fact]
    [Behaviour("yp-quiet-hours")]
    public async Task Who_has_no_quiet_hours_has_those_of_the_platform_in_their_own_time()
    {
        Assert.Equal((new TimeOnly(21, 0), new TimeOnly(8, 0)), (new MessagingOptions().QuietHoursStart, new MessagingOptions().QuietHoursEnd));
        await _stage.DisposeAsync();
        await BeginAsync(("Messaging:QuietHoursStart", "21:00"), ("Messaging:QuietHoursEnd", "08:00"));
        await _stage.ValueAsync<long>("WITH u AS (UPDATE contacts.customer_profiles SET timezone = 'America/New_York' RETURNING 1) SELECT count(*) FROM u");
        // 02:30 UTC is half past nine at night in New York.
        _clock.Step(TimeSpan.FromHours(11.5));
        await SayAsync("unasked");
        Assert.Empty(Sent());
        Assert.Equal("quiet_hours", await HeldAsync());
        Assert.Equal(new DateTime(2026, 11, 21, 13, 0, 0), await _stage.ValueAsync<DateTime>("SELECT scheduled_for AT TIME ZONE 'UTC' FROM messaging.message_queue WHERE status = 'held'"));

        await QuietAsync("12:00", "13:00", "America/New_York");
        await SayAsync("to who says otherwise");
        Assert.Equal(["to who says otherwise"], Sent());
    }

    [Fact]
    [Behaviour("yp-quiet-hours", "yp-quiet-hours-reply")]
    public async Task What_a_provider_put_off_does_not_leave_in_the_quiet_hours_that_began_meanwhile()
    {
        await QuietAsync("15:10", "16:00", "UTC");
        _stage.Twilio.Next(new TwilioAnswer.Refuse(429, 20429, RetryAfter: 300));
        await SayAsync("late");
        Assert.Equal("not_sent", await _stage.ValueAsync<string>("SELECT status FROM messaging.effects"));

        await WakeAsync(TimeSpan.FromMinutes(15));
        Assert.Empty(Sent());
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM events.events WHERE event_type = 'message.postponed' AND payload ->> 'reason' = 'quiet_hours'"));
        // Comes early, and goes back; nothing of the conversation waits behind it.
        await WakeAsync(TimeSpan.FromMinutes(10));
        await _stage.Platform.AsAsync(_stage.System, tx =>
        {
            _stage.Platform.Get<Outbox>().Queue(tx, new OutgoingMessage(_contactId, _conversationId, "agent", "reply"));
            return Task.CompletedTask;
        });
        await _stage.Platform.DrainAsync();
        Assert.Equal(["reply"], Sent());

        await WakeAsync(TimeSpan.FromMinutes(36));
        Assert.Equal(["reply", "late"], Sent());
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM messaging.user_message_budget WHERE messages_sent = 1"));
    }

    [Fact]
    [Behaviour("yp-queue-fresh-context")]
    public async Task What_a_provider_put_off_does_not_leave_when_the_person_has_written_meanwhile()
    {
        _stage.Twilio.Next(new TwilioAnswer.Refuse(429, 20429, RetryAfter: 300));
        await QueueFreshAsync("stale");
        await _stage.Platform.DrainAsync();
        _clock.Step(TimeSpan.FromSeconds(5));
        await _stage.Platform.AsAsync(_stage.System, tx =>
        {
            _stage.Platform.Get<ConversationLog>().Append(tx, new NewMessage(_clock.NewId(), _conversationId, _contactId, "user", "inbound", "forget it"));
            return Task.CompletedTask;
        });

        await WakeAsync(TimeSpan.FromMinutes(6));

        Assert.Empty(Sent());
        Assert.Equal("stale_context", await _stage.ValueAsync<string>("SELECT failure FROM messaging.message_queue WHERE status = 'failed'"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.outbound_messages WHERE delivery_status = 'failed'"));
    }

    [Fact]
    public async Task Nothing_is_said_unasked_in_a_conversation_that_a_person_has_taken_over_meanwhile()
    {
        await QuietAsync("14:00", "16:00", "UTC");
        await SayAsync("unasked");
        await _stage.Platform.AsAsync(_stage.System, tx => _stage.Platform.Get<ConversationLog>().HandOverAsync(tx, _conversationId, "asked for a human", default));
        await _stage.Platform.AsAsync(_stage.System, tx =>
        {
            _stage.Platform.Get<Outbox>().Queue(tx, new OutgoingMessage(_contactId, _conversationId, "human", "from a colleague") { Proactive = true });
            return Task.CompletedTask;
        });

        await WakeAsync(TimeSpan.FromMinutes(61));

        Assert.Equal(["from a colleague"], Sent());
        Assert.Equal("conversation_not_the_bots", await _stage.ValueAsync<string>("SELECT superseded_reason FROM messaging.message_queue WHERE status = 'superseded'"));
    }

    [Theory]
    [InlineData("not_sent", "rejected", "given_up", "failed", 0)]
    [InlineData("calling", "abandoned", "unknown", "unknown", 1)]
    public async Task Work_that_dies_leaves_no_message_on_its_way(string found, string effect, string failure, string outbound, int counted)
    {
        _stage.Twilio.Next(new TwilioAnswer.Refuse(429, 20429, RetryAfter: 300));
        await SayAsync("lost");
        await _stage.ValueAsync<long>(
            $"""
            SELECT 1::bigint;
            UPDATE messaging.effects SET status = '{found}';
            UPDATE channels.outbound_messages SET delivery_status = 'sending' WHERE '{found}' = 'calling';
            UPDATE work.items SET max_attempts = 1 WHERE state = 'ready';
            CREATE FUNCTION messaging.break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'It dies here.'; END $$;
            CREATE TRIGGER break BEFORE UPDATE OF attempts, probes ON messaging.effects FOR EACH ROW EXECUTE FUNCTION messaging.break();
            """);

        await WakeAsync(TimeSpan.FromMinutes(6));

        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM work.items WHERE kind = 'messaging.dispatch' AND state = 'dead'"));
        Assert.Equal((effect, failure, outbound), (
            await _stage.ValueAsync<string>("SELECT status FROM messaging.effects WHERE settled_at IS NOT NULL"), await _stage.ValueAsync<string>("SELECT failure FROM messaging.message_queue WHERE status = 'failed'"),
            await _stage.ValueAsync<string>("SELECT delivery_status FROM channels.outbound_messages")));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM conversations.messages WHERE content = 'lost' AND status = 'failed'"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM events.events WHERE event_type = 'message.failed'"));
        Assert.Equal(counted, await _stage.ValueAsync<int>("SELECT messages_sent FROM messaging.user_message_budget"));
    }

    [Theory]
    [InlineData("2026-11-21T03:00:00Z", "22:00", "08:00", "America/New_York", "2026-11-21T13:00:00Z")]
    [InlineData("2026-11-21T12:59:59Z", "22:00", "08:00", "America/New_York", "2026-11-21T13:00:00Z")]
    [InlineData("2026-11-21T13:00:00Z", "22:00", "08:00", "America/New_York", null)]
    [InlineData("2026-11-21T02:59:59Z", "22:00", "08:00", "America/New_York", null)]
    [InlineData("2026-11-21T12:30:00Z", "12:00", "13:00", "UTC", "2026-11-21T13:00:00Z")]
    [InlineData("2026-11-21T12:30:00Z", "12:00", "12:00", "UTC", null)]
    [InlineData("2026-03-08T06:00:00Z", "00:00", "02:30", "America/New_York", "2026-03-08T07:00:00Z")]
    [InlineData("2026-11-21T12:30:00Z", "12:00", "13:00", "Nowhere/Land", "2026-11-21T13:00:00Z")]
    [Behaviour("yp-quiet-hours")]
    public void Quiet_hours_end_in_the_persons_own_time(string now, string start, string end, string zone, string? until)
    {
        var culture = System.Globalization.CultureInfo.InvariantCulture;
        var found = QuietHours.Until(DateTimeOffset.Parse(now, culture), TimeOnly.Parse(start, culture), TimeOnly.Parse(end, culture), zone);
        Assert.Equal(until is null ? (DateTimeOffset?)null : DateTimeOffset.Parse(until, culture), found);
    }

    [Fact]
    [Behaviour("bb-outbound-schedule")]
    public async Task A_scheduled_message_leaves_when_it_is_due()
    {
        await _stage.Platform.AsAsync(_stage.System, tx =>
        {
            _stage.Platform.Get<Outbox>().Queue(tx, new OutgoingMessage(_contactId, _conversationId, "agent", "later") { ScheduledFor = _clock.GetUtcNow().AddHours(2) });
            return Task.CompletedTask;
        });
        await _stage.Platform.DrainAsync();
        Assert.Empty(Sent());
        await WakeAsync(TimeSpan.FromHours(1));
        Assert.Empty(Sent());
        await WakeAsync(TimeSpan.FromMinutes(61));
        Assert.Equal(["later"], Sent());
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM channels.outbound_messages WHERE scheduled_for IS NOT NULL AND delivery_status = 'sent'"));
    }

    [Fact]
    [Behaviour("yp-queue-supersede")]
    public async Task A_newer_message_of_the_same_kind_replaces_one_that_has_not_left()
    {
        await _stage.Platform.AsAsync(_stage.System, tx =>
        {
            foreach (var text in new[] { "old", "new" })
            {
                _stage.Platform.Get<Outbox>().Queue(tx, new OutgoingMessage(_contactId, _conversationId, "agent", text) { SupersedeKey = "offer" });
            }

            return Task.CompletedTask;
        });
        await _stage.Platform.DrainAsync();
        Assert.Equal(["new"], Sent());
        Assert.Equal(1, await _stage.CountAsync(
            """
            SELECT count(*) FROM messaging.message_queue o JOIN messaging.message_queue n ON n.id = o.superseded_by_message_id
            WHERE o.status = 'superseded' AND o.superseded_reason = 'newer_message' AND n.status = 'sent' AND o.sent_at IS NULL
            """));
    }

    [Fact]
    [Behaviour("yp-queue-fresh-context")]
    public async Task A_message_that_needs_fresh_context_is_dropped_when_the_person_has_written_since()
    {
        await QueueFreshAsync("still true");
        await _stage.Platform.DrainAsync();
        await QueueFreshAsync("stale");
        _clock.Step(TimeSpan.FromSeconds(5));
        await _stage.Platform.AsAsync(_stage.System, tx =>
        {
            _stage.Platform.Get<ConversationLog>().Append(tx, new NewMessage(_clock.NewId(), _conversationId, _contactId, "user", "inbound", "forget it"));
            return Task.CompletedTask;
        });
        await _stage.Platform.DrainAsync();
        Assert.Equal(["still true"], Sent());
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM messaging.message_queue WHERE status = 'superseded' AND superseded_reason = 'stale_context'"));
    }

    [Fact]
    [Behaviour("yp-queue-priority", "yp-outbound-cron")]
    public async Task What_falls_due_leaves_by_priority_and_what_is_not_due_or_not_allowed_stays()
    {
        await LaterAsync("low", 1);
        await LaterAsync("medium", 1);
        await LaterAsync("critical", 1);
        await LaterAsync("high", 3);
        var optedOut = await LaterAsync("critical", 1);
        await _stage.Platform.AsAsync(_stage.System, tx => _stage.Platform.Get<ContactDirectory>().SetConsentAsync(tx, optedOut, "sms", optedOut: true, "test", CancellationToken.None));
        await _stage.Platform.DrainAsync();
        Assert.Empty(Sent());

        await WakeAsync(TimeSpan.FromMinutes(61));

        Assert.Equal(["critical", "medium", "low"], Sent());
        Assert.Equal("failed,held,sent", await _stage.ValueAsync<string>("SELECT string_agg(DISTINCT status, ',') FROM messaging.message_queue"));
    }

    /// <summary>To a contact of its own, who says nothing else; the text is the priority.</summary>
    private Task<Guid> LaterAsync(string priority, int hours) => _stage.Platform.AsAsync(_stage.System, async tx =>
    {
        var number = $"+1415555{++_numbers:0000}";
        var contact = await _stage.Platform.Get<ContactDirectory>().GetOrCreateAsync(tx, new ChannelAddress("sms", number), null, CancellationToken.None);
        var conversation = await _stage.Platform.Get<ConversationLog>().OpenAsync(tx, new OpenConversation(contact.Id, _channel.AgentId, "sms", number, _channel.Id), CancellationToken.None);
        _stage.Platform.Get<Outbox>().Queue(tx, new OutgoingMessage(contact.Id, conversation.Id, "agent", priority) { Priority = priority, ScheduledFor = _clock.GetUtcNow().AddHours(hours) });
        return contact.Id;
    });

    [Fact]
    [Behaviour("yp-queue-lifecycle")]
    public async Task A_queued_message_can_be_called_back_until_it_is_decided_on()
    {
        await SayAsync("1", "2", "3");
        var held = await _stage.ValueAsync<Guid>("SELECT id FROM messaging.message_queue WHERE status = 'held'");
        var queue = _stage.Platform.Get<QueueActions>();
        Assert.True((await queue.CancelAsync(_stage.System, held, CancellationToken.None)).IsOk);
        Assert.Equal("not_cancellable", (await queue.CancelAsync(_stage.System, held, CancellationToken.None)).Problem!.Code);
        await WakeAsync(TimeSpan.FromHours(2));
        Assert.Equal(2, Sent().Count);
        var sent = await _stage.ValueAsync<Guid>("SELECT id FROM messaging.message_queue WHERE status = 'sent' LIMIT 1");
        Assert.Equal("not_cancellable", (await queue.CancelAsync(_stage.System, sent, CancellationToken.None)).Problem!.Code);
        Assert.Equal("queued_message_not_found", (await queue.CancelAsync(_stage.System, _clock.NewId(), CancellationToken.None)).Problem!.Code);
        Assert.Equal(3, (await _stage.Platform.AsAsync(_stage.System, tx => QueueActions.ListAsync(tx, null, _contactId, _conversationId, new PageRequest(10, null), CancellationToken.None))).Items.Count);
    }

    [Fact]
    public async Task What_is_said_twice_under_one_key_is_queued_once()
    {
        for (var i = 0; i < 2; i++)
        {
            await _stage.Platform.AsAsync(_stage.System, tx =>
            {
                _stage.Platform.Get<Outbox>().Queue(tx, new OutgoingMessage(_contactId, _conversationId, "agent", "once") { IdempotencyKey = "k" });
                return Task.CompletedTask;
            });
        }

        await _stage.Platform.DrainAsync();
        Assert.Equal(["once"], Sent());
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM events.events WHERE event_type = 'message.queued'"));
    }

    [Fact]
    public async Task An_opt_out_forbids_everything_but_its_own_confirmation()
    {
        await _stage.Platform.AsAsync(_stage.System, tx => _stage.Platform.Get<ContactDirectory>().SetConsentAsync(tx, _contactId, "sms", true, "keyword:STOP", CancellationToken.None));
        await _stage.Platform.AsAsync(_stage.System, tx =>
        {
            _stage.Platform.Get<Outbox>().Queue(tx, new OutgoingMessage(_contactId, _conversationId, "agent", "offer"));
            _stage.Platform.Get<Outbox>().Queue(tx, new OutgoingMessage(_contactId, _conversationId, "system", "You are unsubscribed.") { EvenIfOptedOut = true });
            return Task.CompletedTask;
        });
        await _stage.Platform.DrainAsync();
        Assert.Equal(["You are unsubscribed."], Sent());
    }

    private async Task SayAsync(params string[] texts)
    {
        foreach (var text in texts)
        {
            await _stage.Platform.AsAsync(_stage.System, tx =>
            {
                _stage.Platform.Get<Outbox>().Queue(tx, new OutgoingMessage(_contactId, _conversationId, "agent", text) { Proactive = true });
                return Task.CompletedTask;
            });
            await _stage.Platform.DrainAsync();
        }
    }

    private Task QueueFreshAsync(string text) => _stage.Platform.AsAsync(_stage.System, tx =>
    {
        _stage.Platform.Get<Outbox>().Queue(tx, new OutgoingMessage(_contactId, _conversationId, "agent", text) { RequiresFreshContext = true });
        return Task.CompletedTask;
    });

    private List<string> Sent() => [.. _stage.Twilio.Messages.Select(m => m.Body)];

    private Task<string> HeldAsync() => _stage.ValueAsync<string>("SELECT hold_reason FROM messaging.message_queue WHERE status = 'held'");

    private Task QuietAsync(string start, string end, string zone) => _stage.ValueAsync<long>(
        $"WITH u AS (UPDATE contacts.customer_profiles SET quiet_hours_start = '{start}', quiet_hours_end = '{end}', timezone = '{zone}' RETURNING 1) SELECT count(*) FROM u");

    /// <summary>Time passes, for the platform and for the queue, whose clock is the database's.</summary>
    private async Task WakeAsync(TimeSpan passed)
    {
        _clock.Step(passed);
        await _stage.ValueAsync<long>("WITH u AS (UPDATE work.items SET run_at = now() WHERE state = 'ready' RETURNING 1) SELECT count(*) FROM u");
        await _stage.Platform.DrainAsync();
    }

    private sealed class SteppedClock(DateTimeOffset start) : TimeProvider
    {
        private DateTimeOffset _now = start;

        public void Step(TimeSpan by) => _now += by;

        public override DateTimeOffset GetUtcNow() => _now;
    }
}
