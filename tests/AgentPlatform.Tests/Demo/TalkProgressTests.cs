using System.Text.Json;
using AgentPlatform.Cli;

namespace AgentPlatform.Tests.Demo;

public sealed class TalkProgressTests
{
    private readonly TalkProgress _talk = new("sms", "find me jobs");

    [Fact]
    public void It_is_settled_once_the_turn_its_actions_and_its_replies_are_over()
    {
        Hear("message.received", new { channel = "sms", content = "find me jobs" });
        Hear("action.queued", new { queue_id = "act_1", action_id = "search_jobs", details = new { status = "ready" } });
        Hear("turn.completed", new { turn_number = 1 });
        Assert.False(_talk.IsSettled);

        Hear("action.failed", new { queue_id = "act_1", details = new { error_type = "timeout", will_retry = true } });
        Assert.False(_talk.IsSettled);

        Hear("action.completed", new { queue_id = "act_1", details = new { } });
        Hear("message.queued", new { queue_id = "m1", text = "Three jobs." });
        Assert.False(_talk.IsSettled);

        var reply = Hear("message.sent", new { queue_id = "m1", text = "Three jobs." });
        Assert.True(_talk.IsSettled);
        Assert.Equal(new TalkLine("Three jobs.", IsReply: true), reply);
    }

    [Fact]
    public void An_action_that_waits_for_a_parameter_is_not_waited_for()
    {
        Hear("message.received", new { channel = "sms", content = "find me jobs" });
        Hear("action.queued", new { queue_id = "act_1", action_id = "apply_job", details = new { status = "pending" } });
        Hear("turn.completed", new { turn_number = 1 });

        Assert.True(_talk.IsSettled);
    }

    [Fact]
    public void Other_conversations_are_not_followed()
    {
        Hear("message.received", new { channel = "email", content = "find me jobs" });
        Hear("turn.completed", new { turn_number = 1 });

        Assert.False(_talk.IsSettled);
    }

    private TalkLine? Hear(string type, object payload) =>
        _talk.Apply(JsonSerializer.SerializeToElement(new { event_type = type, aggregate_id = "c1", payload }));
}
