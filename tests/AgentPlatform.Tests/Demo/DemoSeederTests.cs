using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.ReplyTemplates;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Brain;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Demo;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Tests.Demo;

public sealed class DemoSeederTests : IAsyncLifetime
{
    private TestPlatform _platform = null!;

    private DemoSeeder Seeder => _platform.Get<DemoSeeder>();

    public async Task InitializeAsync() => _platform = await TestPlatform.StartAsync();

    public async Task DisposeAsync() => await _platform.DisposeAsync();

    [Fact]
    public async Task Seeding_again_keeps_ids_and_secrets_and_moves_the_addresses()
    {
        var first = (await Seeder.SeedAsync(null, "http://localhost:7071", default)).Value;
        var again = (await Seeder.SeedAsync(first, "http://localhost:7099", default)).Value;

        Assert.Equal(
            (first.ApiKey, first.TenantId, first.AgentId, first.ConciergeAgentId, "http://localhost:7099"),
            (again.ApiKey, again.TenantId, again.AgentId, again.ConciergeAgentId, again.BaseUrl));
        Assert.Equal(first.Channels.Values.Select(Identity), again.Channels.Values.Select(Identity));
        Assert.All(again.Channels.Values, channel => Assert.StartsWith("http://localhost:7099/webhooks/", channel.WebhookUrl, StringComparison.Ordinal));
        var search = await ActionAsync(again, "search_jobs");
        Assert.StartsWith("http://localhost:7099/demo/", search.ApiEndpoint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Seeding_twice_leaves_one_rule_and_one_template()
    {
        var first = (await Seeder.SeedAsync(null, "http://localhost:7071", default)).Value;
        var again = (await Seeder.SeedAsync(first, "http://localhost:7071", default)).Value;
        await using var tx = _platform.Database.Begin(Actor.System(again.TenantId));

        Assert.Equal("say", Assert.Single(await _platform.Get<RuleStore>().OfAgentAsync(tx, again.AgentId, default)).ActionType);
        Assert.Equal("FALLBACK", Assert.Single(await _platform.Get<TemplateStore>().OfAgentAsync(tx, again.AgentId, default)).Mode);
    }

    [Theory]
    [InlineData("what is the salary?", "Every job on the board names its salary.")]
    [InlineData("blorp", "I find jobs and apply for them.")]
    public async Task A_newcomer_meets_the_rule_and_the_template(string said, string begins)
    {
        var demo = (await Seeder.SeedAsync(null, "http://localhost:7071", default)).Value;
        await _platform.AsAsync(Actor.System(demo.TenantId), tx => _platform.Get<Chat>().StartAsync(tx, demo.AgentId, new StartChat(null, null, said), default));
        await _platform.DrainAsync();

        var reply = await _platform.AsAsync(Actor.System(demo.TenantId), tx => tx.SingleAsync<string>("SELECT message_data->>'text' FROM messaging.message_queue", [], default));
        Assert.StartsWith(begins, reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_of_another_database_gives_a_demo_of_its_own()
    {
        var first = (await Seeder.SeedAsync(null, "http://localhost:7071", default)).Value;
        var stranger = first with { TenantId = Guid.CreateVersion7(TimeProvider.System.GetUtcNow()) };
        var second = (await Seeder.SeedAsync(stranger, "http://localhost:7071", default)).Value;

        Assert.NotEqual(first.TenantId, second.TenantId);
        Assert.NotEqual(stranger.TenantId, second.TenantId);
        Assert.NotEqual(first.ApiKey, second.ApiKey);
    }

    [Fact]
    public async Task Channels_are_verified_and_send_to_the_outbox_without_a_provider()
    {
        var demo = (await Seeder.SeedAsync(null, "http://localhost:7071", default)).Value;
        var sms = await ChannelAsync(_platform, demo, DemoChannels.Sms);

        Assert.True(sms.IsVerified);
        Assert.Equal("outbox", sms.ProviderConfig.GetProperty("provider").GetString());
    }

    [Fact]
    public async Task A_fake_twilio_in_the_settings_gets_the_text_messages()
    {
        await using var platform = await TestPlatform.StartAsync(settings: ("Channels:Twilio:ApiBaseUrl", "http://127.0.0.1:4010"));
        var demo = (await platform.Get<DemoSeeder>().SeedAsync(null, "http://localhost:7071", default)).Value;
        var config = (await ChannelAsync(platform, demo, DemoChannels.Sms)).ProviderConfig;

        Assert.Equal("twilio", config.GetProperty("provider").GetString());
        Assert.Equal(demo.Channels[DemoChannels.Sms].AccountSid, config.GetProperty("account_sid").GetString());
    }

    [Fact]
    public async Task Cancelling_is_the_opposite_of_applying_and_popular_actions_exist()
    {
        var demo = (await Seeder.SeedAsync(null, "http://localhost:7071", default)).Value;
        await using var tx = _platform.Database.Begin(Actor.System(demo.TenantId));
        var agent = await _platform.Get<AgentDirectory>().FindAsync(tx, demo.AgentId, default);
        var actions = await _platform.Get<ActionRegistry>().ActiveAsync(tx, demo.AgentId, default);

        Assert.Equal("search_jobs", agent!.PopularActions[0]);
        Assert.All(agent.PopularActions, id => Assert.Contains(actions, action => action.ActionId == id));
        Assert.Equal(["cancel_application"], actions.Single(action => action.ActionId == "apply_job").OppositeOf);
        Assert.Equal(["job_id", "email"], actions.Single(action => action.ActionId == "apply_job").Required);
    }

    [Fact]
    public void The_file_is_read_back_as_written_and_only_its_owner_may_read_it()
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory().FullName, "demo.json");
        var demo = new DemoFile("http://localhost:7071", "key", Guid.Empty, Guid.Empty, new Dictionary<string, DemoChannel>(StringComparer.Ordinal)
        {
            ["sms"] = new(Guid.Empty, "http://localhost:7071/webhooks/twilio/x/sms", "+14155550199") { AccountSid = "AC1", AuthToken = "token" },
        });
        demo.Write(path);

        Assert.Equal(demo.Channels["sms"], DemoFile.Read(path)!.Channels["sms"]);
        Assert.Contains("\"account_sid\": \"AC1\"", File.ReadAllText(path), StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
    }

    private static (Guid, string, string?, string?) Identity(DemoChannel channel) => (channel.Id, channel.From, channel.AuthToken, channel.Secret);

    private static async Task<ChannelView> ChannelAsync(TestPlatform platform, DemoFile demo, string name) =>
        (await platform.Get<ManageChannels>().FindAsync(Actor.System(demo.TenantId), demo.Channels[name].Id, default)).Value;

    private async Task<ActionDefinition> ActionAsync(DemoFile demo, string actionId)
    {
        await using var tx = _platform.Database.Begin(Actor.System(demo.TenantId));
        return (await _platform.Get<ActionRegistry>().FindAsync(tx, demo.AgentId, actionId, default))!;
    }
}
