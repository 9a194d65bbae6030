using AgentPlatform.Memory;

namespace AgentPlatform.Tests.Memory;

public sealed class ChunkTests : IAsyncLifetime
{
    private MemoryStage _stage = null!;

    public async Task InitializeAsync() => _stage = await MemoryStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("mk-memory-write")]
    public async Task A_chunk_has_content_and_an_embedding_of_768_dimensions()
    {
        var own = Enumerable.Range(0, 768).Select(i => i == 7 ? 1f : 0f).ToArray();
        await _stage.PostAsync("memory/chunks", new { memory_type = "fact" }, 400);
        await _stage.PostAsync("memory/chunks", new { content = "x", memory_type = "fact", embedding = own[1..], embedding_model = "mine" }, 400);
        await _stage.PostAsync("memory/chunks", new { content = "x", memory_type = "fact", embedding = own.Append(0f), embedding_model = "mine" }, 400);
        await _stage.PostAsync("memory/chunks", new { content = "x", memory_type = "fact", embedding = new float[768], embedding_model = "mine" }, 400);
        await _stage.PostAsync("memory/chunks", new { content = "x", memory_type = "fact", embedding = own }, 400);
        await Assert.ThrowsAsync<Npgsql.PostgresException>(() => _stage.ScalarAsync<Guid>(
            "INSERT INTO memory.memory_chunks (tenant_id, id, content, embedding, embedding_model, memory_type) VALUES ($1, gen_random_uuid(), 'x', '[1,2,3]', 'mine', 'fact') RETURNING id",
            _stage.Api.Tenant.TenantId));
        Assert.Equal(0, await _stage.ScalarAsync<long>("SELECT count(*) FROM memory.memory_chunks"));

        await _stage.ChunkAsync("embedded elsewhere", "fact", new { embedding = own, embedding_model = "mine" });
        await _stage.ChunkAsync("embedded here");

        Assert.Equal(2, await _stage.ScalarAsync<long>("SELECT count(*) FROM memory.memory_chunks WHERE vector_dims(embedding) = 768"));
        // Only embeddings of one model can be compared.
        var found = await _stage.PostAsync("memory/search", new { embedding = own, embedding_model = "mine" }, 200);
        var hit = Assert.Single(found.GetProperty("items").EnumerateArray());
        Assert.Equal(("embedded elsewhere", 1.0), (MemoryStage.Text(hit, "content"), Math.Round(hit.GetProperty("similarity").GetDouble(), 6)));
        Assert.Equal(["embedded here"], await _stage.FoundAsync("embedded"));
        await _stage.PostAsync("memory/search", new { embedding = own[1..], embedding_model = "mine" }, 400);
    }

    [Fact]
    [Behaviour("mk-memory-types")]
    public async Task A_chunk_is_of_one_of_four_types_which_searches_are_limited_to()
    {
        string[] types = ["conversation", "fact", "research", "campaign"];
        foreach (var type in types)
        {
            await _stage.ChunkAsync($"solar panels, of the {type}", type);
        }

        await _stage.PostAsync("memory/chunks", new { content = "x", memory_type = "dream" }, 400);
        await _stage.PostAsync("memory/chunks", new { content = "x" }, 400);
        await _stage.GetAsync("memory/search?q=x&memory_type=dream", 400);
        Assert.Equal(4, (await _stage.FoundAsync("solar panels")).Length);
        foreach (var type in types)
        {
            Assert.Equal([$"solar panels, of the {type}"], await _stage.FoundAsync("solar panels", $"&memory_type={type}"));
            Assert.Single(await _stage.ListAsync($"memory/chunks?memory_type={type}"));
        }
    }

    [Fact]
    [Behaviour("mk-memory-access-count")]
    public async Task Each_retrieval_counts_and_is_dated_and_what_is_not_retrieved_does_not_count()
    {
        var (wanted, other) = (await _stage.ChunkAsync("likes espresso"), await _stage.ChunkAsync("parks in the garage"));
        await _stage.AgeAsync(wanted, 3);
        await _stage.AgeAsync(other, 3);
        var before = TimeProvider.System.GetUtcNow().AddMinutes(-1);

        await _stage.SearchAsync("espresso", "&limit=1");
        await _stage.SearchAsync("espresso", "&limit=1");
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => _stage.SearchAsync("espresso", "&limit=1")));

        var chunk = await _stage.GetAsync($"memory/chunks/{wanted}");
        Assert.Equal(6, chunk.GetProperty("access_count").GetInt32());
        Assert.True(chunk.GetProperty("last_accessed").GetDateTimeOffset() > before);
        var untouched = await _stage.GetAsync($"memory/chunks/{other}");
        Assert.Equal(0, untouched.GetProperty("access_count").GetInt32());
        Assert.True(untouched.GetProperty("last_accessed").GetDateTimeOffset() < before);
    }

    [Fact]
    [Behaviour("mk-memory-decay")]
    public async Task A_chunk_weighs_half_after_each_half_life_without_a_retrieval_which_makes_it_whole_again()
    {
        var chunk = await _stage.ChunkAsync("likes espresso");
        Assert.Equal(1.0m, await WeightAsync(chunk));
        await ForgetAsync();
        Assert.Equal(1.0m, await WeightAsync(chunk));

        await _stage.AgeAsync(chunk, 30);
        await ForgetAsync();
        Assert.Equal(0.5m, await WeightAsync(chunk));
        await _stage.AgeAsync(chunk, 45);
        await ForgetAsync();
        Assert.Equal(0.3536m, await WeightAsync(chunk));

        await _stage.SearchAsync("espresso");

        Assert.Equal(1.0m, await WeightAsync(chunk));
        await ForgetAsync();
        Assert.Equal(1.0m, await WeightAsync(chunk));
    }

    [Fact]
    [Behaviour("mk-memory-ranking")]
    public async Task Of_equal_matches_the_one_that_was_not_needed_for_long_comes_last_and_a_better_match_may_make_up_for_age()
    {
        var old = await _stage.ChunkAsync("drinks espresso", "fact", new { source = "old" });
        var fresh = await _stage.ChunkAsync("drinks espresso", "fact", new { source = "fresh" });
        await _stage.AgeAsync(old, 30);
        await ForgetAsync();

        var hits = await _stage.SearchAsync("drinks espresso");

        Assert.Equal([fresh, old], hits.Select(MemoryStage.Id));
        Assert.Equal(hits[0].GetProperty("similarity").GetDouble(), hits[1].GetProperty("similarity").GetDouble(), 6);
        Assert.Equal(hits[1].GetProperty("similarity").GetDouble() * 0.5, hits[1].GetProperty("score").GetDouble(), 6);

        // Both are fresh now; the older of two unequal ones still wins while it is much more alike.
        var far = await _stage.ChunkAsync("owns an espresso machine made in Italy long ago", "fact", new { source = "far" });
        await _stage.AgeAsync(old, 6);
        await _stage.DeleteAsync($"memory/chunks/{fresh}");
        await ForgetAsync();
        Assert.Equal([old, far], (await _stage.SearchAsync("drinks espresso")).Select(MemoryStage.Id));
    }

    [Fact]
    [Behaviour("mk-memory-forget")]
    public async Task What_weighs_too_little_is_deleted_by_the_job_and_nothing_else()
    {
        var (gone, faint, needed) = (await _stage.ChunkAsync("one"), await _stage.ChunkAsync("two"), await _stage.ChunkAsync("three"));
        await _stage.AgeAsync(gone, 131);
        await _stage.AgeAsync(faint, 128);
        await _stage.AgeAsync(needed, 400);
        await _stage.SearchAsync("three", "&limit=1");

        Assert.Equal(1, await ForgetAsync());

        Assert.Equal([needed, faint], (await _stage.ListAsync("memory/chunks")).Select(MemoryStage.Id));
    }

    [Fact]
    [Behaviour("mk-memory-forget")]
    public async Task Floor_and_half_life_are_settings()
    {
        await using var strict = await MemoryStage.StartAsync(("Memory:ForgetBelow", "0.6"), ("Memory:HalfLifeDays", "2"));
        var (gone, kept) = (await strict.ChunkAsync("one"), await strict.ChunkAsync("two"));
        await strict.AgeAsync(gone, 2);

        Assert.Equal(1, await strict.Api.Platform.Get<MemoryRetention>().PruneAsync(default));

        Assert.Equal(kept, MemoryStage.Id(Assert.Single(await strict.ListAsync("memory/chunks"))));
    }

    [Fact]
    public async Task What_is_told_again_under_its_source_takes_the_place_of_what_was_told_before()
    {
        var first = await _stage.ChunkAsync("opens at nine", "research", new { source = "website" });
        await _stage.AgeAsync(first, 60);
        await ForgetAsync();

        Assert.Equal(first, await _stage.ChunkAsync("opens at ten", "research", new { source = "website" }));

        var chunk = Assert.Single(await _stage.ListAsync("memory/chunks"));
        Assert.Equal(("opens at ten", 1.0m), (MemoryStage.Text(chunk, "content"), chunk.GetProperty("decay_weight").GetDecimal()));
        await _stage.DeleteAsync($"memory/chunks/{first}");
        await _stage.DeleteAsync($"memory/chunks/{first}", 404);
    }

    [Fact]
    public async Task A_viewer_searches_and_leaves_no_trace_and_writes_nothing()
    {
        var chunk = await _stage.ChunkAsync("likes espresso");
        var viewer = await _stage.Api.KeyAsync("viewer");

        Assert.Single((await _stage.Api.GetAsync("/api/v1/memory/search?q=espresso", viewer)).Json.GetProperty("items").EnumerateArray());
        Assert.Equal(403, (await _stage.Api.PostAsync("/api/v1/memory/chunks", new { content = "x", memory_type = "fact" }, viewer)).Status);

        Assert.Equal(0, (await _stage.GetAsync($"memory/chunks/{chunk}")).GetProperty("access_count").GetInt32());
    }

    private async Task<decimal> WeightAsync(Guid chunk) => (await _stage.GetAsync($"memory/chunks/{chunk}")).GetProperty("decay_weight").GetDecimal();

    private Task<int> ForgetAsync() => _stage.Api.Platform.Get<MemoryRetention>().PruneAsync(default);
}
