using System.Text.Json;
using AgentPlatform.Kernel;
using Npgsql;

namespace AgentPlatform.Tests.Memory;

public sealed class GraphTests : IAsyncLifetime
{
    private static readonly DateTimeOffset January = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private MemoryStage _stage = null!;

    public async Task InitializeAsync() => _stage = await MemoryStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("ps-entity-canonical", "mk-graph-upsert")]
    public async Task An_entity_that_is_told_again_is_the_one_that_is_known()
    {
        string[] types = ["COMPANY", "PERSON", "PRODUCT", "CONCEPT"];
        foreach (var type in types)
        {
            var first = await _stage.EntityAsync("Acme Corp", type);
            Assert.Equal(first, await _stage.EntityAsync("  ACME   corp ", type));
            Assert.Equal(first, MemoryStage.Id(await _stage.PutAsync("memory/entities", new { name = "Acme Corporation", entity_type = type, canonical_name = "acme corp" })));
            Assert.Equal(("Acme Corporation", "acme corp"), (await NameAsync(first)));
        }

        Assert.Equal(4, (await _stage.ListAsync("memory/entities")).Length);
        Assert.Single(await _stage.ListAsync("memory/entities?entity_type=COMPANY&name=Acme%20CORP"));
        await _stage.PutAsync("memory/entities", new { name = "Acme", entity_type = "PLANET" }, 400);
        await _stage.PutAsync("memory/entities", new { entity_type = "COMPANY" }, 400);
        // One that an agent alone knows is another one, and so is another tenant's.
        await _stage.PutAsync("memory/entities", new { name = "Acme Corp", entity_type = "COMPANY", agent_id = _stage.Agent });
        Assert.Equal(5, (await _stage.ListAsync("memory/entities")).Length);
        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => _stage.EntityAsync("At once", "CONCEPT")));
        Assert.Equal(6, (await _stage.ListAsync("memory/entities")).Length);
        var stranger = await _stage.Api.Platform.ProvisionAsync("Stranger");
        Assert.Empty((await _stage.Api.GetAsync("/api/v1/memory/entities", stranger.ApiKey)).Json.GetProperty("items").EnumerateArray());
    }

    [Fact]
    [Behaviour("ps-entity-attributes")]
    public async Task Attributes_are_merged_and_the_time_of_the_update_moves()
    {
        var first = await _stage.PutAsync("memory/entities", new { name = "Acme", entity_type = "COMPANY", attributes = new { city = "Berlin", size = 10 } });
        var second = await _stage.PutAsync("memory/entities", new { name = "Acme", entity_type = "COMPANY", attributes = new { size = 20, stage = "seed" } });

        Assert.Equal("""{"city": "Berlin", "size": 20, "stage": "seed"}""", JsonSerializer.Serialize(second.GetProperty("attributes")).Replace(":", ": ", StringComparison.Ordinal).Replace(",", ", ", StringComparison.Ordinal));
        Assert.True(Moment(second, "updated_at") > Moment(first, "updated_at"));
        Assert.Equal(Moment(first, "created_at"), Moment(second, "created_at"));
    }

    [Fact]
    [Behaviour("ps-relationship-temporal")]
    public async Task What_changes_ends_what_was_and_begins_what_is()
    {
        var (acme, globex) = (await _stage.EntityAsync("Acme"), await _stage.EntityAsync("Globex"));
        var first = await _stage.RelateAsync(acme, globex, confidence: 0.5, from: January);
        Assert.Equal(MemoryStage.Id(first), MemoryStage.Id(await _stage.RelateAsync(acme, globex, confidence: 0.5, from: January.AddDays(1))));

        var second = await _stage.RelateAsync(acme, globex, confidence: 0.9, from: January.AddMonths(1));

        Assert.NotEqual(MemoryStage.Id(first), MemoryStage.Id(second));
        var all = await _stage.ListAsync($"memory/relationships?entity_id={acme}");
        Assert.Equal([(January.AddMonths(1), null), (January, January.AddMonths(1))], all.Select(r => (Moment(r, "valid_from"), End(r))));
        Assert.Equal(0.5, Assert.Single(await ConfidencesAsync(acme, January.AddDays(9))));
        Assert.Equal(0.9, Assert.Single(await ConfidencesAsync(acme, January.AddMonths(1))));
        // The same again from the same moment, after it has ended.
        await _stage.PostAsync($"memory/relationships/{MemoryStage.Id(second)}/end", new { valid_to = January.AddMonths(2) }, 200);
        await _stage.PutAsync("memory/relationships", new { source_entity_id = acme, target_entity_id = globex, relationship_type = "COMPETES_WITH", valid_from = January }, 409);
        await _stage.PostAsync($"memory/relationships/{MemoryStage.Id(second)}/end", new { }, 409);
        var refused = await Assert.ThrowsAsync<PostgresException>(() => _stage.ScalarAsync<Guid>(
            """
            INSERT INTO memory.relationships (tenant_id, id, source_entity_id, target_entity_id, relationship_type, valid_from, valid_to)
            SELECT tenant_id, gen_random_uuid(), source_entity_id, target_entity_id, relationship_type, valid_from, valid_to FROM memory.relationships WHERE id = $1 RETURNING id
            """, MemoryStage.Id(first)));
        Assert.Equal("uq_relationships", refused.ConstraintName);
    }

    [Fact]
    [Behaviour("ps-relationship-temporal")]
    public async Task A_contact_works_where_its_profile_says_and_worked_where_it_said_before()
    {
        var contact = await _stage.ContactAsync();
        await _stage.SetAsync(contact, "company", "Siemens");
        await _stage.SetAsync(contact, "company", "Bosch");
        await _stage.SetAsync(contact, "title", "Buyer");

        var person = Assert.Single(await _stage.ListAsync($"memory/entities?contact_id={contact}"));
        Assert.Equal(("Carla", "PERSON", "Buyer"), (MemoryStage.Text(person, "name"), MemoryStage.Text(person, "entity_type"), MemoryStage.Text(person.GetProperty("attributes"), "title")));
        var jobs = await _stage.ListAsync($"memory/relationships?entity_id={MemoryStage.Id(person)}&relationship_type=WORKS_AT");
        Assert.Equal(2, jobs.Length);
        Assert.Null(End(jobs[0]));
        Assert.Equal(Moment(jobs[0], "valid_from"), End(jobs[1]));
        Assert.Equal(["Bosch"], await AroundAsync(MemoryStage.Id(person)));
        Assert.Equal(["Siemens"], await AroundAsync(MemoryStage.Id(person), $"?as_of={MemoryStage.At(Moment(jobs[1], "valid_from"))}"));

        await _stage.SetAsync(contact, "company", null);

        Assert.Empty(await AroundAsync(MemoryStage.Id(person)));
    }

    [Fact]
    [Behaviour("ps-relationship-confidence")]
    public async Task Confidence_is_1_unless_told_and_from_0_to_1()
    {
        var (acme, globex) = (await _stage.EntityAsync("Acme"), await _stage.EntityAsync("Globex"));
        foreach (var wrong in new[] { -0.01, 1.01 })
        {
            await _stage.PutAsync("memory/relationships", new { source_entity_id = acme, target_entity_id = globex, relationship_type = "TARGETS", confidence = wrong }, 400);
        }

        Assert.Equal(1.0, (await _stage.RelateAsync(acme, globex)).GetProperty("confidence").GetDouble());
        Assert.Equal(0.0, (await _stage.RelateAsync(globex, acme, confidence: 0)).GetProperty("confidence").GetDouble());
        foreach (var wrong in new[] { -0.01, 1.01 })
        {
            var refused = await Assert.ThrowsAsync<PostgresException>(() => _stage.ScalarAsync<double>("UPDATE memory.relationships SET confidence = $1 RETURNING confidence", wrong));
            Assert.Equal("relationship_confidence", refused.ConstraintName);
        }
    }

    [Fact]
    [Behaviour("ps-relationship-one-open")]
    public async Task Of_a_type_there_is_one_open_relationship_between_two_also_when_many_tell_at_once()
    {
        var (acme, globex) = (await _stage.EntityAsync("Acme"), await _stage.EntityAsync("Globex"));

        await Task.WhenAll(Enumerable.Range(1, 8).Select(i => _stage.Api.SendAsync(HttpMethod.Put, "/api/v1/memory/relationships", new
        {
            source_entity_id = acme,
            target_entity_id = globex,
            relationship_type = "TARGETS",
            confidence = i / 10.0,
        })));

        Assert.Equal(1, await _stage.ScalarAsync<long>("SELECT count(*) FROM memory.relationships WHERE valid_to IS NULL"));
        var refused = await Assert.ThrowsAsync<PostgresException>(() => _stage.ScalarAsync<Guid>(
            """
            INSERT INTO memory.relationships (tenant_id, id, source_entity_id, target_entity_id, relationship_type, valid_from)
            SELECT tenant_id, gen_random_uuid(), source_entity_id, target_entity_id, relationship_type, now() + interval '1 day' FROM memory.relationships WHERE valid_to IS NULL RETURNING id
            """));
        Assert.Equal("one_open_relationship", refused.ConstraintName);
        // Another type, and the other direction, are other relationships.
        await _stage.RelateAsync(acme, globex, "COMPETES_WITH");
        await _stage.RelateAsync(globex, acme, "TARGETS");
        Assert.Equal(3, await _stage.ScalarAsync<long>("SELECT count(*) FROM memory.relationships WHERE valid_to IS NULL"));
    }

    [Fact]
    public async Task An_exclusive_relationship_ends_those_to_others()
    {
        var (ann, acme, globex) = (await _stage.EntityAsync("Ann", "PERSON"), await _stage.EntityAsync("Acme"), await _stage.EntityAsync("Globex"));
        await _stage.RelateAsync(ann, acme, "LEADS", from: January);
        await _stage.RelateAsync(ann, acme, "ADVISES", from: January);

        await _stage.RelateAsync(ann, globex, "LEADS", from: January.AddMonths(1), exclusive: true);

        Assert.Equal(["Globex"], await AroundAsync(ann, "?relationship_type=LEADS"));
        Assert.Equal(["Acme"], await AroundAsync(ann, "?relationship_type=ADVISES"));
    }

    [Fact]
    [Behaviour("ps-relationship-traversal")]
    public async Task Neighbours_are_walked_from_either_end_as_they_were_at_a_moment()
    {
        var (ann, acme, globex, pump) = (await _stage.EntityAsync("Ann", "PERSON"), await _stage.EntityAsync("Acme"), await _stage.EntityAsync("Globex"), await _stage.EntityAsync("Pump", "PRODUCT"));
        var job = await _stage.RelateAsync(ann, acme, "WORKS_AT", from: January);
        await _stage.PostAsync($"memory/relationships/{MemoryStage.Id(job)}/end", new { valid_to = January.AddMonths(1) }, 200);
        await _stage.RelateAsync(ann, globex, "WORKS_AT", from: January.AddMonths(1));
        await _stage.RelateAsync(globex, pump, "SELLS", from: January.AddMonths(1));
        await _stage.RelateAsync(pump, ann, "BOUGHT_BY", from: January.AddMonths(2));

        Assert.Equal(["Acme"], await AroundAsync(ann, $"?as_of={MemoryStage.At(January.AddDays(3))}"));
        Assert.Equal(["Ann"], await AroundAsync(acme, $"?as_of={MemoryStage.At(January.AddDays(3))}"));
        Assert.Empty(await AroundAsync(acme));
        Assert.Empty(await AroundAsync(ann, $"?as_of={MemoryStage.At(January.AddDays(-1))}"));
        var around = await _stage.ListAsync($"memory/entities/{globex}/neighbours");
        Assert.Equal([("Ann", "in"), ("Pump", "out")], around.Select(n => (MemoryStage.Text(n, "name")!, MemoryStage.Text(n, "direction")!)).Order());
        // Two steps, and round a circle without coming back.
        var mid = $"as_of={MemoryStage.At(January.AddMonths(1).AddDays(1))}";
        Assert.Equal(["Globex"], await AroundAsync(ann, $"?{mid}"));
        Assert.Equal([("Globex", 1), ("Pump", 2)], (await _stage.ListAsync($"memory/entities/{ann}/neighbours?distance=2&{mid}")).Select(n => (MemoryStage.Text(n, "name")!, n.GetProperty("distance").GetInt32())));
        Assert.Equal(2, (await _stage.ListAsync($"memory/entities/{ann}/neighbours?distance=3")).Length);
        Assert.Equal(["Pump"], await AroundAsync(ann, "?relationship_type=BOUGHT_BY"));
        await _stage.GetAsync($"memory/entities/{ann}/neighbours?distance=4", 400);
        await _stage.GetAsync($"memory/entities/{TimeProvider.System.NewId()}/neighbours", 404);
    }

    [Fact]
    [Behaviour("mk-graph-cascade")]
    public async Task Deleting_an_entity_removes_its_relationships_on_both_sides()
    {
        var (acme, globex, initech) = (await _stage.EntityAsync("Acme"), await _stage.EntityAsync("Globex"), await _stage.EntityAsync("Initech"));
        await _stage.RelateAsync(acme, globex);
        await _stage.RelateAsync(globex, initech);
        var other = MemoryStage.Id(await _stage.RelateAsync(acme, initech));

        await _stage.DeleteAsync($"memory/entities/{globex}");

        Assert.Equal([other], (await _stage.ListAsync("memory/relationships")).Select(MemoryStage.Id));
        Assert.Equal(2, (await _stage.ListAsync("memory/entities")).Length);
        await _stage.DeleteAsync($"memory/entities/{globex}", 404);
    }

    [Fact]
    [Behaviour("mk-graph-strength")]
    public async Task Strength_is_1_at_first_and_moves_with_evidence_within_0_and_1_by_hundredths()
    {
        var first = await _stage.RelateAsync(await _stage.EntityAsync("Acme"), await _stage.EntityAsync("Globex"));
        var id = MemoryStage.Id(first);
        Assert.Equal(1.00m, Strength(first));

        Assert.Equal(1.00m, await WeighAsync(id, true));
        Assert.Equal(0.75m, await WeighAsync(id, false));
        Assert.Equal(0.56m, await WeighAsync(id, false));
        Assert.Equal(0.67m, await WeighAsync(id, true));
        for (var i = 0; i < 30; i++)
        {
            Assert.InRange(await WeighAsync(id, false), 0m, 1m);
        }

        Assert.True(Strength(await _stage.GetAsync($"memory/relationships/{id}")) <= 0.02m);
        await _stage.PostAsync($"memory/relationships/{id}/evidence", new { }, 400);
        await _stage.PostAsync($"memory/relationships/{TimeProvider.System.NewId()}/evidence", new { supports = true }, 404);
        Assert.Equal(0.13m, await _stage.ScalarAsync<decimal>("UPDATE memory.relationships SET strength = 0.125 RETURNING strength"));
        var refused = await Assert.ThrowsAsync<PostgresException>(() => _stage.ScalarAsync<decimal>("UPDATE memory.relationships SET strength = 1.01 RETURNING strength"));
        Assert.Equal("relationship_strength", refused.ConstraintName);
    }

    [Fact]
    [Behaviour("mk-graph-hybrid-search")]
    public async Task A_search_finds_what_is_alike_and_what_stands_around_it()
    {
        var (acme, globex, pump, far) = (await _stage.EntityAsync("Acme Robotics"), await _stage.EntityAsync("Globex"), await _stage.EntityAsync("Pump 3000", "PRODUCT"), await _stage.EntityAsync("Unrelated"));
        var rivals = MemoryStage.Id(await _stage.RelateAsync(acme, globex, "COMPETES_WITH", confidence: 0.8));
        await _stage.RelateAsync(pump, acme, "MADE_BY", confidence: 0.5);
        await _stage.RelateAsync(globex, far, "TARGETS");
        await _stage.PostAsync($"memory/relationships/{rivals}/evidence", new { supports = false }, 200);
        await _stage.ChunkAsync("Acme Robotics opened an office in Graz", "research");

        var hits = await _stage.SearchAsync("Acme Robotics");

        Assert.Equal(["Acme Robotics", "Globex", "Acme Robotics opened an office in Graz", "Pump 3000"], hits.Select(hit => MemoryStage.Text(hit, "content")!));
        Assert.Equal(768, await _stage.ScalarAsync<int>("SELECT min(vector_dims(embedding)) FROM memory.entities"));
        var (root, neighbour) = (hits[0], hits[1]);
        Assert.Equal(JsonValueKind.Null, root.GetProperty("via").ValueKind);
        Assert.Equal(("COMPETES_WITH", "out", acme), (
            MemoryStage.Text(neighbour.GetProperty("via"), "relationship_type"), MemoryStage.Text(neighbour.GetProperty("via"), "direction"), neighbour.GetProperty("via").GetProperty("from_entity_id").GetGuid()));
        Assert.Equal(root.GetProperty("similarity").GetDouble() * 0.8 * 0.75, neighbour.GetProperty("score").GetDouble(), 6);
        Assert.Equal("in", MemoryStage.Text(hits[3].GetProperty("via"), "direction"));
        // As of a time before the relationships there is nobody around.
        Assert.Equal(["Acme Robotics"], await _stage.FoundAsync("Acme Robotics", $"&as_of={MemoryStage.At(January)}"));
    }

    private async Task<(string?, string?)> NameAsync(Guid id)
    {
        var entity = await _stage.GetAsync($"memory/entities/{id}");
        return (MemoryStage.Text(entity, "name"), MemoryStage.Text(entity, "canonical_name"));
    }

    private async Task<string[]> AroundAsync(Guid id, string query = "") => [.. (await _stage.ListAsync($"memory/entities/{id}/neighbours{query}")).Select(n => MemoryStage.Text(n, "name")!)];

    private async Task<double[]> ConfidencesAsync(Guid entity, DateTimeOffset asOf) =>
        [.. (await _stage.ListAsync($"memory/relationships?entity_id={entity}&as_of={MemoryStage.At(asOf)}")).Select(r => r.GetProperty("confidence").GetDouble())];

    private async Task<decimal> WeighAsync(Guid id, bool supports) => Strength(await _stage.PostAsync($"memory/relationships/{id}/evidence", new { supports }, 200));

    private static decimal Strength(JsonElement relationship) => relationship.GetProperty("strength").GetDecimal();

    private static DateTimeOffset Moment(JsonElement thing, string name) => thing.GetProperty(name).GetDateTimeOffset();

    private static DateTimeOffset? End(JsonElement thing) => thing.GetProperty("valid_to") is { ValueKind: JsonValueKind.String } at ? at.GetDateTimeOffset() : null;
}
