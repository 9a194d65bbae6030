using AgentPlatform.Actions.Registry;
using AgentPlatform.Actions;
using AgentPlatform.Api;
using AgentPlatform.Brain;
using AgentPlatform.Brain.Nlu.Models;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Api;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Tests.Brain.Nlu;

/// <summary>Training, versions and their use in a turn, on real Postgres.</summary>
public sealed class IntentModelsTests : IAsyncLifetime
{
    private static readonly ActionDefinition Withdraw = Jobs.CancelApplication with
    {
        Examples = Json.Of(new[]
        {
            "i changed my mind about the position", "i am no longer interested in the position", "please take my candidacy back", "i do not want to be considered any more",
            "tell them i have found something else", "i would like to step back from the process",
        }),
    };

    private static readonly ActionDefinition Salary = new()
    {
        ActionId = "salary",
        ActionName = "salary",
        Synonyms = Json.Of(new[] { "pay range" }),
        Examples = Json.Of(new[] { "how much would i earn there", "what does the position pay", "is the wage negotiable", "what would be my income", "how much money do they offer" }),
        ResponseTemplate = "It pays well.",
    };

    private Talk _talk = null!;

    public async Task InitializeAsync()
    {
        _talk = await Talk.StartAsync(services => services.Configure<BrainOptions>(o => o.TrainAfterSeconds = 0), Jobs.Search, Withdraw);
        await _talk.Platform.DrainAsync();
    }

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    public async Task A_turn_recognises_by_the_trained_model_what_no_phrase_says()
    {
        var reply = await _talk.SayAsync("sorry, i am not interested in that position any more, i changed my mind");

        var intent = Assert.Single(await _talk.IntentsAsync());
        Assert.Equal(("action", "cancel_application", "fuzzy"), (intent.IntentType, intent.CanonicalIntent, intent.MatchType));
        Assert.StartsWith("model 1 recognises", intent.Reasoning, StringComparison.Ordinal);
        Assert.Contains("withdrawn", reply, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("what is the weather like in lisbon")]
    [InlineData("who wrote hamlet")]
    [InlineData("今天天气怎么样 🙂")]
    public async Task What_is_out_of_scope_stays_not_found(string text)
    {
        await _talk.SayAsync(text);

        Assert.Equal("not_found", Assert.Single(await _talk.IntentsAsync()).MatchType);
    }

    [Fact]
    public async Task A_registry_change_leads_to_a_new_version_and_the_old_one_serves_meanwhile()
    {
        Assert.Equal(1, (await CurrentAsync())!.Version);

        await _talk.OfferAsync(Salary);

        Assert.Equal(1, (await CurrentAsync())!.Version);
        Assert.DoesNotContain("salary", (await CurrentAsync())!.Model.Intents);
        await _talk.Platform.DrainAsync();
        Assert.Equal(2, (await CurrentAsync())!.Version);
        await _talk.SayAsync("how much money would the position pay");
        Assert.Equal("salary", Assert.Single(await _talk.IntentsAsync()).CanonicalIntent);
    }

    [Fact]
    public async Task Several_changes_are_one_training_and_the_same_registry_again_is_none()
    {
        await _talk.OfferAsync(Salary, Jobs.Apply);
        await _talk.Platform.DrainAsync();
        Assert.Equal(2, (await CurrentAsync())!.Version);

        await _talk.InAsync(async tx => await _talk.Platform.Get<ActionRegistry>().ReplaceAsync(tx, _talk.AgentId, Salary with { Priority = "high" }, IfMatch.Any, default));
        await _talk.Platform.DrainAsync();

        Assert.Equal(2, (await CurrentAsync())!.Version);
    }

    [Fact]
    public async Task Two_hosts_answer_with_the_newest_version_from_the_moment_it_commits()
    {
        using var other = new IntentModels(_talk.Platform.Get<IOptions<BrainOptions>>(), TimeProvider.System);
        Task<AgentModel?> OtherAsync() => _talk.InAsync(tx => other.CurrentAsync(tx, _talk.AgentId, default));
        var (here, there) = ((await CurrentAsync())!, (await OtherAsync())!);
        Assert.Equal(here.Id, there.Id);
        Assert.Same(here, await CurrentAsync());

        await _talk.OfferAsync(Salary);
        await _talk.Platform.DrainAsync();

        Assert.Equal((2, 2), ((await CurrentAsync())!.Version, (await OtherAsync())!.Version));
        const string asked = "how much money would the position pay";
        Assert.Equal((await CurrentAsync())!.Model.Classify(asked).Ranked, (await OtherAsync())!.Model.Classify(asked).Ranked);
    }

    [Fact]
    public async Task An_action_switched_off_since_the_training_is_not_recognised()
    {
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE actions.action_registry SET is_active = false WHERE action_id = 'cancel_application'", [], default));

        await _talk.SayAsync("sorry, i am not interested in that position any more, i changed my mind");

        Assert.Equal("not_found", Assert.Single(await _talk.IntentsAsync()).MatchType);
    }

    [Fact]
    public async Task Only_the_latest_versions_are_kept_and_no_other_tenant_sees_them()
    {
        for (var i = 0; i < 4; i++)
        {
            await _talk.OfferAsync(Salary with { ActionId = $"salary_{i}", ActionName = $"salary {i}" });
            await _talk.Platform.DrainAsync();
        }

        Assert.Equal([3, 4, 5], await _talk.InAsync(tx => tx.QueryAsync<int>("SELECT version FROM brain.nlu_models ORDER BY version", [], default)));
        var stranger = await _talk.Platform.NewTenantAsync("Stranger");
        Assert.Null(await _talk.Platform.AsAsync(stranger, tx => _talk.Platform.Get<IntentModels>().CurrentAsync(tx, _talk.AgentId, default)));
    }

    [Fact]
    public async Task The_api_tells_the_version_classifies_and_trains()
    {
        await using var api = await TestApi.StartAsync();
        var path = $"/api/v1/agents/{api.Tenant.AgentId}";
        Assert.Equal(404, (await api.GetAsync($"{path}/nlu")).Status);
        await api.PostAsync($"{path}/actions", new { action_id = "book_table", action_name = "book a table", examples = new[] { "reserve us a table for tonight", "can we come for dinner", "we would like to eat at your place" } });
        await api.PostAsync($"{path}/actions", new { action_id = "opening_hours", action_name = "opening hours", examples = new[] { "when do you open", "how late are you open", "what time do you close" } });

        Assert.Equal(202, (await api.PostAsync($"{path}/nlu/train", new { })).Status);
        await api.Platform.DrainAsync();

        var info = (await api.GetAsync($"{path}/nlu")).Json;
        Assert.Equal((1, 2), (info.GetProperty("version").GetInt32(), info.GetProperty("intents").GetInt32()));
        Assert.True(info.GetProperty("model_bytes").GetInt32() > 1000 && info.GetProperty("accuracy").GetDouble() is >= 0 and <= 1);
        var said = (await api.PostAsync($"{path}/nlu/classify", new { text = "can you reserve a table for us at 8pm" })).Json;
        Assert.Equal("book_table", said.GetProperty("intent").GetString());
        Assert.Equal(("book_table", 1), (said.GetProperty("intents")[0].GetProperty("intent").GetString(), said.GetProperty("model_version").GetInt32()));
        var time = said.GetProperty("entities").EnumerateArray().Single(e => e.GetProperty("type").GetString() == "time");
        Assert.Equal(("20:00", 34), (time.GetProperty("value").GetString(), time.GetProperty("start").GetInt32()));

        Assert.Equal(400, (await api.PostAsync($"{path}/nlu/classify", new { text = " " })).Status);
        Assert.Equal(404, (await api.PostAsync($"/api/v1/agents/{Guid.CreateVersion7(TimeProvider.System.GetUtcNow())}/nlu/classify", new { text = "hi" })).Status);
        Assert.Equal(400, (await api.PostAsync($"{path}/actions", new { action_id = "x", action_name = "x", examples = "not a list" })).Status);
    }

    private Task<AgentModel?> CurrentAsync() => _talk.InAsync(tx => _talk.Platform.Get<IntentModels>().CurrentAsync(tx, _talk.AgentId, default));
}
