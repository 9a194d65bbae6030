using System.Text.Json;
using AgentPlatform.Agents.Prompts;
using AgentPlatform.Api;
using AgentPlatform.Brain;
using AgentPlatform.Brain.Instances;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Tenancy.Instances;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Tests.Sandbox;
using Talk = AgentPlatform.Tests.Brain.Talk;

namespace AgentPlatform.Tests.Models;

/// <summary>What of an agent runs: who takes a contact's turns, with which prompts, and what came of it.</summary>
public sealed class InstanceTests : IAsyncLifetime
{
    private const string Riddle = "could you perhaps get me something in nursing";

    private Talk _talk = null!;
    private FakeModel _model = null!;

    public async Task InitializeAsync()
    {
        _model = await FakeModel.StartAsync();
        _talk = await Talk.StartAsync(Jobs.Search);
        _talk.Endpoint.Answers(200, Jobs.Found);
    }

    public async Task DisposeAsync()
    {
        await _talk.DisposeAsync();
        await _model.DisposeAsync();
    }

    [Fact]
    [Behaviour("yp-agents-deployed", "yp-poc-agent-id")]
    public async Task Each_role_runs_as_an_instance_of_its_own_and_a_contact_who_changes_roles_changes_instances()
    {
        await _talk.OfferAsync(Onboarding.Default);
        await _talk.SayAsync("hello");
        var bouncer = (await _talk.ContactAsync()).PocInstanceId;
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE contacts.customer_profiles SET verified = true, poc_agent_type = 'concierge'", [], default));
        await _talk.SayAsync("thanks");
        var concierge = (await _talk.ContactAsync()).PocInstanceId;

        Assert.Equal([("bouncer", "primary", bouncer), ("concierge", "primary", concierge)], (await InstancesAsync()).Select(i => (i.AgentType, i.Name, (Guid?)i.Id)));
        Assert.Equal([bouncer, concierge], (await TurnsAsync()).Select(t => t.AgentInstanceId));
        Assert.Equal([bouncer, concierge], (await _talk.IntentsAsync()).Select(i => i.AgentInstanceId));
    }

    [Fact]
    [Behaviour("yp-agent-instances", "yp-poc-agent-id")]
    public async Task A_contact_stays_with_an_instance_and_is_told_by_its_prompts_and_models_until_it_is_terminated()
    {
        await _talk.AddModelAsync(_model);
        await _talk.AddModelAsync(_model, "other");
        await _talk.UseAsync("unsure", "main");
        _model.Fills(new { say = new[] { "Hm." }, because = "a riddle" });
        var set = await WordAsync("Old words.");
        Assert.True((await _talk.Platform.Get<ManageTemplateSets>().ChangeAsync(_talk.Actor, set.Id, Words("New words."), IfMatch.Any, default)).IsOk);
        var pinned = await DeployAsync("pinned", 100, set.Id, 1, Json.Of(new { default_model = "other" }));
        await _talk.SayAsync(Riddle);
        Assert.Equal(pinned.Id, (await _talk.ContactAsync()).PocInstanceId);
        var latest = await DeployAsync("latest", 1000, set.Id, null);
        await Manage.ChangeAsync(_talk.Actor, pinned.Id, new(null, null, 0, null, null, null), IfMatch.Any, default);
        await _talk.SayAsync(Riddle);

        Assert.True((await Manage.TerminateAsync(_talk.Actor, pinned.Id, IfMatch.Any, default)).IsOk);
        await _talk.SayAsync(Riddle);

        Assert.Equal(latest.Id, (await _talk.ContactAsync()).PocInstanceId);
        Assert.Equal(
            [(pinned.Id, 1, "other", "Old words."), (pinned.Id, 1, "other", "Old words."), (latest.Id, 2, "main", "New words.")],
            (await _talk.CallsAsync()).Select(c => (c.AgentInstanceId!.Value, c.PromptVersion!.Value, c.ModelName, c.InputData.GetProperty("instructions").GetString()!.Split('\n')[0])));
        var ended = Assert.Single(await InstancesAsync(), i => i.Id == pinned.Id);
        Assert.Equal("terminated", ended.Status);
        Assert.NotNull(ended.TerminatedAt);
        Assert.NotNull(ended.LastActiveAt);
        Assert.Equal("agent_instance_terminated", (await Manage.ChangeAsync(_talk.Actor, pinned.Id, new(null, "x", null, null, null, null), IfMatch.Any, default)).Problem?.Code);
        Assert.Equal("template_set_is_used", (await _talk.Platform.Get<ManageTemplateSets>().DeleteAsync(_talk.Actor, set.Id, IfMatch.Any, default)).Problem?.Code);
    }

    [Fact]
    [Behaviour("yp-agent-instances")]
    public async Task Instances_are_compared_by_turns_handoffs_calls_tokens_cost_and_actions()
    {
        await _talk.AddModelAsync(_model);
        await _talk.UseAsync("unsure", "main");
        var first = await DeployAsync("first", 100);
        _model.Fills(new { @do = new[] { new { action = "search_jobs", @params = new { job_title = "nurse" } } }, because = "wants jobs" }).Fills(new { handoff = "beyond me", say = new[] { "A colleague will help." }, because = "lost" });
        await _talk.SayAsync(Riddle);
        await Manage.TerminateAsync(_talk.Actor, first.Id, IfMatch.Any, default);
        var second = await DeployAsync("second", 100);
        await _talk.SayAsync(Riddle);

        var results = (await _talk.Platform.Get<CompareInstances>().RunAsync(_talk.Actor, _talk.AgentId, 30, default)).Value.Items;

        Assert.Equal([second.Id, first.Id], results.Select(r => r.InstanceId));
        Assert.Equal((1, 1, 0, 1, 1), (results[1].Conversations, results[1].Turns, results[1].Handoffs, results[1].Calls, results[1].ActionsCompleted));
        Assert.Equal((1, 1, 1, 1, 0), (results[0].Conversations, results[0].Turns, results[0].Handoffs, results[0].Calls, results[0].ActionsCompleted));
        var usage = await _talk.UsageAsync();
        Assert.All(results, r => Assert.Equal((FakeModel.Output, usage[0].TotalCost), (r.OutputTokens, r.CostUsd)));
        Assert.Equal("beyond me", (await TurnsAsync())[^1].HandoffReason);
        Assert.Equal("validation_failed", (await _talk.Platform.Get<CompareInstances>().RunAsync(_talk.Actor, _talk.AgentId, 31, default)).Problem?.Code);
        Assert.Equal("agent_not_found", (await _talk.Platform.Get<CompareInstances>().RunAsync(_talk.Actor, first.Id, 30, default)).Problem?.Code);
    }

    [Fact]
    public void Contacts_are_divided_by_weight_and_one_instance_more_takes_from_all_without_mixing_the_rest()
    {
        var (a, b, c, idle) = (Running(100), Running(300), Running(400), Running(0));
        var contacts = Enumerable.Range(0, 4000).Select(_ => TimeProvider.System.NewId()).ToList();

        var before = contacts.ToDictionary(id => id, id => AgentInstance.Pick(id, [a, b, idle]));
        var after = contacts.ToDictionary(id => id, id => AgentInstance.Pick(id, [idle, c, b, a]));

        Assert.InRange(before.Values.Count(i => i == a), 850, 1150);
        Assert.DoesNotContain(idle, after.Values);
        Assert.InRange(after.Values.Count(i => i == c), 1800, 2200);
        Assert.All(contacts, id => Assert.True(after[id] == c || after[id] == before[id]));
    }

    private static AgentInstance Running(int weight) =>
        new(TimeProvider.System.NewId(), Guid.Empty, "agent", "x", weight, Json.Of(new { }), null, null, "active", null, default, default, null);

    private ManageInstances Manage => _talk.Platform.Get<ManageInstances>();

    private async Task<AgentInstance> DeployAsync(string name, int weight, Guid? set = null, int? version = null, JsonElement? config = null)
    {
        var deployed = await Manage.DeployAsync(_talk.Actor, _talk.AgentId, new("agent", name, weight, config, set, version), default);
        Assert.True(deployed.IsOk, Json.Text(deployed.Problem));
        return deployed.Value;
    }

    private async Task<TemplateSet> WordAsync(string identity) => (await _talk.Platform.Get<ManageTemplateSets>().CreateAsync(_talk.Actor, _talk.AgentId, Words(identity), default)).Value;

    private static TemplateSetInput Words(string identity) => new("words", null, new Dictionary<string, string> { ["identity"] = identity }, null);

    /// <summary>Oldest first.</summary>
    private async Task<IReadOnlyList<AgentInstance>> InstancesAsync() =>
        [.. (await _talk.InAsync(tx => _talk.Platform.Get<InstanceDirectory>().LatestAsync(tx, _talk.AgentId, 50, default))).Reverse()];

    private async Task<IReadOnlyList<StoredTurn>> TurnsAsync() =>
        [.. (await _talk.InAsync(tx => _talk.Platform.Get<TurnLog>().ListAsync(tx, _talk.ConversationId, new PageRequest(50, null), default))).Items.Reverse()];
}
