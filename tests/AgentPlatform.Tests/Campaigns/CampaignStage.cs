using System.Text.Json;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Sandbox;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Campaigns;

/// <summary>Campaigns behind the API, with a text channel on the fake provider. Batches are of two contacts.</summary>
internal sealed class CampaignStage : IAsyncDisposable
{
    private readonly ChannelStage _channels;

    private CampaignStage(ChannelStage channels, TestApi api, ChannelView texts) => (_channels, Api, Texts) = (channels, api, texts);

    internal TestApi Api { get; }

    internal ChannelView Texts { get; }

    internal ChannelStage Channels => _channels;

    internal TestPlatform Platform => Api.Platform;

    internal FakeTwilio Twilio => _channels.Twilio;

    internal static async Task<CampaignStage> StartAsync(Action<IServiceCollection>? configure = null, params (string Key, string Value)[] settings)
    {
        var channels = await ChannelStage.StartAsync(
            services =>
            {
                TestApi.AddWebHost(services);
                configure?.Invoke(services);
            },
            [.. settings, ("Campaigns:BatchSize", "2"), ("Models:AllowPrivateTargets", "true")]);
        var api = await TestApi.OverAsync(channels.Platform, channels.Tenant);
        var stage = new CampaignStage(channels, api, await channels.SmsChannelAsync());
        await stage.Platform.DrainAsync();
        return stage;
    }

    internal async Task<JsonElement> PostAsync(string path, object body, int status = 201) => Expect(await Api.PostAsync($"/api/v1/{path}", body), status);

    internal async Task<JsonElement> PutAsync(string path, object body) => Expect(await Api.SendAsync(HttpMethod.Put, $"/api/v1/{path}", body), 200);

    internal async Task<JsonElement> GetAsync(string path) => Expect(await Api.GetAsync($"/api/v1/{path}"), 200);

    internal async Task<Guid> ContactAsync(string name, string number, object? more = null)
    {
        var body = JsonSerializer.SerializeToNode(more ?? new { }, Json.Options)!.AsObject();
        (body["first_name"], body["phone_number"]) = (name, number);
        return Id(await PostAsync("contacts", body));
    }

    internal async Task<Guid> IcpAsync(object rule, object? more = null)
    {
        var body = JsonSerializer.SerializeToNode(more ?? new { }, Json.Options)!.AsObject();
        body["name"] ??= "Buyers";
        body["rule"] = JsonSerializer.SerializeToNode(rule, Json.Options);
        return Id(await PostAsync("icp-profiles", body));
    }

    internal async Task<Guid> CampaignAsync(object? more = null, params Guid[] icps)
    {
        var body = JsonSerializer.SerializeToNode(more ?? new { }, Json.Options)!.AsObject();
        body["name"] ??= "Spring";
        body["type"] ??= "leadgen";
        body["target_icps"] = JsonSerializer.SerializeToNode(icps, Json.Options);
        return Id(await PostAsync("campaigns", body));
    }

    internal async Task<Guid> MoveAsync(string type, object? more = null)
    {
        var body = JsonSerializer.SerializeToNode(more ?? new { }, Json.Options)!.AsObject();
        body["title"] ??= $"A move of type {type}";
        body["type"] = type;
        return Id(await PostAsync("moves", body));
    }

    /// <summary>The tenant's agent asks this model, named main.</summary>
    internal async Task AskModelAsync(FakeModel model)
    {
        await PostAsync("models", new { name = "main", provider = "anthropic", model = "main-1", base_url = model.Url, api_key = "key-of-the-test-000000000", input_price = 3, output_price = 15 });
        var agent = Api.Tenant.AgentId;
        Expect(await Api.SendAsync(HttpMethod.Patch, $"/api/v1/agents/{agent}", new { default_model = "main" }), 200);
    }

    /// <summary>An active campaign for everybody, and an outreach of it that says this.</summary>
    internal async Task<(Guid Campaign, Guid Move)> OutreachAsync(string text)
    {
        var campaign = await CampaignAsync(null, await IcpAsync(true));
        var move = await MoveAsync("outreach", new { campaign_id = campaign, content = new { text } });
        await PostAsync($"campaigns/{campaign}/start", new { }, 200);
        return (campaign, move);
    }

    internal Task<JsonElement> RunAsync(Guid move) => PostAsync($"moves/{move}/run", new { }, 202);

    /// <summary>Everything that is due, or is about to be.</summary>
    internal Task SettleAsync() => _channels.SettleAsync();

    /// <summary>What waits for its hour need not.</summary>
    internal async Task DrainDueAsync()
    {
        await Platform.Postgres.ScalarAsync<long>("WITH u AS (UPDATE work.items SET run_at = now() - interval '1 second' WHERE state = 'ready' AND kind <> 'campaigns.end' RETURNING 1) SELECT count(*) FROM u");
        await Platform.DrainAsync();
    }

    internal async Task<JsonElement[]> MovesAsync(Guid campaign) => [.. (await GetAsync($"moves?campaign_id={campaign}&limit=200")).GetProperty("items").EnumerateArray()];

    internal async Task<JsonElement[]> RecipientsAsync(Guid move) => [.. (await GetAsync($"moves/{move}/recipients")).GetProperty("items").EnumerateArray()];

    internal Task<IReadOnlyList<string>> EventsAsync(Guid id) => Platform.AsAsync(Actor.System(Api.Tenant.TenantId), tx =>
        tx.QueryAsync<string>("SELECT event_type FROM events.events WHERE aggregate_id = $1 ORDER BY version", [id], default));

    /// <summary>A statement of the test's own; past row level security.</summary>
    internal Task<long> CountAsync(string sql, params object[] args) => Platform.Postgres.ScalarAsync<long>(sql, args);

    internal static Guid Id(JsonElement thing) => thing.GetProperty("id").GetGuid();

    public async ValueTask DisposeAsync()
    {
        await _channels.DisposeAsync();
        await Api.DisposeAsync();
    }

    private static JsonElement Expect(ApiAnswer answer, int status)
    {
        Assert.True(answer.Status == status, $"{answer.Status}: {answer.Body}");
        return answer.Json;
    }
}
