using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Variables;
using AgentPlatform.Api;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Brain;
using static AgentPlatform.Tests.Agents.Guiding;
using Talk = AgentPlatform.Tests.Brain.Talk;

namespace AgentPlatform.Tests.Agents;

/// <summary>Variables that a tool of the agent tells.</summary>
public sealed class ResolverTests : IAsyncLifetime
{
    private const string Gold = """{"tier":"gold","since":2020}""";

    private static readonly ActionDefinition Tier = new()
    {
        ActionId = "read_tier",
        ActionName = "read tier",
        ExecutionType = "http",
        ApiEndpoint = "{endpoint}/tiers/{{contact.id}}",
        ApiMethod = "GET",
        TimeoutSeconds = 3,
    };

    private Talk _talk = null!;

    public async Task InitializeAsync()
    {
        _talk = await Talk.StartAsync(Tier, Tier with { ActionId = "read_order", ActionName = "read order", ApiEndpoint = "{endpoint}/orders/{{contact.external_id}}" }, Jobs.Apply);
        await _talk.RuleAsync(Says("my standing", "You are {{tier}}."));
    }

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("ps-variable-resolution")]
    public async Task A_variable_that_the_talk_has_not_set_is_told_by_its_tool_once()
    {
        await DeclareAsync("read_tier");
        _talk.Endpoint.Answers(200, Gold);

        Assert.Equal("You are gold.", await _talk.SayAsync("my standing"));
        Assert.Equal("You are gold.", await _talk.SayAsync("my standing"));
        Assert.Equal($"/tiers/{_talk.ContactId}", Assert.Single(_talk.Endpoint.Requests).Target);
        Assert.Contains("variables.resolved", await _talk.EventsAsync());
        var known = (await _talk.SessionAsync()).State.Resolved["tier"];
        Assert.Equal(("read_tier", "gold", null), (known.Tool, known.Value!.Value.GetString(), known.Error));
        await Manage.SetAsync(_talk.Actor, (await _talk.SessionAsync()).SessionId, new Dictionary<string, System.Text.Json.JsonElement> { ["tier"] = Json.Of("silver") }, default);

        Assert.Equal("You are silver.", await _talk.SayAsync("my standing"));
        Assert.Single(_talk.Endpoint.Requests);
    }

    [Theory]
    [InlineData("refuses")]
    [InlineData("hangs")]
    [InlineData("tells something else")]
    [Behaviour("ps-variable-resolution")]
    public async Task When_its_tool_fails_the_default_holds_and_the_tool_is_left_alone_for_a_while(string how)
    {
        await DeclareAsync("read_tier");
        _ = how switch
        {
            "refuses" => _talk.Endpoint.Answers(500, Gold),
            "hangs" => _talk.Endpoint.Hangs(),
            _ => _talk.Endpoint.Answers(200, """{"level":"gold"}"""),
        };

        Assert.Equal("You are new.", await _talk.SayAsync("my standing"));
        _talk.Endpoint.Answers(200, Gold).Skip();
        Assert.Equal("You are new.", await _talk.SayAsync("my standing"));
        Assert.Single(_talk.Endpoint.Requests);
        Assert.NotNull((await _talk.SessionAsync()).State.Resolved["tier"].Error);

        await AgeAsync(TimeSpan.FromMinutes(6));
        Assert.Equal("You are gold.", await _talk.SayAsync("my standing"));
    }

    [Fact]
    [Behaviour("ps-variable-resolution")]
    public async Task What_a_tool_told_long_ago_is_asked_again_and_gives_way_to_the_default_when_that_fails()
    {
        await DeclareAsync("read_tier");
        _talk.Endpoint.Answers(200, Gold).Answers(500, Gold);
        Assert.Equal("You are gold.", await _talk.SayAsync("my standing"));

        await AgeAsync(TimeSpan.FromMinutes(61));

        Assert.Equal("You are new.", await _talk.SayAsync("my standing"));
        Assert.Equal(2, _talk.Endpoint.Requests.Count);
    }

    [Fact]
    public async Task Who_says_stop_waits_for_no_tool()
    {
        await DeclareAsync("read_tier");
        _talk.Endpoint.Hangs();

        Assert.StartsWith("You will not hear from us again.", await _talk.SayAsync("stop"), StringComparison.Ordinal);

        Assert.Empty(_talk.Endpoint.Requests);
    }

    [Fact]
    public async Task An_address_with_a_hole_is_not_asked()
    {
        await DeclareAsync("read_order");
        _talk.Endpoint.Answers(200, Gold);

        Assert.Equal("You are new.", await _talk.SayAsync("my standing"));

        Assert.Empty(_talk.Endpoint.Requests);
        Assert.Equal("contact.external_id is not known.", (await _talk.SessionAsync()).State.Resolved["tier"].Error);
    }

    [Fact]
    public async Task A_resolver_is_an_action_of_the_agent_that_only_reads_and_one_that_goes_leaves_the_default()
    {
        foreach (var tool in new[] { "apply_job", "nothing" })
        {
            var refused = await Manage.DeclareAsync(_talk.Actor, _talk.AgentId, new("tier", null, null, null, tool), default);
            Assert.Equal("resolver_tool_id", Assert.Single(refused.Problem!.Errors!).Key);
        }

        var declared = await DeclareAsync("read_tier");
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE actions.action_registry SET is_active = false WHERE action_id = 'read_tier'", [], default));
        Assert.Equal("You are new.", await _talk.SayAsync("my standing"));
        Assert.Empty(_talk.Endpoint.Requests);
        Assert.Equal("read_tier", (await Manage.ChangeAsync(_talk.Actor, declared.Id, new(null, "what they pay", null, null), IfMatch.Any, default)).Value.ResolverToolId);
        Assert.Null((await Manage.ChangeAsync(_talk.Actor, declared.Id, new(null, null, null, null, ""), IfMatch.Any, default)).Value.ResolverToolId);
    }

    private ManageVariables Manage => _talk.Platform.Get<ManageVariables>();

    private async Task<Variable> DeclareAsync(string tool)
    {
        var declared = await Manage.DeclareAsync(_talk.Actor, _talk.AgentId, new("tier", null, "new", null, tool), default);
        Assert.True(declared.IsOk, Json.Text(declared.Problem));
        return declared.Value;
    }

    /// <summary>What the session knows was told that much earlier.</summary>
    private async Task AgeAsync(TimeSpan by)
    {
        var id = (await _talk.SessionAsync()).SessionId;
        await _talk.InAsync(async tx =>
        {
            var sessions = _talk.Platform.Get<SessionStore>();
            var session = (await sessions.FindAsync(tx, id, default))!;
            var older = session.State.Resolved.ToDictionary(one => one.Key, one => one.Value with { ResolvedAt = one.Value.ResolvedAt - by }, StringComparer.Ordinal);
            sessions.Save(tx, session with { State = session.State with { Resolved = older } });
        });
    }
}
