using AgentPlatform.Agents.Rules;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Api;
using AgentPlatform.Brain;
using AgentPlatform.Brain.Nlu.Models;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Brain;
using Microsoft.Extensions.DependencyInjection;
using static AgentPlatform.Tests.Agents.Guiding;
using Talk = AgentPlatform.Tests.Brain.Talk;

namespace AgentPlatform.Tests.Agents;

/// <summary>Scenarios' entries and rules' examples as classes of the agent's trained classifier.</summary>
public sealed class TaughtTests : IAsyncLifetime
{
    private const string Broken = "my parcel arrived damaged\nthe thing you sent me is broken\nwhat i received does not work\nthe package was crushed\nit came in pieces\nthe item i got has a crack";

    private static readonly ScenarioInput Dinner = Booking.Scenario with
    {
        EntryCondition =
        [
            "reserve a table", "table reservation", "we would like to eat at your place tonight", "do you have room for us at dinner", "can we come for dinner on friday",
            "i want to have supper with my family at your restaurant", "is there a free table this evening",
        ],
    };

    private Talk _talk = null!;

    public async Task InitializeAsync()
    {
        _talk = await Talk.StartAsync(services => services.Configure<BrainOptions>(o => o.TrainAfterSeconds = 0), Jobs.CancelApplication, Jobs.Search);
        _talk.Endpoint.Answers(200, Jobs.Found);
    }

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    public async Task A_sentence_like_an_entry_phrase_enters_the_scenario_by_the_model()
    {
        var scenario = await _talk.GuideAsync(Dinner);
        await _talk.Platform.DrainAsync();

        Assert.Equal("Let us book a table.\nHow many guests?", await _talk.SayAsync("Hello! Could our family have dinner at your restaurant on Friday? I am ada@example.com"));

        var intent = Assert.Single(await _talk.IntentsAsync());
        Assert.Equal(("scenario", "book a table"), (intent.IntentType, intent.CanonicalIntent));
        Assert.StartsWith("model 1 recognises \"Could our family", intent.Reasoning, StringComparison.Ordinal);
        Assert.InRange(intent.Confidence, 0.75m, 1m);
        Assert.Equal(scenario.Id, (await _talk.SessionAsync()).ActiveScenarioId);
    }

    [Fact]
    public async Task A_guess_below_the_threshold_is_asked_about_and_a_yes_enters_with_what_was_said()
    {
        var scenario = await _talk.GuideAsync(Dinner);
        await _talk.Platform.DrainAsync();
        await using var unsure = await SurerAsync(from: 1.00m);

        Assert.Equal("Did you mean: book a table?", await unsure.SayAsync("could our family have dinner at your restaurant on friday, i am ada@example.com"));
        Assert.Null((await _talk.SessionAsync()).ActiveScenarioId);
        Assert.Equal("confirmation asked", Assert.Single(await _talk.IntentsAsync()).Resolution);

        Assert.Equal("Let us book a table.\nHow many guests?", await unsure.SayAsync("yes"));
        Assert.Equal(scenario.Id, (await _talk.SessionAsync()).ActiveScenarioId);
        Assert.Equal("confirmed", (await _talk.IntentsAsync())[^1].Reasoning);

        await unsure.SayAsync("cancel");
        Assert.Equal("Did you mean: book a table?", await unsure.SayAsync("could our family have dinner at your restaurant on friday, i am ada@example.com"));
        Assert.Equal("All right, I will leave it.", await unsure.SayAsync("no"));
        Assert.Null((await _talk.SessionAsync()).ActiveScenarioId);
    }

    [Fact]
    public async Task What_the_registry_says_literally_wins_over_a_guess()
    {
        await _talk.GuideAsync(Dinner);
        await _talk.RuleAsync(Says(Broken, "I am sorry.", "broken") with { ConditionKind = "examples" });
        await _talk.Platform.DrainAsync();

        Assert.Contains("job title", await _talk.SayAsync("Could our family have dinner at your restaurant on Friday? Find jobs"), StringComparison.Ordinal);
        Assert.Null((await _talk.SessionAsync()).ActiveScenarioId);
        await _talk.SayAsync("cancel");
        await _talk.SayAsync("what you sent me is broken and does not work, cancel application");
        Assert.Equal("cancel_application", (await _talk.IntentsAsync())[^1].CanonicalIntent);
        Assert.Empty((await _talk.RulesMatchedAsync()).EnumerateArray());
    }

    [Fact]
    public async Task A_change_of_scenarios_asks_for_training_in_its_transaction_and_the_old_model_serves_meanwhile()
    {
        await _talk.Platform.DrainAsync();
        var scenario = await _talk.GuideAsync(Dinner);
        Assert.Equal(1, (await CurrentAsync()).Version);
        Assert.DoesNotContain($"scenario:{scenario.Id}", (await CurrentAsync()).Model.Intents);

        await _talk.Platform.DrainAsync();
        Assert.Equal(2, (await CurrentAsync()).Version);
        Assert.Contains($"scenario:{scenario.Id}", (await CurrentAsync()).Model.Intents);

        await _talk.ChangeAsync(scenario.Id, Dinner with { Description = "The same sentences." });
        await _talk.Platform.DrainAsync();
        Assert.Equal(2, (await CurrentAsync()).Version);

        Assert.True((await _talk.Platform.Get<ManageScenarios>().DeleteAsync(_talk.Actor, scenario.Id, IfMatch.Any, default)).IsOk);
        Assert.DoesNotContain("Let us book", await _talk.SayAsync("could our family have dinner at your restaurant on friday"), StringComparison.Ordinal);
        Assert.Equal(3, (await CurrentAsync()).Version);
        Assert.DoesNotContain($"scenario:{scenario.Id}", (await CurrentAsync()).Model.Intents);
    }

    [Fact]
    public async Task A_rule_by_examples_fires_for_a_sentence_like_them_and_is_explained_below_the_threshold()
    {
        await _talk.RuleAsync(Says(Broken, "I am sorry to hear that.", "broken") with { ConditionKind = "examples" });
        await _talk.Platform.DrainAsync();

        Assert.Equal("I am sorry to hear that.", await _talk.SayAsync("hi, the parcel you sent me has arrived broken"));
        var fired = Assert.Single((await _talk.RulesMatchedAsync()).EnumerateArray().ToArray());
        Assert.Equal(("fired", 0.75m), (fired.GetProperty("outcome").GetString(), fired.GetProperty("threshold").GetDecimal()));

        await _talk.SayAsync("who wrote hamlet");
        Assert.Empty((await _talk.RulesMatchedAsync()).EnumerateArray());

        await using var unsure = await SurerAsync(from: 1.00m);
        await unsure.SayAsync("hi, the parcel you sent me has arrived broken");
        var below = Assert.Single((await _talk.RulesMatchedAsync()).EnumerateArray().ToArray());
        Assert.Equal(("below_threshold", 1.00m), (below.GetProperty("outcome").GetString(), below.GetProperty("threshold").GetDecimal()));
        Assert.InRange(below.GetProperty("similarity").GetDecimal(), 0.50m, 0.99m);
    }

    [Fact]
    public async Task A_rule_of_other_conditions_trains_nothing_and_one_that_loses_its_examples_does()
    {
        await _talk.Platform.DrainAsync();
        var rule = await _talk.RuleAsync(Says("refund", "Money.", "refund"));
        Assert.Equal(0, await WaitingAsync());

        await _talk.ChangeAsync(rule.Id, Says(Broken, "Money.", "refund") with { ConditionKind = "examples" });
        Assert.Equal(1, await WaitingAsync());
        await _talk.Platform.DrainAsync();
        Assert.Contains($"rule:{rule.Id}", (await CurrentAsync()).Model.Intents);

        await _talk.ChangeAsync(rule.Id, Says("refund", "Money.", "refund"));
        await _talk.Platform.DrainAsync();
        Assert.DoesNotContain($"rule:{rule.Id}", (await CurrentAsync()).Model.Intents);
    }

    [Fact]
    public async Task Examples_hold_outside_of_scenarios_only()
    {
        var scenario = await _talk.GuideAsync();
        var rule = Says(Broken, "I am sorry to hear that.", "broken") with { ConditionKind = "examples" };
        var refused = await _talk.Platform.Get<ManageRules>().CreateAsync(_talk.Actor, _talk.AgentId, rule with { Scope = "SCENARIO", ScopeId = scenario.Id }, default);
        Assert.Equal("validation_failed", refused.Problem!.Code);
        Assert.Contains(refused.Problem.Errors!, error => error.Key == "scope");

        await _talk.RuleAsync(rule);
        await _talk.SayAsync("book a table");
        Assert.DoesNotContain("I am sorry", await _talk.SayAsync("the parcel you sent me has arrived broken"), StringComparison.Ordinal);
    }

    /// <summary>Another host, which wants to be surer before it acts by a guess.</summary>
    private async Task<Unsure> SurerAsync(decimal from)
    {
        await _talk.RepliesAsync();
        return new(_talk, _talk.Platform.Twin(services => services.Configure<BrainOptions>(o => o.ConfirmModelBelow = from)));
    }

    private Task<AgentModel> CurrentAsync() => _talk.InAsync(async tx => (await _talk.Platform.Get<IntentModels>().CurrentAsync(tx, _talk.AgentId, default))!);

    private async Task<long> WaitingAsync()
    {
        await using var tx = _talk.Platform.Database.BeginWorker();
        return await tx.SingleAsync<long>("SELECT count(*) FROM work.items WHERE kind = 'brain.train' AND state = 'ready'", [], default);
    }

    private sealed class Unsure(Talk talk, TestPlatform host) : IAsyncDisposable
    {
        public async Task<string> SayAsync(string text)
        {
            await talk.HearAsync(text);
            await host.DrainAsync();
            return await talk.RepliesAsync();
        }

        public ValueTask DisposeAsync() => host.DisposeAsync();
    }
}
