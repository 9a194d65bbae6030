using AgentPlatform.Conversations.Summaries;
using AgentPlatform.Conversations;

namespace AgentPlatform.Tests.Conversations;

public sealed class SummaryTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.BeginAsync();

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("yp-summary-every-50")]
    public async Task The_fiftieth_message_asks_for_one_summary_and_starts_the_count_again()
    {
        await FillAsync(49);
        Assert.Equal((0, 49), (await TasksAsync(), (await _talk.ReadAsync()).MessagesSinceSummary));

        await FillAsync(1);
        Assert.Equal((1, 0), (await TasksAsync(), (await _talk.ReadAsync()).MessagesSinceSummary));
        Assert.Equal("system medium conversation_summary_trigger", await _talk.ScalarAsync<string>(
            "SELECT agent_type || ' ' || priority || ' ' || created_by FROM schedules.agent_tasks WHERE context_json = jsonb_build_object('conversation_id', $1::uuid) AND scheduled_for <= now()",
            _talk.Conversation.Id));

        await FillAsync(1);
        Assert.Equal((1, 1), (await TasksAsync(), (await _talk.ReadAsync()).MessagesSinceSummary));
    }

    [Fact]
    [Behaviour("yp-summary-every-50")]
    public async Task Messages_stored_at_once_still_ask_for_exactly_one_summary()
    {
        await FillAsync(46);

        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => _talk.HearAsync($"at once {i}")));

        Assert.Equal((1, 4), (await TasksAsync(), (await _talk.ReadAsync()).MessagesSinceSummary));
    }

    [Fact]
    [Behaviour("yp-summary-executed", "bb-conversation-summary")]
    public async Task The_task_is_executed_and_fills_summary_and_key_facts()
    {
        Assert.Equal("professional", _talk.Conversation.AiPersonality);
        await _talk.HearAsync("My name is Carla Jensen and I look for a software job in Berlin.");
        await _talk.SayAsync("Shall I search for remote software jobs as well?");
        await _talk.HearAsync("Let's go with Berlin only, at most 40 hours.");
        await FillAsync(46);
        var last = await _talk.HearAsync("When can the first interview be?");

        await _talk.Platform.DrainAsync();

        var conversation = await _talk.ReadAsync();
        Assert.Equal(last, conversation.LastSummaryMessageId);
        Assert.Contains("Carla Jensen", conversation.ConversationSummary, StringComparison.Ordinal);
        Assert.Contains("go with Berlin only", conversation.ConversationSummary, StringComparison.Ordinal);
        Assert.Contains("When can the first interview be?", conversation.ConversationSummary, StringComparison.Ordinal);
        Assert.Contains("Carla Jensen", Facts(conversation, "names"));
        Assert.Contains("Contact: Let's go with Berlin only, at most 40 hours.", Facts(conversation, "decisions"));
        Assert.Equal(["Contact: When can the first interview be?"], Facts(conversation, "open_questions"));
        Assert.Equal("completed 50", await _talk.ScalarAsync<string>("SELECT status || ' ' || (result_json ->> 'messages') FROM schedules.agent_tasks WHERE completed_at IS NOT NULL"));
    }

    [Fact]
    [Behaviour("yp-summary-in-context")]
    public async Task The_agent_receives_the_summary_and_only_the_messages_after_it()
    {
        await FillAsync(50);
        await _talk.Platform.DrainAsync();
        await _talk.HearAsync("And now this.");

        var context = await _talk.LoadAsync();

        Assert.Equal("And now this.", Assert.Single(context.Messages).Content);
        Assert.False(string.IsNullOrEmpty(context.Summary));
    }

    [Fact]
    public async Task The_next_summary_carries_the_facts_of_the_earlier_one_on()
    {
        await _talk.HearAsync("I'm Carla and we agreed on Thursday at Siemens.");
        await FillAsync(49);
        await _talk.Platform.DrainAsync();
        await FillAsync(50);
        await _talk.Platform.DrainAsync();

        Assert.Contains("agreed on Thursday at Siemens", (await _talk.ReadAsync()).ConversationSummary, StringComparison.Ordinal);
        Assert.Equal(2L, await _talk.ScalarAsync<long>("SELECT count(*) FROM schedules.agent_tasks WHERE status = 'completed'"));
    }

    [Fact]
    public void A_summary_is_the_same_for_the_same_talk_and_bounded_however_long_it_is()
    {
        var lines = Enumerable.Range(0, 400).Select(i => new SpokenLine(i % 2 == 0 ? "Contact" : "Agent", $"Line {i} speaks of the delivery of parcel {i % 7}. We will see!")).ToList();

        var first = ExtractiveSummary.Summarize("Contact: I am Ann.", lines);
        var second = ExtractiveSummary.Summarize("Contact: I am Ann.", lines);

        Assert.Equal(first.Text, second.Text);
        Assert.InRange(first.Text.Split('\n').Length, 1, ExtractiveSummary.MaxSentences);
        Assert.InRange(first.Decisions.Count, 1, 10);
    }

    private static IEnumerable<string?> Facts(Conversation c, string name) => c.ContextMemory.GetProperty(name).EnumerateArray().Select(e => e.GetString());

    private Task<int> TasksAsync() => _talk.ScalarAsync<int>("SELECT count(*)::integer FROM schedules.agent_tasks WHERE task_type = 'create_conversation_summary'");

    private Task FillAsync(int count) => _talk.DoAsync(tx =>
    {
        for (var i = 0; i < count; i++)
        {
            var inbound = i % 2 == 0;
            _talk.Log.Append(tx, _talk.Message(inbound ? "user" : "bouncer", inbound ? "inbound" : "outbound", $"fine number {i}"));
        }
    });
}
