using AgentPlatform.Memory;

namespace AgentPlatform.Tests.Memory;

/// <summary>Memories of contacts, told and asked for by the API.</summary>
public sealed class ContactMemoryTests : IAsyncLifetime
{
    private MemoryStage _stage = null!;

    public async Task InitializeAsync() => _stage = await MemoryStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task What_is_told_and_asked_of_a_merged_contact_is_the_survivors()
    {
        var (from, into) = (await _stage.ContactAsync("Ann"), await _stage.ContactAsync("Anne"));
        await _stage.PostAsync($"contacts/{from}/merge", new { into_id = into }, 200);

        await _stage.ChunkAsync("likes espresso", more: new { contact_id = from });
        await _stage.PostAsync("memory/episodes", new { content = "likes espresso", episode_type = "FACT", contact_id = from });
        await _stage.PutAsync("memory/entities", new { name = "Anne", entity_type = "PERSON", contact_id = from });

        Assert.Equal(1, await _stage.ScalarAsync<long>("SELECT count(*) FROM memory.memory_chunks WHERE contact_id = $1", into));
        Assert.Equal(0, await _stage.ScalarAsync<long>("SELECT count(*) FROM memory.episodes WHERE customer_profile_id = $1", from));
        Assert.Equal(0, await _stage.ScalarAsync<long>("SELECT count(*) FROM memory.entities WHERE customer_profile_id = $1", from));
        Assert.Single(await _stage.ListAsync($"memory/chunks?contact_id={from}"));
        Assert.NotEmpty(await _stage.ListAsync($"memory/episodes?contact_id={from}"));
        Assert.Single(await _stage.ListAsync($"memory/entities?contact_id={from}"));
        Assert.Contains("likes espresso", await _stage.FoundAsync("espresso", $"&contact_id={from}"));
    }

    [Fact]
    public async Task Nothing_is_told_of_a_contact_that_is_erased()
    {
        var contact = await _stage.ContactAsync();
        await _stage.ScalarAsync<Guid>("UPDATE contacts.customer_profiles SET erased_at = now() WHERE id = $1 RETURNING id", contact);

        await _stage.PostAsync("memory/chunks", new { content = "x", memory_type = "fact", contact_id = contact }, 400);
        await _stage.PostAsync("memory/episodes", new { content = "x", episode_type = "FACT", contact_id = contact }, 400);
        await _stage.PutAsync("memory/entities", new { name = "x", entity_type = "PERSON", contact_id = contact }, 400);
        await _stage.DeleteAsync($"memory/contacts/{contact}", 404);
    }

    [Fact]
    public async Task That_a_contact_was_forgotten_is_shown_with_its_time()
    {
        var contact = await _stage.ContactAsync();
        await _stage.GetAsync($"memory/contacts/{contact}/forgetting", 404);

        await _stage.DeleteAsync($"memory/contacts/{contact}", 200);

        Assert.Equal(contact, (await _stage.GetAsync($"memory/contacts/{contact}/forgetting")).GetProperty("contact_id").GetGuid());
    }

    [Fact]
    public async Task A_search_for_one_contact_finds_no_other_around_what_both_know()
    {
        var (carla, bob) = (await _stage.ContactAsync(), await _stage.ContactAsync("Bob"));
        await _stage.SetAsync(carla, "company", "Siemens");
        await _stage.SetAsync(bob, "company", "Siemens");

        var hits = (await _stage.SearchAsync("Siemens", $"&contact_id={carla}&limit=50")).Where(hit => MemoryStage.Text(hit, "kind") == "entity").ToArray();

        Assert.Contains("Carla", hits.Select(hit => MemoryStage.Text(hit, "content")));
        Assert.DoesNotContain("Bob", hits.Select(hit => MemoryStage.Text(hit, "content")));
        Assert.Equal(carla, hits.Single(hit => MemoryStage.Text(hit, "content") == "Carla").GetProperty("contact_id").GetGuid());
    }

    [Fact]
    public async Task An_exclusive_relationship_that_is_told_late_is_refused_and_the_present_one_stays()
    {
        var january = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var (ann, acme, globex) = (await _stage.EntityAsync("Ann", "PERSON"), await _stage.EntityAsync("Acme"), await _stage.EntityAsync("Globex"));
        await _stage.RelateAsync(ann, acme, "LEADS", from: january.AddMonths(1));

        await _stage.PutAsync("memory/relationships", new { source_entity_id = ann, target_entity_id = globex, relationship_type = "LEADS", valid_from = january, exclusive = true }, 409);

        Assert.Equal(1, await _stage.ScalarAsync<long>("SELECT count(*) FROM memory.relationships WHERE valid_to IS NULL AND target_entity_id = $1", acme));
    }

    [Fact]
    public async Task What_is_told_again_was_not_known_before()
    {
        await _stage.ChunkAsync("opens at nine", "research", new { source = "website" });
        var before = TimeProvider.System.GetUtcNow();

        await _stage.ChunkAsync("opens at ten", "research", new { source = "website" });

        Assert.Empty(await _stage.FoundAsync("opens at ten", $"&memory_type=research&as_of={MemoryStage.At(before)}"));
        Assert.Equal(["opens at ten"], await _stage.FoundAsync("opens at ten", "&memory_type=research"));
    }

    [Fact]
    public async Task Another_person_that_a_contact_knows_is_not_handed_out_with_it_and_what_the_tenant_told_of_stays_when_it_is_erased()
    {
        var (carla, bob) = (await _stage.ContactAsync(), await _stage.ContactAsync("Bob"));
        await _stage.SetAsync(carla, "company", "Carla Consulting");
        await _stage.SetAsync(bob, "company", "Siemens");
        var (a, b) = (await PersonAsync(carla), await PersonAsync(bob));
        var pump = await _stage.EntityAsync("Pump", "PRODUCT");
        await _stage.RelateAsync(a, b, "KNOWS");
        await _stage.RelateAsync(a, pump, "WANTS");

        var kept = (await _stage.GetAsync($"contacts/{carla}/export")).GetProperty("kept").GetProperty("memory.entities").EnumerateArray().Select(e => MemoryStage.Text(e, "name"));
        Assert.Equal(["Carla", "Carla Consulting", "Pump"], kept.Order());

        var erase = new KeptOfContacts().Kept.Single(k => k.Table == "memory.entities").Erase!;
        await _stage.Api.Platform.AsAsync(_stage.System, tx => tx.QueryAsync<Guid>(erase, [new[] { carla }, 500], default));

        Assert.Equal(["Bob", "Pump", "Siemens"], (await _stage.ListAsync("memory/entities")).Select(e => MemoryStage.Text(e, "name")!).Order());
    }

    private async Task<Guid> PersonAsync(Guid contact) => MemoryStage.Id(Assert.Single(await _stage.ListAsync($"memory/entities?contact_id={contact}")));
}
