using System.Text.Json;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Api;
using AgentPlatform.Brain.Rules;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Brain;
using static AgentPlatform.Tests.Agents.Guiding;

namespace AgentPlatform.Tests.Agents;

public sealed class RuleTalkTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync()
    {
        _talk = await Talk.StartAsync(Jobs.CancelApplication, Jobs.Search);
        _talk.Endpoint.Answers(200, Jobs.Found);
    }

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Theory]
    [InlineData("phrases", "money back\nrefund", "I want a REFUND!", "I want to refundate")]
    [InlineData("pattern", @"\border\s+#?\d{4,}\b", "where is Order #12345", "where is order 12")]
    [InlineData("expression", """{"all":[{"path":"$.channel","equals":"web"},{"path":"$.turn","less_than":2}]}""", "nothing special", null)]
    public async Task A_rule_speaks_when_its_condition_holds(string kind, string condition, string holds, string? not)
    {
        await _talk.RuleAsync(Says(condition, "The rule speaks.", "speaks") with { ConditionKind = kind });

        Assert.Equal("The rule speaks.", await _talk.SayAsync(holds));
        Assert.Equal(["speaks: fired"], await _talk.OutcomesAsync());
        Assert.DoesNotContain("The rule speaks.", await _talk.SayAsync(not ?? holds), StringComparison.Ordinal);
        Assert.Empty(await _talk.OutcomesAsync());
    }

    [Fact]
    [Behaviour("ps-rule-priority")]
    public async Task Rules_are_ordered_by_priority_and_disabled_ones_never_match()
    {
        Assert.Equal(0, (await _talk.RuleAsync(Says("pizza", "Second."))).Priority);
        await _talk.RuleAsync(Says("pizza", "First.", "first") with { Priority = 5 });
        await _talk.RuleAsync(Says("pizza", "Third.", "third") with { Priority = -1 });
        await _talk.RuleAsync(Says("pizza", "Never.", "never") with { Priority = 9, Enabled = false });

        Assert.Equal("First.\nSecond.\nThird.", await _talk.SayAsync("a pizza please"));
        Assert.Equal(["first: fired", "pizza: fired", "third: fired"], await _talk.OutcomesAsync());
    }

    [Fact]
    [Behaviour("ps-rule-scope-target")]
    public async Task A_rule_of_a_scenario_or_a_step_holds_only_inside()
    {
        var scenario = await _talk.GuideAsync();
        await _talk.RuleAsync(Says("allergy", "Tell the waiter.", "everywhere"));
        await _talk.RuleAsync(Says("allergy", "We note it.", "booking") with { Scope = "SCENARIO", ScopeId = scenario.Id });
        await _talk.RuleAsync(Says("allergy", "For how many?", "guests") with { Scope = "STEP", ScopeId = Scenario.StepId(scenario.Id, "ask_guests") });

        Assert.Equal("Tell the waiter.", await _talk.SayAsync("I have an allergy"));
        await _talk.SayAsync("book a table");
        Assert.Equal("Tell the waiter.\nWe note it.\nWhat is your e-mail?", await _talk.SayAsync("I have an allergy"));
        Assert.Equal(["everywhere: fired", "booking: fired"], await _talk.OutcomesAsync());
        Assert.Equal("How many guests?", await _talk.SayAsync("ada@example.com"));
        Assert.Equal("Tell the waiter.\nWe note it.\nFor how many?\nHow many guests?", await _talk.SayAsync("I have an allergy"));
        Assert.Equal(["everywhere: fired", "booking: fired", "guests: fired"], await _talk.OutcomesAsync());
    }

    [Fact]
    public async Task Of_rules_that_exclude_each_other_the_one_of_higher_priority_fires_and_the_other_is_named_as_lost()
    {
        var high = await _talk.RuleAsync(Says("pizza", "High.", "high") with { Priority = 2 });
        await _talk.RuleAsync(Says("pizza", "Low.", "low") with { Excludes = [high.Id] });

        Assert.Equal("High.", await _talk.SayAsync("pizza"));
        var lost = (await _talk.RulesMatchedAsync())[1];
        Assert.Equal(("lost", "excluded", "high", high.Id), (lost.GetProperty("outcome").GetString(), lost.GetProperty("reason").GetString(), lost.GetProperty("other_rule").GetString(), lost.GetProperty("other_rule_id").GetGuid()));
    }

    [Fact]
    public async Task A_rule_overrides_another_whatever_their_priorities_but_only_when_it_fires_itself()
    {
        var plain = await _talk.RuleAsync(Says("pizza", "Plain.", "plain") with { Priority = 9 });
        var vip = await _talk.RuleAsync(Says("vip", "Noted.", "vip"));
        await _talk.RuleAsync(Says("pizza", "Special.", "special") with { Overrides = [plain.Id], Requires = [vip.Id] });

        Assert.Equal("Plain.", await _talk.SayAsync("pizza"));
        Assert.Equal(["plain: fired", "special: unmet"], await _talk.OutcomesAsync());
        Assert.Equal("vip", (await _talk.RulesMatchedAsync())[1].GetProperty("other_rule").GetString());

        Assert.Equal("Noted.\nSpecial.", await _talk.SayAsync("a pizza for a vip"));
        Assert.Equal(["plain: lost", "vip: fired", "special: fired"], await _talk.OutcomesAsync());
        Assert.Equal("overridden", (await _talk.RulesMatchedAsync())[0].GetProperty("reason").GetString());
    }

    [Fact]
    [Behaviour("ps-rule-action-config")]
    public async Task A_rule_asks_and_a_yes_does_what_its_configuration_says()
    {
        await _talk.RuleAsync(Rule("bored", "ask", new { text = "Shall I look for jobs?", on_yes = "search_jobs", @params = new { job_title = "{{trade}}" } }));
        await _talk.RuleAsync(Rule("i am a baker", "set_variable", new { name = "trade", value = "baker" }));
        await _talk.SayAsync("I am a baker");

        Assert.Equal("Shall I look for jobs?", await _talk.SayAsync("I am bored"));
        Assert.StartsWith("Here is what I found for baker:", await _talk.SayAsync("yes"), StringComparison.Ordinal);
    }

    [Fact]
    [Behaviour("ps-rule-action-config")]
    public async Task A_rule_does_an_action_with_its_parameters_and_hands_over_without_any_configuration()
    {
        await _talk.RuleAsync(Rule("bakery", "do", new { action = "search_jobs", @params = new { job_title = "baker" } }));
        Assert.Equal(JsonValueKind.Object, (await _talk.RuleAsync(Rule("lawyer", "hand_off"))).ActionConfig.ValueKind);

        Assert.StartsWith("Here is what I found for baker:", await _talk.SayAsync("a bakery"), StringComparison.Ordinal);
        Assert.Equal("search_jobs", Assert.Single(await _talk.QueueAsync()).ActionId);
        Assert.StartsWith("I am getting a colleague", await _talk.SayAsync("my lawyer will write"), StringComparison.Ordinal);
        Assert.Equal("human", await _talk.InAsync(tx => tx.SingleAsync<string>("SELECT handled_by FROM conversations.conversations WHERE id = $1", [_talk.ConversationId], default)));
    }

    [Fact]
    public async Task A_rule_enters_a_scenario_with_what_was_told_and_what_other_rules_say()
    {
        var scenario = await _talk.GuideAsync();
        await _talk.RuleAsync(Rule("hungry", "enter_scenario", new { scenario_id = scenario.Id }, "enters"));
        await _talk.RuleAsync(Says("hungry", "Poor you.", "pities") with { Priority = 1 });

        Assert.Equal("Poor you.\nLet us book a table.\nHow many guests?", await _talk.SayAsync("I am hungry, ada@example.com"));
        Assert.Equal(scenario.Id, (await _talk.SessionAsync()).ActiveScenarioId);
        Assert.Equal("Poor you.\nHow many guests?", await _talk.SayAsync("I am hungry"));
        Assert.Equal(["pities: fired", "enters: unavailable"], await _talk.OutcomesAsync());
    }

    [Fact]
    public async Task Of_the_rules_that_ask_or_lead_elsewhere_only_the_first_does()
    {
        await _talk.RuleAsync(Rule("pizza", "ask", new { text = "Which size?" }, "size"));
        await _talk.RuleAsync(Rule("pizza", "ask", new { text = "Which topping?" }, "topping"));

        Assert.Equal("Which size?", await _talk.SayAsync("pizza"));
        Assert.Equal(["size: fired", "topping: lost"], await _talk.OutcomesAsync());
    }

    [Fact]
    public async Task A_rule_that_sets_a_variable_leaves_the_answer_to_others_and_the_variable_obeys_its_policy()
    {
        await _talk.Platform.Get<AgentPlatform.Agents.Variables.ManageVariables>().DeclareAsync(_talk.Actor, _talk.AgentId, new("topics", null, null, "APPEND"), default);
        await _talk.RuleAsync(Rule("jobs", "set_variable", new { name = "topics", value = "work for {{contact.first_name}}" }));
        await _talk.RuleAsync(Says("what now", "You spoke of {{#each topics}}{{this}}, {{/each}}{{contact.first_name}}.", "asks") with { Priority = 3 });
        await _talk.InAsync(tx => _talk.Platform.Get<ContactDirectory>().SetFieldAsync(tx, _talk.ContactId, new FieldWrite("first_name", "Ada", FieldWrite.UserProvided), default));

        Assert.StartsWith("Here is what I found", await _talk.SayAsync("find me baker jobs"), StringComparison.Ordinal);
        await _talk.SayAsync("find me cook jobs");
        Assert.Equal("You spoke of work for Ada, work for Ada, Ada.", await _talk.SayAsync("what now"));
    }

    [Fact]
    public async Task Rules_are_read_and_compiled_once_a_version()
    {
        await _talk.RuleAsync(Says("pizza", "Pizza!"));
        // The first turn deploys the instance that takes it.
        await _talk.SayAsync("pizza");
        var books = _talk.Platform.Get<AgentBooks>();
        Task<AgentBook> BookAsync() => _talk.InAsync(tx => books.OfAgentAsync(tx, _talk.AgentId, default));
        var first = await BookAsync();
        await _talk.SayAsync("pizza");
        Assert.Same(first, await BookAsync());

        await _talk.RuleAsync(Says("pasta", "Pasta!"));
        Assert.Equal("Pasta!", await _talk.SayAsync("pasta"));
        Assert.Equal((1, 2), (first.Rules.Rules.Count, (await BookAsync()).Rules.Rules.Count));
    }

    [Fact]
    public async Task A_pattern_that_takes_too_long_never_fires_and_is_told_of()
    {
        for (var i = 0; i < 7; i++)
        {
            await _talk.RuleAsync(Says("(x+x+)+y", "Found.", $"slow {i}") with { ConditionKind = "pattern" });
        }

        await _talk.RuleAsync(Says("xxx", "Quick.", "quick") with { ConditionKind = "expression", ConditionText = """{"path":"$.channel","equals":"web"}""" });

        Assert.Equal("Quick.", await _talk.SayAsync(new string('x', 300)));
        Assert.Equal(["slow 0: unavailable", "slow 1: unavailable", "slow 2: unavailable", "slow 3: unavailable", "slow 4: unavailable", "slow 5: unavailable", "slow 6: unavailable", "quick: fired"], await _talk.OutcomesAsync());
    }

    [Fact]
    public async Task What_answers_a_question_or_is_a_control_word_meets_no_rule()
    {
        await _talk.RuleAsync(Says("baker\nstop", "The rule speaks."));
        Assert.Equal("Which job title?", await _talk.SayAsync("search jobs"));

        Assert.StartsWith("Here is what I found for baker", await _talk.SayAsync("baker"), StringComparison.Ordinal);
        Assert.DoesNotContain("The rule speaks", await _talk.SayAsync("stop"), StringComparison.Ordinal);
        Assert.Empty(await _talk.OutcomesAsync());
    }

    [Fact]
    public async Task A_change_holds_from_the_next_turn_on_and_what_is_gone_makes_a_rule_unavailable()
    {
        var rule = await _talk.RuleAsync(Rule("bakery", "do", new { action = "cancel_application" }));
        Assert.Equal("Your application is withdrawn.", await _talk.SayAsync("bakery"));

        await _talk.ChangeAsync(rule.Id, Says("bakery", "Bread!"));
        Assert.Equal("Bread!", await _talk.SayAsync("bakery"));

        await _talk.ChangeAsync(rule.Id, Rule("bakery", "do", new { action = "cancel_application" }));
        await _talk.InAsync(tx => _talk.Platform.Get<AgentPlatform.Actions.Registry.ActionRegistry>().DeleteAsync(tx, _talk.AgentId, "cancel_application", IfMatch.Any, default));
        await _talk.SayAsync("bakery");
        Assert.Equal(["bakery: unavailable"], await _talk.OutcomesAsync());

        Assert.True((await _talk.Platform.Get<ManageRules>().DeleteAsync(_talk.Actor, rule.Id, IfMatch.Any, default)).IsOk);
        await _talk.SayAsync("bakery");
        Assert.Empty(await _talk.OutcomesAsync());
    }
}
