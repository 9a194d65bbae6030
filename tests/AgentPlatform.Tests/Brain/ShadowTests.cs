using System.Net;
using System.Text.Json;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Api;
using AgentPlatform.Brain;
using AgentPlatform.Brain.Shadows;
using AgentPlatform.Kernel;
using AgentPlatform.Models;
using AgentPlatform.Tests.Agents;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Models;
using AgentPlatform.Tests.Sandbox;
using AgentPlatform.Work.Operate;
using Microsoft.Extensions.DependencyInjection;
using static AgentPlatform.Tests.Agents.Guiding;

namespace AgentPlatform.Tests.Brain;

/// <summary>Other rules, thresholds and models beside the live ones: turns taken again, of which nothing happens.</summary>
public sealed class ShadowTests : IAsyncLifetime
{
    private const string Riddle = "could you perhaps get me something in nursing";

    private Talk _talk = null!;

    public async Task InitializeAsync()
    {
        // Nothing is trained meanwhile: a new classifier is a change of the agent.
        _talk = await Talk.StartAsync(services => services.Configure<BrainOptions>(o => o.TrainAfterSeconds = 3600), Jobs.Search, Jobs.CancelApplication);
        _talk.Endpoint.Answers(200, Jobs.Found);
        // The first turn deploys the instance that takes it, by which the agent changes.
        await _talk.SayAsync("thanks");
    }

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    public async Task Other_rules_take_each_turn_again_and_nothing_of_it_happens()
    {
        var rule = await _talk.RuleAsync(Says("pizza", "We have pizza.", "menu"));
        var shadow = await StartAsync(new Candidate(
            new([Rule("salad", "do", new { action = "cancel_application" }, "salad")], [new(rule.Id, Says("pizza", "Pizza is out.", "menu"))], null), null, null));

        Assert.Equal("We have pizza.", await _talk.SayAsync("a pizza please"));
        Assert.DoesNotContain("withdrawn", await _talk.SayAsync("a salad please"), StringComparison.Ordinal);
        Assert.Equal("You are welcome!", await _talk.SayAsync("thanks"));

        var turns = await TurnsAsync(shadow);
        Assert.Equal(["same", "different", "different"], turns.Select(turn => turn.Status));
        Assert.Equal((2, 3, 4), (turns[2].TurnNumber, turns[1].TurnNumber, turns[0].TurnNumber));
        Assert.Equal(["reply"], turns[2].Differences);
        Assert.Equal(("We have pizza.", "Pizza is out."), (Reply(turns[2].Live), Reply(turns[2].Candidate!.Value)));
        Assert.Equal(["actions", "intents", "reply", "rules"], turns[1].Differences.Order());
        Assert.Equal("cancel_application", turns[1].Candidate!.Value.GetProperty("actions")[0].GetProperty("action").GetString());
        Assert.Empty(await _talk.QueueAsync());
        Assert.DoesNotContain(await _talk.IntentsAsync(), intent => intent.CanonicalIntent is "cancel_application" or "salad");
        Assert.Equal(4L, await _talk.InAsync(tx => tx.SingleAsync<long>("SELECT count(*) FROM messaging.message_queue", [], default)));

        var counts = (await ReportAsync(shadow)).Counts;
        Assert.Equal((3L, 0L, 1L, 2L, 0L, 0L, 0m), (counts.Turns, counts.Waiting, counts.Same, counts.Different, counts.Skipped, counts.Calls, counts.CostUsd));
        Assert.Equal((2, 1), (counts.DifferentBy.GetProperty("reply").GetInt32(), counts.DifferentBy.GetProperty("actions").GetInt32()));
        Assert.NotNull(counts.AverageLatencyMs);
    }

    [Fact]
    public async Task A_disabled_rule_and_other_thresholds_are_tried_inside_a_scenario_too()
    {
        await _talk.GuideAsync();
        var rule = await _talk.RuleAsync(Says("allergy", "Tell the waiter.", "allergy"));
        var without = await StartAsync(new Candidate(new(null, null, [rule.Id]), null, null));
        var stricter = await StartAsync(new Candidate(null, new(100, null, null, null), null));

        Assert.Equal("Let us book a table.\nWhat is your e-mail?", await _talk.SayAsync("book a tabel"));
        Assert.Equal("Tell the waiter.\nWhat is your e-mail?", await _talk.SayAsync("I have an allergy"));
        Assert.Equal("How many guests?", await _talk.SayAsync("ada@example.com"));

        Assert.Equal(["same", "different", "same"], (await TurnsAsync(without)).Select(turn => turn.Status));
        var turns = await TurnsAsync(stricter);
        Assert.Equal(["same", "same", "different"], turns.Select(turn => turn.Status));
        Assert.Contains("scenario", turns[2].Differences);
        Assert.Equal("How many guests?", Reply(turns[0].Candidate!.Value));
    }

    [Fact]
    public async Task More_examples_and_rules_by_examples_are_learned_by_a_classifier_of_the_shadows_own()
    {
        const string broken = "my parcel arrived damaged\nthe thing you sent me is broken\nwhat i received does not work\nthe package was crushed\nit came in pieces\nthe item i got has a crack";
        string[] withdrawals =
        [
            "i changed my mind about the position", "i am no longer interested in the position", "please take my candidacy back", "i do not want to be considered any more",
            "tell them i have found something else", "i would like to step back from the process",
        ];
        var shadow = await StartAsync(new Candidate(
            new([Says(broken, "I am sorry.", "broken") with { ConditionKind = "examples" }], null, null),
            new(null, null, null, null, new Dictionary<string, string[]>(StringComparer.Ordinal) { ["cancel_application"] = withdrawals }), null));

        await _talk.SayAsync("sorry, i am not interested in that position any more, i changed my mind");
        await _talk.SayAsync("hi, the parcel you sent me has arrived broken");

        var turns = await TurnsAsync(shadow);
        Assert.Equal(["different", "different"], turns.Select(turn => turn.Status));
        Assert.Equal("unknown", turns[1].Live.GetProperty("intents")[0].GetProperty("type").GetString());
        Assert.Equal("cancel_application", turns[1].Candidate!.Value.GetProperty("intents")[0].GetProperty("canonical").GetString());
        Assert.Equal("I am sorry.", Reply(turns[0].Candidate!.Value));
        Assert.Equal(0L, await _talk.InAsync(tx => tx.SingleAsync<long>("SELECT count(*) FROM brain.nlu_models", [], default)));
    }

    [Fact]
    public async Task Another_model_is_asked_beside_and_its_cost_is_told_apart()
    {
        await using var live = await FakeModel.StartAsync();
        await using var other = await FakeModel.StartAsync();
        await _talk.AddModelAsync(live);
        await _talk.AddModelAsync(other, "other");
        await _talk.UseAsync("unsure", "main");
        live.Fills(new { say = new[] { "What exactly?" }, because = "unclear" });
        other.Fills(new { @do = new[] { new { action = "search_jobs", @params = new { job_title = "nurse" } } }, because = "wants nursing jobs" });
        var shadow = await StartAsync(new Candidate(null, null, new("other", null, null, null, null)));

        await _talk.RepliesAsync();
        await _talk.HearAsync(Riddle);
        var pause = await TakeTurnsAsync();
        // The reply is out, and part of the talk, before the shadow is asked.
        Assert.Equal("What exactly?", await _talk.RepliesAsync());
        await DecideAsync(pause);

        var turn = Assert.Single(await TurnsAsync(shadow));
        Assert.Equal(("different", 1, 0.000725m, 0.000725m), (turn.Status, turn.Calls, turn.CostUsd, turn.LiveCostUsd));
        Assert.Contains("actions", turn.Differences);
        Assert.DoesNotContain("What exactly?", Assert.Single(other.Requests).Text, StringComparison.Ordinal);
        Assert.Empty(await _talk.QueueAsync());
        var calls = await _talk.CallsAsync();
        Assert.Equal([("model_reply", "main", false), ("model_shadow_reply", "other", true)], calls.Select(call => (call.ActionType, call.ModelName, call.AgentInstanceId is null)));
        Assert.Equal(["reply", "shadow_reply"], (await _talk.UsageAsync()).Select(usage => usage.PromptType).Order());
        Assert.Single(await _talk.EventsAsync(), type => type == "model.called");
        var counts = (await ReportAsync(shadow)).Counts;
        Assert.Equal((1L, 0.000725m, 0.000725m), (counts.Calls, counts.CostUsd, counts.LiveCostUsd));
    }

    [Fact]
    public async Task What_the_budget_does_not_allow_is_not_asked_and_says_so()
    {
        await using var model = await FakeModel.StartAsync();
        await _talk.AddModelAsync(model);
        var shadow = await StartAsync(new Candidate(null, null, new("main", null, "always", null, null)));
        await _talk.LimitAsync(0.01m);

        await _talk.SayAsync(Riddle);

        var turn = Assert.Single(await TurnsAsync(shadow));
        Assert.Equal(("skipped", "over_budget", 0m), (turn.Status, turn.Reason, turn.CostUsd));
        Assert.Empty(model.Requests);
        Assert.Equal(1, (await ReportAsync(shadow)).Counts.SkippedBy.GetProperty("over_budget").GetInt32());
        Assert.DoesNotContain("model.refused", await _talk.EventsAsync());
    }

    [Fact]
    public async Task A_call_that_was_paid_for_before_its_host_died_is_not_made_again()
    {
        await using var model = await FakeModel.StartAsync();
        model.Fills(new { say = new[] { "Hm." }, because = "asked" });
        var main = await _talk.AddModelAsync(model);
        var shadow = await StartAsync(new Candidate(null, null, new("main", null, null, null, null)));
        await _talk.HearAsync(Riddle);
        var pause = await TakeTurnsAsync();
        var turn = Assert.Single(await TurnsAsync(shadow));

        // Answered and settled, and then the host was gone.
        var (place, calls) = (new CallPlace(turn.Id, 1, _talk.AgentId, "agent", _talk.ContactId, _talk.ConversationId, turn.MessageId), _talk.Platform.Get<ModelCalls>());
        var prompt = new ModelPrompt("You are Ada.", [new(true, Riddle)], new("reply", "The answer.", Json.Of(new { type = "object" })));
        var ready = await _talk.InAsync(tx => calls.PrepareAsync(tx, new NewCall(place, main, "shadow_reply", prompt), default));
        await calls.MakeAsync(_talk.Actor, Assert.IsType<CallStart.Ready>(ready).Call, _ => { }, default);
        await DecideAsync(pause);

        Assert.Single(model.Requests);
        var decided = Assert.Single(await TurnsAsync(shadow));
        Assert.Equal(("different", 1, 0.000725m, "Hm."), (decided.Status, decided.Calls, decided.CostUsd, Reply(decided.Candidate!.Value)));
    }

    [Fact]
    public async Task Only_the_sampled_turns_are_taken_and_none_that_is_not_up_for_trial()
    {
        var some = await StartAsync(Otherwise("pizza"), sampleRate: 0.5m);
        var all = await StartAsync(Otherwise("pizza"));

        for (var i = 0; i < 24; i++)
        {
            await _talk.SayAsync("thanks");
        }

        Assert.Equal(24, (await ReportAsync(all)).Counts.Turns);
        // Of 24 throws of a coin: three in a million fall outside.
        Assert.InRange((await ReportAsync(some)).Counts.Turns, 2, 22);

        await _talk.SayAsync("stop");
        await _talk.SayAsync("pizza");
        Assert.Equal(24, (await ReportAsync(all)).Counts.Turns);
    }

    [Fact]
    public async Task A_turn_whose_agent_has_changed_since_is_skipped_and_keeps_nothing_of_what_was_looked_at()
    {
        var shadow = await StartAsync(Otherwise("pizza"));
        await _talk.HearAsync("pizza");
        var pause = await TakeTurnsAsync();
        Assert.Equal(("waiting", 1L), (Assert.Single(await TurnsAsync(shadow)).Status, await InputsAsync()));

        await _talk.RuleAsync(Says("pasta", "Pasta!"));
        await DecideAsync(pause);

        var turn = Assert.Single(await TurnsAsync(shadow));
        Assert.Equal(("skipped", "agent_changed", null), (turn.Status, turn.Reason, turn.Candidate));
        Assert.Equal(0L, await InputsAsync());
    }

    [Fact]
    public async Task A_stopped_shadow_takes_no_more_turns_and_a_deleted_one_hinders_none()
    {
        var shadow = await StartAsync(Otherwise("pizza"));
        await _talk.HearAsync("pizza");
        var pause = await TakeTurnsAsync();
        Assert.Equal("stopped", (await Manage.StopAsync(_talk.Actor, shadow.Id, IfMatch.Any, default)).Value.Status);
        await DecideAsync(pause);
        await _talk.SayAsync("pizza");
        Assert.Equal(("skipped", "stopped"), Assert.Single((await TurnsAsync(shadow)).Select(turn => (turn.Status, turn.Reason))));
        Assert.Equal("shadow_stopped", (await Manage.StopAsync(_talk.Actor, shadow.Id, IfMatch.Any, default)).Problem!.Code);

        var other = await StartAsync(Otherwise("pizza"));
        await _talk.SayAsync("thanks");
        // As if the turn had been read just before: its host still believes that the shadow runs.
        await _talk.InAsync(tx => tx.ExecuteAsync("DELETE FROM brain.shadows WHERE id = $1", [other.Id], default));
        Assert.Equal("You are welcome!", await _talk.SayAsync("thanks"));
        Assert.Equal(0L, await _talk.InAsync(tx => tx.SingleAsync<long>("SELECT count(*) FROM brain.shadow_turns WHERE shadow_id = $1", [other.Id], default)));
    }

    [Fact]
    public async Task A_shadow_that_fails_leaves_the_live_turn_as_it_is_and_says_so()
    {
        var shadow = await StartAsync(Otherwise("pizza"));
        await _talk.RepliesAsync();
        await _talk.HearAsync("thanks");
        var pause = await TakeTurnsAsync();
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE brain.shadow_turns SET input = '[]'", [], default));
        await DecideAsync(pause);
        for (var i = 0; i < 3; i++)
        {
            await _talk.HastenAsync();
            await _talk.Platform.DrainAsync();
        }

        Assert.Equal("You are welcome!", await _talk.RepliesAsync());
        Assert.Equal(("skipped", "failed"), Assert.Single((await TurnsAsync(shadow)).Select(turn => (turn.Status, turn.Reason))));
    }

    [Fact]
    public async Task What_shadows_found_is_forgotten_after_a_month()
    {
        var shadow = await StartAsync(Otherwise("pizza"));
        await _talk.SayAsync("thanks");
        var retention = _talk.Platform.Get<ShadowRetention>();
        Assert.Equal(0, await retention.PruneAsync(default));

        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE brain.shadow_turns SET created_at = now() - interval '31 days'", [], default));

        Assert.Equal(1, await retention.PruneAsync(default));
        Assert.Equal(0, (await ReportAsync(shadow)).Counts.Turns);
    }

    [Fact]
    public async Task The_api_starts_shows_stops_and_deletes_and_shows_nothing_to_another_tenant()
    {
        await using var api = await TestApi.StartAsync();
        var path = $"/api/v1/agents/{api.Tenant.AgentId}/shadows";
        var rule = Says("pizza", "Pizza!", "menu");
        var started = await api.PostAsync(path, new { name = "menu", candidate = new { rules = new { add = new[] { rule } } }, sample_rate = 0.25 });
        Assert.Equal(HttpStatusCode.Created, (HttpStatusCode)started.Status);
        var id = started.Json.GetProperty("id").GetGuid();

        var report = (await api.GetAsync($"/api/v1/shadows/{id}")).Json;
        Assert.Equal(("running", 0.25m, 0), (report.GetProperty("shadow").GetProperty("status").GetString(), report.GetProperty("shadow").GetProperty("sample_rate").GetDecimal(), report.GetProperty("counts").GetProperty("turns").GetInt32()));
        Assert.Empty((await api.GetAsync($"/api/v1/shadows/{id}/turns?different=true")).Json.GetProperty("items").EnumerateArray());
        Assert.Single((await api.GetAsync(path)).Json.GetProperty("items").EnumerateArray());

        var stranger = await api.Platform.NewTenantAsync("Stranger");
        var store = api.Platform.Get<ShadowStore>();
        Assert.Null(await api.Platform.AsAsync(stranger, tx => store.FindAsync(tx, id, default)));
        Assert.Equal("shadow_not_found", (await api.Platform.Get<ManageShadows>().StopAsync(stranger, id, IfMatch.Any, default)).Problem!.Code);

        Assert.Equal("stopped", (await api.PostAsync($"/api/v1/shadows/{id}/stop", null)).Json.GetProperty("status").GetString());
        Assert.Equal(204, (await api.SendAsync(HttpMethod.Delete, $"/api/v1/shadows/{id}")).Status);
        Assert.Equal(404, (await api.GetAsync($"/api/v1/shadows/{id}/turns")).Status);
    }

    [Fact]
    public async Task What_a_candidate_names_has_to_be_there()
    {
        var rule = await _talk.RuleAsync(Says("pizza", "Pizza!", "menu"));
        async Task<string> RefusedAsync(Candidate? candidate) =>
            (await Manage.StartAsync(_talk.Actor, _talk.AgentId, new("x", candidate, null, null), default)).Problem is { } problem ? problem.Errors?.Keys.First() ?? problem.Code : "";

        Assert.Equal("candidate", await RefusedAsync(null));
        Assert.Equal("candidate", await RefusedAsync(new(new([], [], []), null, null)));
        Assert.Equal("candidate.rules", await RefusedAsync(new(new(null, null, [_talk.AgentId]), null, null)));
        Assert.Equal("candidate.rules.add[0].condition_text", await RefusedAsync(new(new([Says("(", "x") with { ConditionKind = "pattern" }], null, null), null, null)));
        Assert.Equal("candidate.rules.action_config.action", await RefusedAsync(new(new([Rule("x", "do", new { action = "fly" })], null, null), null, null)));
        Assert.Equal("candidate.rules.requires", await RefusedAsync(new(new([Says("x", "y") with { Requires = [_talk.AgentId] }], null, null), null, null)));
        Assert.Equal("candidate.understanding.believe_model_from", await RefusedAsync(new(null, new(null, null, null, 1.5m), null)));
        Assert.Equal("candidate.understanding.examples", await RefusedAsync(new(null, new(null, null, null, null, new Dictionary<string, string[]>(StringComparer.Ordinal) { ["fly"] = ["take me up"] }), null)));
        Assert.Equal("candidate.model.default_model", await RefusedAsync(new(null, null, new("none", null, null, null, null))));
        Assert.Equal("candidate.model.template_set_id", await RefusedAsync(new(null, null, new(null, null, null, rule.Id, 1))));
        for (var i = 0; i < ManageShadows.MostRunning; i++)
        {
            await StartAsync(Otherwise("pasta"));
        }

        Assert.Equal("too_many_shadows", await RefusedAsync(Otherwise("pasta")));
    }

    private ManageShadows Manage => _talk.Platform.Get<ManageShadows>();

    private static Candidate Otherwise(string phrase) => new(new([Says(phrase, "Otherwise.", "otherwise")], null, null), null, null);

    private static string? Reply(JsonElement outline) => outline.GetProperty("reply").GetString();

    private async Task<Shadow> StartAsync(Candidate candidate, decimal? sampleRate = null)
    {
        var started = await Manage.StartAsync(_talk.Actor, _talk.AgentId, new("a shadow", candidate, sampleRate, null), default);
        Assert.True(started.IsOk, Json.Text(started.Problem));
        return started.Value;
    }

    private async Task<ShadowReport> ReportAsync(Shadow shadow) => (await _talk.InAsync(tx => _talk.Platform.Get<ShadowStore>().ReportAsync(tx, shadow.Id, default)))!;

    private async Task<IReadOnlyList<ShadowTurn>> TurnsAsync(Shadow shadow) =>
        (await _talk.InAsync(tx => _talk.Platform.Get<ShadowStore>().TurnsAsync(tx, shadow.Id, different: null, new PageRequest(50, null), default))).Items;

    private Task<long> InputsAsync() => _talk.InAsync(tx => tx.SingleAsync<long>("SELECT count(*) FROM brain.shadow_turns WHERE input IS NOT NULL", [], default));

    /// <summary>The live turns alone: what they leave for shadows is held back.</summary>
    private async Task<Guid> TakeTurnsAsync()
    {
        var pause = await _talk.Platform.Get<Pauses>().PauseAsync(_talk.Actor, new("brain.shadow", null, "a test"), default);
        await _talk.Platform.DrainAsync();
        return pause.Value.Id;
    }

    private async Task DecideAsync(Guid pause)
    {
        Assert.True((await _talk.Platform.Get<Pauses>().ResumeAsync(_talk.Actor, pause, default)).IsOk);
        await _talk.Platform.DrainAsync();
    }
}
