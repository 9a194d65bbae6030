using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Memory;

internal static class Settling
{
    /// <summary>Until everything that was told is kept: the work that triggers and events leave is told to nobody, and is found by another look.</summary>
    internal static Task SettleMemoryAsync(this TestPlatform platform) => Eventually.SeeAsync(
        async () =>
        {
            await platform.DrainWithEventsAsync();
            return await platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM work.items WHERE (kind LIKE 'memory.%' OR kind = 'events.consume') AND state IN ('ready', 'running')");
        },
        waiting => waiting == 0);
}

/// <summary>A tenant and what it remembers, behind the API.</summary>
internal sealed class MemoryStage : IAsyncDisposable
{
    private MemoryStage(TestApi api) => Api = api;

    internal TestApi Api { get; }

    internal Guid Agent => Api.Tenant.AgentId;

    internal Actor System => Actor.System(Api.Tenant.TenantId);

    internal static async Task<MemoryStage> StartAsync(params (string Key, string Value)[] settings) =>
        new(await TestApi.StartAsync(null, [("Api:RequestsPerMinute", "100000"), .. settings]));

    internal async Task<JsonElement> PostAsync(string path, object body, int status = 201) => Expect(await Api.PostAsync($"/api/v1/{path}", body), status);

    internal async Task<JsonElement> PutAsync(string path, object body, int status = 200) => Expect(await Api.SendAsync(HttpMethod.Put, $"/api/v1/{path}", body), status);

    internal async Task<JsonElement> GetAsync(string path, int status = 200) => Expect(await Api.GetAsync($"/api/v1/{path}"), status);

    internal async Task DeleteAsync(string path, int status = 204) => Expect(await Api.SendAsync(HttpMethod.Delete, $"/api/v1/{path}"), status);

    internal async Task<JsonElement[]> ListAsync(string path) => [.. (await GetAsync(path)).GetProperty("items").EnumerateArray()];

    internal Task<JsonElement[]> SearchAsync(string q, string more = "") => ListAsync($"memory/search?q={Uri.EscapeDataString(q)}{more}");

    internal async Task<string[]> FoundAsync(string q, string more = "") => [.. (await SearchAsync(q, more)).Select(hit => Text(hit, "content")!)];

    internal async Task<Guid> ContactAsync(string firstName = "Carla") => Id(await PostAsync("contacts", new { first_name = firstName }));

    internal async Task SetAsync(Guid contact, string field, string? value)
    {
        await PutAsync($"contacts/{contact}/fields/{field}", new { value });
        await DrainAsync();
    }

    internal async Task<Guid> ChunkAsync(string content, string type = "fact", object? more = null)
    {
        var body = JsonSerializer.SerializeToNode(new { content, memory_type = type }, Json.Options)!.AsObject();
        foreach (var (name, value) in JsonSerializer.SerializeToNode(more ?? new { }, Json.Options)!.AsObject().ToList())
        {
            body[name] = value?.DeepClone();
        }

        return Id(await PostAsync("memory/chunks", body));
    }

    internal async Task<Guid> EntityAsync(string name, string type = "COMPANY") => Id(await PutAsync("memory/entities", new { name, entity_type = type }));

    internal async Task<JsonElement> RelateAsync(Guid source, Guid target, string type = "COMPETES_WITH", double? confidence = null, DateTimeOffset? from = null, bool exclusive = false) =>
        await PutAsync("memory/relationships", new { source_entity_id = source, target_entity_id = target, relationship_type = type, confidence, valid_from = from, exclusive });

    internal Task DrainAsync() => Api.Platform.SettleMemoryAsync();

    /// <summary>Past row level security.</summary>
    internal Task<T> ScalarAsync<T>(string sql, params object[] args) => Api.Platform.Postgres.ScalarAsync<T>(sql, args);

    /// <summary>As if a chunk had not been needed for so long.</summary>
    internal Task<long> AgeAsync(Guid chunk, int days) => ScalarAsync<long>(
        "WITH aged AS (UPDATE memory.memory_chunks SET last_accessed = now() - make_interval(days => $2) WHERE id = $1 RETURNING 1) SELECT count(*) FROM aged", chunk, days);

    internal static Guid Id(JsonElement thing) => thing.GetProperty("id").GetGuid();

    internal static string? Text(JsonElement thing, string name) => thing.GetProperty(name).GetString();

    internal static string At(DateTimeOffset at) => Uri.EscapeDataString(at.ToString("O"));

    public ValueTask DisposeAsync() => Api.DisposeAsync();

    private static JsonElement Expect(ApiAnswer answer, int status)
    {
        Assert.True(answer.Status == status, $"{answer.Status}: {answer.Body}");
        return answer.Body.Length == 0 ? default : answer.Json;
    }
}
