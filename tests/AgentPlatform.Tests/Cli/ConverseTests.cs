using AgentPlatform.Cli;
using AgentPlatform.Cli.Converse;
using AgentPlatform.Demo;
using AgentPlatform.Tests.EndToEnd;
using AgentPlatform.Tests.Rules;

namespace AgentPlatform.Tests.Cli;

/// <summary>The scripted conversations, played against a real host with the demo tenant as the command plays them.</summary>
public sealed class ConverseTests : IAsyncLifetime
{
    private TestPlatform _platform = null!;
    private HostProcess _host = null!;
    private DemoFile _demo = null!;

    public async Task InitializeAsync()
    {
        _platform = await TestPlatform.StartAsync();
        _host = await HostProcess.StartAsync(_platform.Postgres.ConnectionString, ("Actions__AllowPrivateTargets", "true"), ("Channels__Custom__AllowPrivateTargets", "true"));
        var seeded = await _platform.Get<DemoSeeder>().SeedAsync(known: null, _host.Client.BaseAddress!.ToString().TrimEnd('/'), default);
        Assert.True(seeded.IsOk, seeded.Problem?.Title);
        _demo = seeded.Value;
    }

    public async Task DisposeAsync()
    {
        await _host.DisposeAsync();
        await _platform.DisposeAsync();
    }

    [Fact]
    public async Task Every_script_that_ships_holds()
    {
        var scripts = ConverseCommand.Read([Repository.Folder("tests/conversations")]);

        var results = await ConverseCommand.PlayAsync(_demo, scripts, TimeSpan.FromSeconds(90), default);

        Assert.True(scripts.Count >= 40);
        // As one text: of a collection the runner shows the beginning only.
        Assert.Equal("", string.Join('\n', results.SelectMany(r => r.Failures.Select(failure => $"{r.Script.Name}, {failure}"))));
    }

    [Fact]
    public async Task A_script_that_does_not_hold_says_where_and_what_was_seen_instead()
    {
        var script = Script.Parse("wrong", "# Not so\n> hello\n< Goodbye\n<! What can I do\n= action search_jobs completed\n= silence\n! GET /nowhere\n");

        var failures = Assert.Single(await ConverseCommand.PlayAsync(_demo, [script], TimeSpan.FromSeconds(20), default)).Failures;

        Assert.Equal(["line 3", "line 4", "line 5", "line 6", "line 7"], failures.Select(f => f[..6]));
        Assert.Contains("What can I do for you?", failures[0], StringComparison.Ordinal);
        Assert.Contains("intent.logged greeting", failures[2], StringComparison.Ordinal);
        Assert.Contains("404", failures[4], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("? what")]
    [InlineData("= mood good")]
    [InlineData("= action search_jobs")]
    [InlineData("! SEND /x")]
    public void A_line_that_is_none_is_named(string line) =>
        Assert.Contains("line 2", Assert.Throws<CommandException>(() => Script.Parse("s", $"> hi\n{line}\n")).Message, StringComparison.Ordinal);
}
