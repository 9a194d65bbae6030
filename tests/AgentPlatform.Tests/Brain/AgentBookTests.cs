using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Agents.Variables;
using AgentPlatform.Api;
using AgentPlatform.Brain.Rules;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Agents;

namespace AgentPlatform.Tests.Brain;

/// <summary>Changes are made on one host; the turns are taken, and the books read, on another that has the agent in memory already.</summary>
public sealed class AgentBookTests : IAsyncLifetime
{
    private Talk _talk = null!;
    private TestPlatform _other = null!;

    public async Task InitializeAsync()
    {
        _talk = await Talk.StartAsync(Jobs.CancelApplication);
        _other = _talk.Platform.Twin();
        await BookAsync();
    }

    public async Task DisposeAsync()
    {
        await _other.DisposeAsync();
        await _talk.DisposeAsync();
    }

    private ActionRegistry Registry => _talk.Platform.Get<ActionRegistry>();

    [Fact]
    [Behaviour("mk-skill-hot-reload")]
    public async Task An_action_is_offered_replaced_and_gone_at_the_next_turn_of_another_host()
    {
        var action = new ActionDefinition { ActionId = "weather", ActionName = "tell weather", ResponseTemplate = "Sunny." };
        Assert.DoesNotContain("Sunny.", await HearOnOtherAsync("tell weather"), StringComparison.Ordinal);

        Assert.True((await _talk.InAsync(tx => Registry.CreateAsync(tx, _talk.AgentId, action, default))).IsOk);
        Assert.Equal("Sunny.", await HearOnOtherAsync("tell weather"));

        Assert.True((await _talk.InAsync(tx => Registry.ReplaceAsync(tx, _talk.AgentId, action with { ActionName = "forecast" }, IfMatch.Any, default))).IsOk);
        Assert.Equal("Sunny.", await HearOnOtherAsync("forecast"));

        Assert.True((await _talk.InAsync(tx => Registry.DeleteAsync(tx, _talk.AgentId, "weather", IfMatch.Any, default))).IsOk);
        Assert.DoesNotContain("Sunny.", await HearOnOtherAsync("forecast"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_tool_that_is_switched_off_on_or_forgotten_is_so_at_the_next_turn_of_another_host()
    {
        var tools = _talk.Platform.Get<ManageTools>();
        const string withdrawn = "Your application is withdrawn.";
        Assert.Equal(withdrawn, await HearOnOtherAsync("cancel application"));

        Assert.True((await tools.PutAsync(_talk.Actor, _talk.AgentId, "cancel_application", new(false, null), IfMatch.Any, default)).IsOk);
        Assert.DoesNotContain(withdrawn, await HearOnOtherAsync("cancel application"), StringComparison.Ordinal);

        Assert.True((await tools.PutAsync(_talk.Actor, _talk.AgentId, "cancel_application", new(true, null), IfMatch.Any, default)).IsOk);
        Assert.Equal(withdrawn, await HearOnOtherAsync("cancel application"));

        Assert.True((await tools.DeleteAsync(_talk.Actor, _talk.AgentId, "cancel_application", IfMatch.Any, default)).IsOk);
        Assert.Empty((await BookAsync()).Actions);
    }

    [Fact]
    public async Task A_scenario_is_led_in_its_new_version_and_gone_at_the_next_turn_of_another_host()
    {
        var scenario = await _talk.GuideAsync();
        Assert.Equal("Let us book a table.\nWhat is your e-mail?", await HearOnOtherAsync("book a table"));

        await _talk.ChangeAsync(scenario.Id, Booking.Scenario with { Name = "find a seat" });
        Assert.Equal((2, "find a seat"), (Assert.Single((await BookAsync()).Scenarios).Version, (await BookAsync()).Scenarios[0].Name));
        await _talk.MeetAsync();
        Assert.StartsWith("Let us book a table.", await HearOnOtherAsync("find a seat"), StringComparison.Ordinal);

        Assert.True((await _talk.Platform.Get<ManageScenarios>().DeleteAsync(_talk.Actor, scenario.Id, IfMatch.Any, default)).IsOk);
        await _talk.MeetAsync();
        Assert.DoesNotContain("book a table", await HearOnOtherAsync("find a seat"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_variables_default_holds_from_the_next_turn_of_another_host_on_and_ends_with_it()
    {
        var manage = _talk.Platform.Get<ManageVariables>();
        await _talk.RuleAsync(Guiding.Says("hours", "Open until {{closing}}."));
        Assert.Equal("Open until .", await HearOnOtherAsync("your hours"));

        var declared = (await manage.DeclareAsync(_talk.Actor, _talk.AgentId, new("closing", null, "six", null), default)).Value;
        Assert.Equal("Open until six.", await HearOnOtherAsync("your hours"));

        Assert.True((await manage.ChangeAsync(_talk.Actor, declared.Id, new(null, null, "nine", null), IfMatch.Any, default)).IsOk);
        Assert.Equal("Open until nine.", await HearOnOtherAsync("your hours"));

        Assert.True((await manage.DeleteAsync(_talk.Actor, declared.Id, IfMatch.Any, default)).IsOk);
        Assert.Equal("Open until .", await HearOnOtherAsync("your hours"));
    }

    [Fact]
    public async Task Rules_and_templates_hold_at_the_next_turn_of_another_host()
    {
        var rule = await _talk.RuleAsync(Guiding.Says("pizza", "Pizza!"));
        Assert.Equal("Pizza!", await HearOnOtherAsync("pizza"));

        Assert.True((await _talk.Platform.Get<ManageRules>().DeleteAsync(_talk.Actor, rule.Id, IfMatch.Any, default)).IsOk);
        await _talk.WordAsync("Say it again?", "FALLBACK");
        Assert.Equal("Say it again?", await HearOnOtherAsync("pizza"));
    }

    [Fact]
    public async Task A_book_is_read_once_a_version_and_not_before_a_change_is_committed()
    {
        var before = await BookAsync();
        await using (var tx = _talk.Platform.Database.Begin(_talk.Actor))
        {
            await tx.ExecuteAsync("DELETE FROM actions.action_registry WHERE agent_id = $1", [_talk.AgentId], default);
            Assert.Same(before, await BookAsync());
            await tx.CommitAsync(default);
        }

        var after = await BookAsync();
        Assert.Equal((1, 0), (before.Actions.Count, after.Actions.Count));
        Assert.Same(after, await BookAsync());
    }

    [Theory]
    [InlineData("tenancy.agents")]
    [InlineData("tenancy.tenants")]
    public async Task An_agent_goes_with_all_that_it_has(string with)
    {
        await _talk.GuideAsync();
        await _talk.InAsync(tx => tx.ExecuteAsync("DELETE FROM agents.guidance WHERE agent_id = $1", [_talk.AgentId], default));

        await _talk.Platform.Postgres.ScalarAsync<string>($"WITH gone AS (DELETE FROM {with} RETURNING id) SELECT max(id::text) FROM gone");

        Assert.Equal(0, await _talk.Platform.Postgres.ScalarAsync<long>("SELECT (SELECT count(*) FROM agents.guidance) + (SELECT count(*) FROM agents.scenarios)"));
    }

    private Task<AgentBook> BookAsync() => _other.AsAsync(_talk.Actor, tx => _other.Get<AgentBooks>().OfAgentAsync(tx, _talk.AgentId, default));

    private async Task<string> HearOnOtherAsync(string text)
    {
        await _talk.HearAsync(text);
        await _other.DrainAsync();
        return await _talk.RepliesAsync();
    }
}
