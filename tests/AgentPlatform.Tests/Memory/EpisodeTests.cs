using AgentPlatform.Kernel;
using Npgsql;

namespace AgentPlatform.Tests.Memory;

public sealed class EpisodeTests : IAsyncLifetime
{
    private static readonly DateTimeOffset January = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private MemoryStage _stage = null!;

    public async Task InitializeAsync() => _stage = await MemoryStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("ps-episode-types")]
    public async Task An_episode_is_of_one_of_four_types_and_half_important_unless_told()
    {
        foreach (var type in new[] { "TURN", "SUMMARY", "FACT", "EVENT" })
        {
            Assert.Equal(0.5, (await EpisodeAsync("something", type)).Importance);
        }

        await _stage.PostAsync("memory/episodes", new { content = "x", episode_type = "DREAM" }, 400);
        await _stage.PostAsync("memory/episodes", new { content = "x", episode_type = "fact" }, 400);
        await _stage.PostAsync("memory/episodes", new { content = "x", episode_type = "FACT", importance = 1.1 }, 400);
        var refused = await Assert.ThrowsAsync<PostgresException>(() => _stage.ScalarAsync<Guid>(
            "INSERT INTO memory.episodes (tenant_id, id, content, episode_type) VALUES ($1, gen_random_uuid(), 'x', 'DREAM') RETURNING id", _stage.Api.Tenant.TenantId));
        Assert.Equal("chk_episodes_type", refused.ConstraintName);
        Assert.Equal(0.5, await _stage.ScalarAsync<double>(
            "INSERT INTO memory.episodes (tenant_id, id, content, episode_type) VALUES ($1, gen_random_uuid(), 'x', 'FACT') RETURNING importance", _stage.Api.Tenant.TenantId));
    }

    [Fact]
    [Behaviour("ps-episode-bitemporal")]
    public async Task What_was_true_at_a_time_is_another_question_than_what_was_known_of_it()
    {
        var march = January.AddMonths(2);
        await _stage.PostAsync("memory/episodes", new { content = "lives in Berlin", episode_type = "FACT", valid_from = January, valid_to = march });
        await _stage.PostAsync("memory/episodes", new { content = "lives in Munich", episode_type = "FACT", valid_from = march });
        await _stage.DrainAsync();

        Assert.Equal(["lives in Berlin"], await ContentsAsync($"?as_of={MemoryStage.At(January)}"));
        Assert.Equal(["lives in Berlin"], await ContentsAsync($"?as_of={MemoryStage.At(march.AddTicks(-10))}"));
        Assert.Equal(["lives in Munich"], await ContentsAsync($"?as_of={MemoryStage.At(march)}"));
        Assert.Empty(await ContentsAsync($"?as_of={MemoryStage.At(January.AddDays(-1))}"));
        Assert.Equal(["lives in Berlin"], await _stage.FoundAsync("lives in", $"&as_of={MemoryStage.At(January.AddDays(3))}"));
        Assert.Equal(["lives in Munich"], await _stage.FoundAsync("lives in"));
        // Both were learned today, whatever they tell of.
        Assert.Empty(await ContentsAsync($"?as_of={MemoryStage.At(January.AddDays(3))}&known_at={MemoryStage.At(January.AddDays(3))}"));
        Assert.Empty(await _stage.FoundAsync("lives in", $"&known_at={MemoryStage.At(January.AddDays(3))}"));
        Assert.Equal(2, (await ContentsAsync("")).Length);
    }

    [Fact]
    [Behaviour("ps-episode-bitemporal")]
    public async Task A_value_of_a_profile_is_a_fact_until_the_field_changes_again()
    {
        var contact = await _stage.ContactAsync();
        await _stage.SetAsync(contact, "company", "Siemens");
        var before = TimeProvider.System.GetUtcNow();
        await _stage.SetAsync(contact, "company", "Bosch");

        var facts = (await _stage.ListAsync($"memory/episodes?contact_id={contact}&episode_type=FACT")).Where(e => MemoryStage.Text(e, "content")!.StartsWith("company", StringComparison.Ordinal)).ToArray();

        Assert.Equal(["company: Bosch", "company: Siemens"], facts.Select(e => MemoryStage.Text(e, "content")!));
        Assert.Null(MemoryStage.Text(facts[0], "valid_to"));
        Assert.Equal(facts[0].GetProperty("valid_from").GetDateTimeOffset(), facts[1].GetProperty("valid_to").GetDateTimeOffset());
        Assert.Contains("company: Siemens", await ContentsAsync($"?contact_id={contact}&as_of={MemoryStage.At(before)}"));
        Assert.DoesNotContain("company: Bosch", await ContentsAsync($"?contact_id={contact}&as_of={MemoryStage.At(before)}"));

        await _stage.SetAsync(contact, "company", null);

        Assert.DoesNotContain(await ContentsAsync($"?contact_id={contact}&as_of={MemoryStage.At(TimeProvider.System.GetUtcNow())}"), c => c.StartsWith("company", StringComparison.Ordinal));
    }

    [Fact]
    [Behaviour("ps-episode-vector-search")]
    public async Task The_nearest_come_first_within_the_tenant_the_agent_the_contact_the_session_and_the_group()
    {
        var (carla, paul, session, group) = (await _stage.ContactAsync(), await _stage.ContactAsync("Paul"), TimeProvider.System.NewId(), TimeProvider.System.NewId());
        var other = MemoryStage.Id(await _stage.PostAsync("agents", new { name = "Other" }));
        await TellAsync("wants a delivery of pizza on Friday", new { agent_id = _stage.Agent, contact_id = carla, session_id = session });
        await TellAsync("asked about pizza", new { agent_id = _stage.Agent, contact_id = paul, group_id = group });
        await TellAsync("has a parking permit for the garage", new { agent_id = _stage.Agent, contact_id = carla });
        await TellAsync("told the other agent of pizza", new { agent_id = other, contact_id = carla });
        await _stage.DrainAsync();
        var stranger = await _stage.Api.Platform.ProvisionAsync("Stranger");
        await _stage.ScalarAsync<Guid>(
            """
            INSERT INTO memory.episodes (tenant_id, id, content, episode_type, embedding, embedding_model)
            SELECT $1, gen_random_uuid(), content, episode_type, embedding, embedding_model FROM memory.episodes WHERE content LIKE 'wants%' RETURNING id
            """, stranger.TenantId);

        var own = await _stage.SearchAsync("delivery of pizza on Friday", $"&agent_id={_stage.Agent}");

        Assert.Equal(["wants a delivery of pizza on Friday", "asked about pizza"], own.Take(2).Select(hit => MemoryStage.Text(hit, "content")));
        Assert.True(own[0].GetProperty("similarity").GetDouble() is > 0.6 and <= 1);
        Assert.True(own[0].GetProperty("score").GetDouble() > own[1].GetProperty("score").GetDouble());
        Assert.DoesNotContain(own, hit => MemoryStage.Text(hit, "content")!.StartsWith("told", StringComparison.Ordinal));
        Assert.Equal(["asked about pizza"], await _stage.FoundAsync("pizza", $"&agent_id={_stage.Agent}&contact_id={paul}"));
        Assert.Equal(["wants a delivery of pizza on Friday"], await _stage.FoundAsync("pizza", $"&session_id={session}"));
        Assert.Equal(["asked about pizza"], await _stage.FoundAsync("pizza", $"&group_id={group}"));
        Assert.Equal(["told the other agent of pizza"], (await _stage.FoundAsync("told the other agent of pizza", $"&agent_id={other}")).Take(1));
        Assert.Equal(1, await _stage.ScalarAsync<long>("SELECT count(DISTINCT vector_dims(embedding)) FROM memory.episodes WHERE vector_dims(embedding) = 1536"));
    }

    [Fact]
    [Behaviour("ps-episode-unembedded")]
    public async Task An_episode_is_stored_without_an_embedding_and_found_once_it_has_one()
    {
        var told = await EpisodeAsync("prefers the window seat", "FACT");
        Assert.Null(told.Model);
        Assert.Empty(await _stage.SearchAsync("window seat", "&episode_type=FACT"));
        Assert.Single(await _stage.ListAsync("memory/episodes?embedded=false"));

        await _stage.DrainAsync();

        Assert.Equal("hashed-1", MemoryStage.Text(await _stage.GetAsync($"memory/episodes/{told.Id}"), "embedding_model"));
        Assert.Equal(["prefers the window seat"], await _stage.FoundAsync("window seat", "&episode_type=FACT"));
        Assert.Empty(await _stage.ListAsync("memory/episodes?embedded=false"));
    }

    [Fact]
    [Behaviour("ps-episode-unembedded")]
    public async Task A_burst_is_embedded_by_few_runs_and_leaves_none_out()
    {
        await _stage.ScalarAsync<long>(
            """
            WITH made AS (
                INSERT INTO memory.episodes (tenant_id, id, content, episode_type) SELECT $1, schedules.new_id(), 'number ' || n, 'EVENT' FROM generate_series(1, 250) AS n RETURNING 1
            ) SELECT count(*) FROM made
            """, _stage.Api.Tenant.TenantId);

        await _stage.DrainAsync();

        Assert.Equal(0, await _stage.ScalarAsync<long>("SELECT count(*) FROM memory.episodes WHERE embedding IS NULL"));
        Assert.Equal(0, await _stage.ScalarAsync<long>("SELECT count(*) FROM work.items WHERE kind = 'memory.embed' AND state NOT IN ('done')"));
    }

    [Fact]
    [Behaviour("ps-episode-group")]
    public async Task Episodes_of_a_group_are_read_together()
    {
        var group = TimeProvider.System.NewId();
        await TellAsync("first", new { group_id = group });
        await TellAsync("alone", new { });
        await TellAsync("second", new { group_id = group });
        await TellAsync("of another", new { group_id = TimeProvider.System.NewId() });

        Assert.Equal(["second", "first"], await ContentsAsync($"?group_id={group}"));
    }

    [Fact]
    public async Task What_is_wrong_is_told_and_what_is_deleted_is_gone()
    {
        await _stage.PostAsync("memory/episodes", new { content = " ", episode_type = "FACT" }, 400);
        await _stage.PostAsync("memory/episodes", new { content = "x", episode_type = "FACT", agent_id = TimeProvider.System.NewId() }, 400);
        await _stage.PostAsync("memory/episodes", new { content = "x", episode_type = "FACT", contact_id = TimeProvider.System.NewId() }, 400);
        await _stage.PostAsync("memory/episodes", new { content = "x", episode_type = "FACT", valid_from = January, valid_to = January.AddDays(-1) }, 400);
        await _stage.GetAsync("memory/search", 400);
        await _stage.GetAsync("memory/search?q=x&episode_type=FACT&memory_type=fact", 400);
        await _stage.GetAsync("memory/episodes?episode_type=DREAM", 400);
        var (id, _, _) = await EpisodeAsync("x", "FACT");
        await _stage.DeleteAsync($"memory/episodes/{id}");
        await _stage.DeleteAsync($"memory/episodes/{id}", 404);
        await _stage.GetAsync($"memory/episodes/{id}", 404);
    }

    private async Task<(Guid Id, double Importance, string? Model)> EpisodeAsync(string content, string type)
    {
        var told = await _stage.PostAsync("memory/episodes", new { content, episode_type = type });
        return (MemoryStage.Id(told), told.GetProperty("importance").GetDouble(), MemoryStage.Text(told, "embedding_model"));
    }

    private async Task TellAsync(string content, object more)
    {
        var body = System.Text.Json.JsonSerializer.SerializeToNode(more)!.AsObject();
        (body["content"], body["episode_type"]) = (content, "EVENT");
        await _stage.PostAsync("memory/episodes", body);
    }

    private async Task<string[]> ContentsAsync(string query) => [.. (await _stage.ListAsync($"memory/episodes{query}")).Select(e => MemoryStage.Text(e, "content")!)];
}
