using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Tests.Brain;

namespace AgentPlatform.Tests.Agents;

public sealed class ScenarioTalkTests : IAsyncLifetime
{
    private Talk _talk = null!;
    private Scenario _scenario = null!;

    public async Task InitializeAsync()
    {
        _talk = await Talk.StartAsync(Jobs.CancelApplication, Jobs.Search);
        _talk.Endpoint.Answers(200, Jobs.Found);
        _scenario = await _talk.GuideAsync();
    }

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    public async Task A_phrase_enters_the_scenario_and_answers_lead_through_it_to_its_end()
    {
        Assert.Equal("Let us book a table.\nWhat is your e-mail?", await _talk.SayAsync("Hi, I want to reserve a table please"));
        Assert.Equal("How many guests?", await _talk.SayAsync("ada@example.com"));
        Assert.Equal("Garden or bar?", await _talk.SayAsync("4"));
        Assert.Equal("Booked for 4 in the Garden, ada@example.com.", await _talk.SayAsync("the garden"));

        var session = await _talk.SessionAsync();
        Assert.Equal((null, null, null), (session.ActiveScenarioId, session.ActiveScenarioVersion, session.CurrentStepId));
        Assert.Equal(["scenario", "provide_information", "provide_information", "provide_information"], (await _talk.IntentsAsync()).Select(i => i.IntentType));
        Assert.True((await _talk.LastScenarioStateAsync()).GetProperty("over").GetBoolean());
    }

    [Fact]
    [Behaviour("ps-session-step-history")]
    public async Task Each_step_is_appended_to_the_history_and_becomes_the_current_one()
    {
        await _talk.SayAsync("book a table");
        var before = await _talk.SessionAsync();
        Assert.Equal(Scenario.StepId(_scenario.Id, "ask_email"), before.CurrentStepId);

        await _talk.SayAsync("ada@example.com");

        var after = await _talk.SessionAsync();
        Assert.Equal(Scenario.StepId(_scenario.Id, "ask_guests"), after.CurrentStepId);
        Assert.Equal(new[] { "welcome", "ask_email", "ask_guests" }.Select(name => Scenario.StepId(_scenario.Id, name)), after.StepHistory.Select(s => s.StepId));
        Assert.Equal(["entered", null, "answered"], after.StepHistory.Select(s => s.Reason));
        Assert.True(after.LastActivityAt > before.LastActivityAt);
        Assert.Equal(after.LastActivityAt, after.StepHistory[^1].EnteredAt, TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task A_branch_whose_condition_holds_leads_elsewhere()
    {
        await _talk.SayAsync("book a table");
        await _talk.SayAsync("ada@example.com");

        Assert.Equal("That is many! What is the occasion?", await _talk.SayAsync("12"));
        Assert.Equal("Garden or bar?", await _talk.SayAsync("a wedding"));
    }

    [Fact]
    public async Task What_was_told_ahead_is_not_asked_for()
    {
        Assert.Equal("Let us book a table.\nHow many guests?", await _talk.SayAsync("reserve a table for me, ada@example.com"));
    }

    [Theory]
    [InlineData("tomorrow maybe", "That is no e-mail address.")]
    [InlineData("what?", "What is your e-mail?")]
    [InlineData("repeat", "What is your e-mail?")]
    public async Task What_is_no_answer_is_asked_again(string said, string reply)
    {
        await _talk.SayAsync("book a table");
        Assert.Equal(reply, await _talk.SayAsync(said));
        Assert.Equal("How many guests?", await _talk.SayAsync("ada@example.com"));
    }

    [Fact]
    public async Task A_number_out_of_range_and_a_choice_that_is_none_are_refused()
    {
        await _talk.SayAsync("book a table");
        await _talk.SayAsync("ada@example.com");
        Assert.Contains("between 1 and 40", await _talk.SayAsync("90"), StringComparison.Ordinal);
        await _talk.SayAsync("2");
        Assert.Contains("one of Garden, Bar", await _talk.SayAsync("the moon"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_correction_changes_what_was_said_and_goes_on()
    {
        await _talk.SayAsync("book a table");
        await _talk.SayAsync("ada@exmaple.com");
        await _talk.SayAsync("4");

        Assert.Equal("I have changed that: email ada@example.com.\nGarden or bar?", await _talk.SayAsync("no, my mail is ada@example.com"));
        Assert.Equal("Booked for 4 in the Bar, ada@example.com.", await _talk.SayAsync("bar"));
    }

    [Fact]
    public async Task A_correction_that_changes_the_way_goes_the_other_way()
    {
        await _talk.SayAsync("book a table");
        await _talk.SayAsync("ada@example.com");
        await _talk.SayAsync("4");

        Assert.Equal("I have changed that: guests 12.\nThat is many! What is the occasion?", await _talk.SayAsync("sorry, 12"));
    }

    [Fact]
    public async Task Sorry_before_an_answer_to_what_is_asked_corrects_nothing_else()
    {
        await _talk.GuideAsync(Booking.Scenario with
        {
            Name = "rent bikes",
            EntryCondition = [],
            Steps = [new() { Name = "days", Collect = new() { Name = "days", Type = "number", Prompt = "How many days?" }, Next = "bikes" }, new() { Name = "bikes", Collect = new() { Name = "bikes", Type = "number", Prompt = "How many bikes?" }, Next = "end" }, new() { Name = "end", Say = "{{bikes}} bikes for {{days}} days." }],
        });
        await _talk.SayAsync("rent bikes");
        await _talk.SayAsync("3");

        Assert.Equal("2 bikes for 3 days.", await _talk.SayAsync("sorry, 2"));
    }

    [Fact]
    public async Task A_question_that_nothing_answers_leads_back_without_a_menu()
    {
        await _talk.SayAsync("book a table");
        Assert.Equal("I did not quite get that. Could you say it in other words?\nWhat is your e-mail?", await _talk.SayAsync("will there be music?"));
    }

    [Fact]
    public async Task Cancel_leaves_the_scenario()
    {
        await _talk.SayAsync("book a table");
        Assert.Equal("All right, I have dropped that.", await _talk.SayAsync("cancel"));
        Assert.Null((await _talk.SessionAsync()).ActiveScenarioId);
    }

    [Fact]
    public async Task Another_request_is_answered_and_then_the_question_is_repeated()
    {
        await _talk.SayAsync("book a table");

        Assert.Equal("Your application is withdrawn.\nWhat is your e-mail?", await _talk.SayAsync("withdraw my application"));
        Assert.Equal("How many guests?", await _talk.SayAsync("ada@example.com"));
    }

    [Fact]
    public async Task A_request_that_asks_something_itself_comes_first_and_small_talk_leads_back()
    {
        await _talk.SayAsync("book a table");

        Assert.Equal("Which job title?", await _talk.SayAsync("find jobs"));
        Assert.EndsWith("\nWhat is your e-mail?", await _talk.SayAsync("nurse"), StringComparison.Ordinal);
        Assert.Equal("You are welcome!\nWhat is your e-mail?", await _talk.SayAsync("thanks"));
    }

    [Fact]
    public async Task An_action_that_is_asked_for_more_clearly_is_not_taken_for_the_scenario()
    {
        await _talk.GuideAsync(Booking.Scenario with { Name = "cancel applications", EntryCondition = [] });
        Assert.Equal("Your application is withdrawn.", await _talk.SayAsync("cancel application"));
    }

    [Fact]
    public async Task A_step_asks_for_an_action_with_what_was_collected()
    {
        await _talk.OfferAsync(Jobs.Apply);
        await _talk.GuideAsync(Booking.Scenario with
        {
            Name = "quick application",
            EntryCondition = [],
            Steps = [Booking.AskEmail with { Next = "job" }, new() { Name = "job", Collect = new() { Name = "job_id", Prompt = "Which one?" }, Next = "send" }, new() { Name = "send", Action = "apply_job" }],
        });
        await _talk.SayAsync("quick application");
        await _talk.SayAsync("ada@example.com");

        Assert.Equal("Your application for J7 is in.", await _talk.SayAsync("J7"));
        Assert.Contains("ada@example.com", Assert.Single(_talk.Endpoint.Requests).Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_step_whose_action_is_gone_hands_over_to_a_person()
    {
        await _talk.GuideAsync(Booking.Scenario with { Name = "call me", EntryCondition = [], Steps = [new() { Name = "call", Say = "Sure.", Action = "request_call" }] });

        Assert.Equal("Sure.\nA colleague will take care of that.", await _talk.SayAsync("call me"));
        Assert.Equal("", await _talk.SayAsync("book a table"));
    }

    [Fact]
    public async Task An_option_that_was_offered_is_no_request_and_a_refused_answer_leaves_no_other_question_open()
    {
        await _talk.OfferAsync(Jobs.Apply);
        await _talk.GuideAsync(Booking.Scenario with
        {
            Name = "career talk",
            EntryCondition = [],
            Steps = [Booking.AskRoom with { Next = "end", Collect = new() { Name = "way", Type = "choice", Choices = ["Apply", "Look for work"], Prompt = "Apply or look for work?" } }, new() { Name = "end", Say = "You chose {{way}}." }],
        });
        await _talk.SayAsync("find jobs");
        await _talk.SayAsync("career talk");
        Assert.Contains("one of Apply, Look for work", await _talk.SayAsync("neither of them"), StringComparison.Ordinal);

        Assert.StartsWith("You chose Apply.", await _talk.SayAsync("apply"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Switched_off_or_deleted_it_is_not_entered()
    {
        await _talk.ChangeAsync(_scenario.Id, Booking.Scenario with { Enabled = false });
        Assert.DoesNotContain("e-mail", await _talk.SayAsync("book a table"), StringComparison.Ordinal);

        await _talk.ChangeAsync(_scenario.Id, Booking.Scenario);
        await _talk.Platform.Get<ManageScenarios>().DeleteAsync(_talk.Actor, _scenario.Id, default, default);
        Assert.DoesNotContain("e-mail", await _talk.SayAsync("book a table"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    [Behaviour("ps-session-version-pin")]
    public async Task Who_is_in_it_goes_on_with_the_version_they_began_with(bool deleted)
    {
        await _talk.SayAsync("book a table");
        var changed = await _talk.ChangeAsync(_scenario.Id, Booking.Scenario with { Steps = [Booking.AskEmail with { Next = null, Collect = Booking.AskEmail.Collect! with { Prompt = "New question?" } }] });
        if (deleted)
        {
            await _talk.Platform.Get<ManageScenarios>().DeleteAsync(_talk.Actor, _scenario.Id, default, default);
        }

        Assert.Equal("How many guests?", await _talk.SayAsync("ada@example.com"));

        Assert.Equal((1, 2), ((await _talk.SessionAsync()).ActiveScenarioVersion, changed.Version));
        Assert.Equal(1, (await _talk.LastScenarioStateAsync()).GetProperty("version").GetInt32());
    }

    [Fact]
    [Behaviour("ps-scenario-steps")]
    public async Task A_session_stands_only_at_a_step_of_its_version()
    {
        await _talk.SayAsync("book a table");
        var session = await _talk.SessionAsync();
        var pinned = await _talk.InAsync(tx => _talk.Platform.Get<ScenarioStore>().FindVersionAsync(tx, session.ActiveScenarioId!.Value, session.ActiveScenarioVersion!.Value, default));
        Assert.Contains(pinned!.Steps.EnumerateArray(), step => step.GetProperty("id").GetGuid() == session.CurrentStepId);

        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE conversations.sessions SET current_step_id = gen_random_uuid() WHERE id = $1", [session.SessionId], default));
        Assert.DoesNotContain("How many guests?", await _talk.SayAsync("ada@example.com"), StringComparison.Ordinal);
        Assert.Null((await _talk.SessionAsync()).ActiveScenarioId);
    }
}
