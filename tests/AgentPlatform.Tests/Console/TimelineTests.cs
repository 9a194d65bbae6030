using AgentPlatform.Console.Simulator;
using AgentPlatform.Events;
using AgentPlatform.Kernel;

namespace AgentPlatform.Tests.Console;

public sealed class TimelineTests
{
    private static readonly DateTimeOffset Noon = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    private readonly List<StoredEvent> _events = [];

    [Fact]
    public void A_turn_tells_what_was_said_understood_done_answered_and_delivered()
    {
        Add(0, "message.received", new { message_id = "m1", content = "jobs in Berlin" });
        Add(5, "turn.started", new { turn_number = 4, messages = new[] { "m1" } });
        Add(5, "intent.logged", new { intent_id = "i", intent_type = "request_action", confidence = 0.95 });
        Add(5, "action.matched", new { intent_id = "i", action_id = "search_jobs", match_type = "synonym" });
        Add(5, "action.queued", new { intent_id = "i", action_id = "search_jobs", details = new { status = "ready" } });
        Add(5, "turn.completed", new { turn_number = 4 });
        Add(9, "action.attempted", new { intent_id = "i", action_id = "search_jobs", details = new { attempt = 1 } });
        Add(30, "action.completed", new { intent_id = "i", action_id = "search_jobs", details = new { api_response_status = 200 } });
        Add(30, "message.queued", new { queue_id = "q", text = "I found 3 jobs", role = "agent" });
        Add(60, "message.sent", new { queue_id = "q", message_id = "out", provider = "twilio" });
        Add(99, "message.delivered", new { message_id = "out" });

        var turn = Assert.Single(Timeline.Of(_events).Turns);
        Assert.Equal(4, turn.Number);
        Assert.False(turn.IsWaiting);
        Assert.Equal(["received", "intent", "match", "queue", "attempt", "result", "reply", "delivery"], turn.Steps.Select(s => s.Kind));
        Assert.Equal(0.95m, turn.Steps[1].Confidence);
        Assert.Equal("synonym", Assert.Single(turn.Steps[2].Marks).Text);
        Assert.Equal("HTTP 200", turn.Steps[5].Note);
        Assert.Equal("I found 3 jobs", turn.Steps[6].Quote);
        Assert.Equal(["queued", "sent by twilio", "delivered"], turn.Steps[7].Marks.Select(m => m.Text));
        Assert.Equal(TimeSpan.FromMilliseconds(99), turn.EndedAt - turn.StartedAt);
        Assert.Equal(11, turn.Version);
    }

    [Fact]
    public void A_turn_tells_which_rules_fired_and_why_others_did_not()
    {
        Add(0, "message.received", new { message_id = "m1", content = "pizza" });
        Add(1, "turn.started", new { turn_number = 1, messages = new[] { "m1" } });
        Add(1, "rules.matched", new
        {
            rules = new object[]
            {
                new { name = "a", outcome = "fired", action_type = "hand_off" },
                new { name = "b", outcome = "lost", reason = "overridden", other_rule = "a" },
                new { name = "c", outcome = "unmet", reason = "required", other_rule = "d" },
                new { name = "e", outcome = "unavailable", reason = "its pattern takes too long" },
                new { name = "f", outcome = "below_threshold", similarity = 0.5, threshold = 0.6 },
            },
        });

        Add(1, "template.used", new { name = "closed", mode = "EXCLUSIVE" });

        var steps = Assert.Single(Timeline.Of(_events).Turns).Steps.Where(s => s.Kind == "rule").ToList();
        Assert.Equal(
            ["a fired: hand off", "b lost: overridden by a", "c unmet: requires d", "e unavailable: its pattern takes too long", "f below threshold: 0.50 of 0.60", "closed exclusive: "],
            steps.Select(s => $"{s.Subject} {Assert.Single(s.Marks).Text}: {s.Note}"));
    }

    [Fact]
    public void Messages_that_a_turn_did_not_read_wait_for_the_next()
    {
        Add(0, "message.received", new { message_id = "m1", content = "one" });
        Add(1, "message.received", new { message_id = "m2", content = "two" });
        Add(2, "turn.started", new { turn_number = 1, messages = new[] { "m1" } });
        Add(2, "turn.completed", new { turn_number = 1 });
        var timeline = Timeline.Of(_events);
        Assert.True(timeline.IsThinking);
        Assert.Equal([false, true], timeline.Turns.Select(t => t.IsWaiting));
        Assert.Equal("two", Assert.Single(timeline.Turns[1].Steps).Quote);
    }

    [Fact]
    public void A_turn_keeps_its_key_when_it_gets_its_number()
    {
        Add(0, "message.received", new { message_id = "m1", content = "one" });
        var before = Timeline.Of(_events).Turns[0];
        Add(1, "turn.started", new { turn_number = 1, messages = new[] { "m1" } });
        var after = Timeline.Of(_events).Turns[0];
        Assert.Equal(before.Key, after.Key);
        Assert.True(after.Version > before.Version);
    }

    [Fact]
    public void A_failure_that_will_be_tried_again_is_no_end()
    {
        Add(0, "action.failed", new { intent_id = "i", action_id = "a", details = new { error_type = "timeout", will_retry = true, next_retry_at = Noon.AddSeconds(8) } });
        Add(9, "action.failed", new { intent_id = "i", action_id = "a", details = new { error_type = "api_rejected", will_retry = false } });
        var steps = Timeline.Of(_events).Turns.SelectMany(t => t.Steps).ToList();
        Assert.Equal([Tone.Waiting, Tone.Bad], steps.Select(s => s.Marks[0].Tone));
        Assert.Equal("timeout, again at 12:00:08 UTC", steps[0].Note);
    }

    [Fact]
    public void What_came_unasked_stands_between_turns()
    {
        Add(0, "message.received", new { message_id = "m1", content = "hello" });
        Add(1, "turn.started", new { turn_number = 1, messages = new[] { "m1" } });
        Add(1, "turn.completed", new { turn_number = 1 });
        Add(5000, "message.queued", new { queue_id = "q", text = "A reminder", role = "agent" });
        Add(5001, "message.held", new { queue_id = "q", reason = "quiet_hours" });
        var turns = Timeline.Of(_events).Turns;
        Assert.Equal([false, true], turns.Select(t => t.IsAside));
        Assert.Equal("held: quiet hours", turns[1].Steps[1].Marks[^1].Text);
    }

    [Fact]
    public void A_silent_turn_says_why()
    {
        Add(0, "message.received", new { message_id = "m1", content = "hello" });
        Add(1, "turn.started", new { turn_number = 1, silent = true, messages = new[] { "m1" } });
        Add(1, "turn.completed", new { turn_number = 1, silent = true, status = "active", handled_by = "human" });
        var timeline = Timeline.Of(_events);
        Assert.Equal("A colleague has taken over", Assert.Single(timeline.Turns).Steps[^1].Note);
        Assert.False(timeline.IsThinking);
    }

    /// <summary>New kinds of events are shown by their name, and a payload may lack anything.</summary>
    [Fact]
    public void No_event_is_hidden_and_none_breaks_the_page()
    {
        string[] types =
        [
            "message.received", "turn.started", "turn.completed", "turn.failed", "intent.logged", "action.matched", "action.queued", "action.attempted", "action.completed",
            "action.failed", "action.recovered", "action.moved", "message.queued", "message.sent", "message.delivered", "message.failed", "message.held", "contact.field_set", "contact.verified",
            "conversation.status_changed", "something.else",
        ];
        var at = 0;
        foreach (var type in types)
        {
            Add(at += 10, type, new { });
            Add(at += 10, type, "no object");
        }

        var timeline = Timeline.Of(_events);
        Assert.Equal(_events.Count, timeline.Version);
        Assert.Contains(timeline.Turns.SelectMany(t => t.Steps), s => s.Subject == "something.else");
    }

    private void Add(int milliseconds, string type, object payload) => _events.Add(new StoredEvent(
        ConsoleSite.NewId(), type, "conversation", Guid.Empty, _events.Count + 1, Json.Of(payload), null, null, null, Noon.AddMilliseconds(milliseconds)));
}
