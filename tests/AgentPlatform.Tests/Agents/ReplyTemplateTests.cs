using AgentPlatform.Agents.ReplyTemplates;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Api;
using AgentPlatform.Brain;
using AgentPlatform.Brain.Rules;
using AgentPlatform.Brain.Scenarios;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Brain;
using static AgentPlatform.Tests.Agents.Guiding;
using Talk = AgentPlatform.Tests.Brain.Talk;

namespace AgentPlatform.Tests.Agents;

public sealed class ReplyTemplateTests : IAsyncLifetime
{
    private Talk _talk = null!;
    private Scenario _scenario = null!;

    public async Task InitializeAsync()
    {
        _talk = await Talk.StartAsync(Jobs.CancelApplication, Jobs.Search);
        _scenario = await _talk.GuideAsync();
    }

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("ps-template-mode-values")]
    public async Task Only_the_three_modes_and_scopes_are_known_and_suggest_and_global_are_the_defaults()
    {
        var made = await _talk.WordAsync("Hello.");
        Assert.Equal(("SUGGEST", "GLOBAL"), (made.Mode, made.Scope));
        var manage = _talk.Platform.Get<ManageTemplates>();
        async Task<string> RefusedAsync(ReplyTemplateInput input) =>
            Assert.Single((await manage.CreateAsync(_talk.Actor, _talk.AgentId, input, default)).Problem!.Errors!).Key;

        Assert.Equal("mode", await RefusedAsync(new("x", "x", "FORCE", null, null)));
        Assert.Equal("scope", await RefusedAsync(new("x", "x", null, "WORLD", null)));
        Assert.Equal("scope_id", await RefusedAsync(new("x", "x", null, "STEP", _scenario.Id)));
        Assert.Equal("scope_id", await RefusedAsync(new("x", "x", null, "SCENARIO", null)));
        Assert.Equal("content", await RefusedAsync(new("x", "Hi {{shout 'x'}}", null, null, null)));
        foreach (var (sql, constraint) in new[] { ("UPDATE agents.templates SET mode = 'FORCE'", "chk_templates_mode"), ("UPDATE agents.templates SET scope = 'WORLD'", "chk_templates_scope") })
        {
            var refused = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => _talk.InAsync(tx => tx.ExecuteAsync(sql, [], default)));
            Assert.Equal(constraint, refused.ConstraintName);
        }
    }

    [Fact]
    public async Task An_exclusive_template_takes_the_place_of_the_reply_but_never_of_what_the_law_asks_for()
    {
        var template = await _talk.WordAsync("We are closed, {{contact.first_name}}.", "EXCLUSIVE");
        await _talk.InAsync(tx => _talk.Platform.Get<ContactDirectory>().SetFieldAsync(tx, _talk.ContactId, new FieldWrite("first_name", "Ada", FieldWrite.UserProvided), default));

        Assert.Equal("We are closed, Ada.", await _talk.SayAsync("hello"));
        Assert.Contains("template.used", await _talk.EventsAsync());
        Assert.Equal("You will not hear from us again. Reply START if you change your mind.", await _talk.SayAsync("stop"));
        Assert.Contains("Reply STOP at any time", await _talk.SayAsync("start"), StringComparison.Ordinal);

        var manage = _talk.Platform.Get<ManageTemplates>();
        Assert.True((await manage.ChangeAsync(_talk.Actor, template.Id, new("closed", "Shut.", "EXCLUSIVE", null, null), IfMatch.Any, default)).IsOk);
        Assert.Equal("Shut.", await _talk.SayAsync("hello"));
        Assert.True((await manage.DeleteAsync(_talk.Actor, template.Id, IfMatch.Any, default)).IsOk);
        Assert.NotEqual("Shut.", await _talk.SayAsync("hello"));
    }

    [Fact]
    public async Task A_fallback_is_said_only_when_nothing_else_is()
    {
        await _talk.WordAsync("Try asking for jobs.", "FALLBACK");

        Assert.Equal("Try asking for jobs.", await _talk.SayAsync("blorp fizzle"));
        Assert.Null((await _talk.SessionAsync()).State.AnswerSheet);
        Assert.DoesNotContain("Try asking", await _talk.SayAsync("hello"), StringComparison.Ordinal);
        Assert.Equal("Your application is withdrawn.", await _talk.SayAsync("withdraw my application"));
        await _talk.RuleAsync(Says("blorp", "Bless you."));
        Assert.Equal("Bless you.", await _talk.SayAsync("blorp fizzle"));
    }

    [Fact]
    [Behaviour("ps-template-scope-precedence")]
    public async Task The_narrowest_scope_wins_and_of_equals_the_newest()
    {
        await _talk.WordAsync("Step: {{guests}}.", "EXCLUSIVE", "STEP", Scenario.StepId(_scenario.Id, "ask_room"));
        await _talk.WordAsync("Old scenario.", "EXCLUSIVE", "SCENARIO", _scenario.Id);
        await _talk.WordAsync("Scenario.", "EXCLUSIVE", "SCENARIO", _scenario.Id);
        await _talk.WordAsync("Everywhere.", "EXCLUSIVE");

        Assert.Equal("Everywhere.", await _talk.SayAsync("hello"));
        Assert.Equal("Scenario.", await _talk.SayAsync("book a table"));
        Assert.Equal("Scenario.", await _talk.SayAsync("ada@example.com"));
        Assert.Equal("Step: 4.", await _talk.SayAsync("4"));
        Assert.Equal("Step: 4.", await _talk.SayAsync("what?"));
        Assert.Equal("Everywhere.", await _talk.SayAsync("cancel"));
    }

    [Fact]
    public async Task Suggestions_are_those_of_the_narrowest_scope_filled_in()
    {
        await _talk.WordAsync("Everywhere.");
        await _talk.WordAsync("For {{guests}}.", null, "STEP", Scenario.StepId(_scenario.Id, "ask_room"));
        await _talk.WordAsync("Never.", "FALLBACK", "STEP", Scenario.StepId(_scenario.Id, "ask_room"));
        foreach (var said in new[] { "book a table", "ada@example.com", "4" })
        {
            await _talk.SayAsync(said);
        }

        var (session, contact) = (await _talk.SessionAsync(), await _talk.ContactAsync());
        var input = new TurnInput
        {
            Messages = [],
            Text = "",
            Channel = "web",
            Turn = 4,
            Today = default,
            Now = default,
            State = session.State,
            Contact = contact,
            Agent = await _talk.InAsync(async tx => (await _talk.Platform.Get<AgentPlatform.Tenancy.AgentDirectory>().FindAsync(tx, _talk.AgentId, default))!),
            Actions = [],
            Options = new BrainOptions(),
            Variables = session.Variables,
            Rules = (await _talk.InAsync(tx => _talk.Platform.Get<AgentBooks>().OfAgentAsync(tx, _talk.AgentId, default))).Rules,
        };

        Assert.Equal(["Everywhere."], input.Suggestions);
        Assert.Equal(["For 4."], (input with { Place = ScenarioPlace.Of(session, _scenario) }).Suggestions);
    }

    [Fact]
    public async Task A_template_is_written_read_listed_and_deleted_over_the_api()
    {
        await using var api = await AgentPlatform.Tests.Api.TestApi.StartAsync();
        var own = $"/api/v1/agents/{api.Tenant.AgentId}/templates";
        var made = await api.PostAsync(own, new ReplyTemplateInput("closed", "We are closed.", "EXCLUSIVE", null, null));
        Assert.Equal(201, made.Status);
        var one = made.Header("Location")!;
        Assert.Equal("We are closed.", (await api.GetAsync(one)).Json.GetProperty("content").GetString());
        Assert.Equal("Shut.", (await api.SendAsync(HttpMethod.Put, one, new ReplyTemplateInput("closed", "Shut.", null, null, null))).Json.GetProperty("content").GetString());
        Assert.Single((await api.GetAsync(own)).Json.GetProperty("items").EnumerateArray());
        Assert.Equal(204, (await api.SendAsync(HttpMethod.Delete, one)).Status);
        Assert.Equal("template_not_found", (await api.GetAsync(one)).Code);
    }
}
