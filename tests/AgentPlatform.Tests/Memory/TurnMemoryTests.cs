using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Memory.Chunks;
using AgentPlatform.Memory.Episodes;
using AgentPlatform.Memory.Graph;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Tests.Models;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Memory;

/// <summary>What an agent keeps of what happens, and what it makes of that in later turns.</summary>
public sealed class TurnMemoryTests : IAsyncLifetime
{
    private const string Riddle = "could you perhaps get me something in nursing";

    private Talk _talk = null!;
    private FakeModel _model = null!;

    public async Task InitializeAsync()
    {
        _model = await FakeModel.StartAsync();
        _talk = await Talk.StartAsync(Jobs.Search, Jobs.Apply);
        _talk.Endpoint.Answers(200, Jobs.Found);
    }

    public async Task DisposeAsync()
    {
        await _talk.DisposeAsync();
        await _model.DisposeAsync();
    }

    [Fact]
    [Behaviour("ps-episode-group")]
    public async Task A_turn_and_what_succeeded_in_it_are_kept_with_their_conversation()
    {
        await RememberAsync();
        await _talk.SayAsync("find me nurse jobs");
        await _talk.SayAsync("thanks");
        await _talk.Platform.SettleMemoryAsync();

        var kept = await EpisodesAsync(new(null, null, null, _talk.ConversationId, null, null, null, null));

        Assert.Equal(["EVENT", "TURN", "TURN"], kept.Select(e => e.EpisodeType).Order());
        Assert.All(kept, e => Assert.Equal((_talk.AgentId, _talk.ContactId, "hashed-1"), (e.AgentId!.Value, e.CustomerProfileId!.Value, e.EmbeddingModel)));
        var turn = kept.Single(e => e.Content.StartsWith("Contact: find me nurse jobs", StringComparison.Ordinal));
        Assert.Equal(1, turn.Metadata.GetProperty("turn_number").GetInt32());
        Assert.Contains("\nAgent: ", kept.Single(e => e.Content.StartsWith("Contact: thanks", StringComparison.Ordinal)).Content, StringComparison.Ordinal);
        var action = kept.Single(e => e.EpisodeType == "EVENT");
        Assert.Equal("search_jobs", action.Metadata.GetProperty("action_id").GetString());
        Assert.Contains("nurse", action.Content, StringComparison.Ordinal);
        Assert.Empty(await EpisodesAsync(new(null, null, null, TimeProvider.System.NewId(), null, null, null, null)));
    }

    [Fact]
    public async Task An_agent_that_does_not_remember_keeps_nothing()
    {
        await _talk.SayAsync("find me nurse jobs");
        await SummarizedAsync("They look for work.");

        Assert.Empty(await EpisodesAsync(new(null, null, null, null, null, null, null, null)));
    }

    [Fact]
    public async Task What_is_said_in_private_is_not_kept_and_what_becomes_private_is_hidden()
    {
        await RememberAsync();
        await _talk.SayAsync("find me nurse jobs");
        var member = new Actor(_talk.Actor.TenantId, TimeProvider.System.NewId(), "admin");
        Assert.Equal(2, (await EpisodesAsync(new(null, null, null, null, null, null, null, null), member)).Count);
        var before = (await EpisodesAsync(new(null, null, null, null, null, null, null, null))).Count;
        await _talk.Platform.Postgres.ScalarAsync<Guid>("UPDATE conversations.conversations SET shared = false, user_id = (SELECT id FROM identity.users LIMIT 1) RETURNING id");

        await _talk.SayAsync("find me teacher jobs");
        await SummarizedAsync("A secret.");

        Assert.Equal(before, (await EpisodesAsync(new(null, null, null, null, null, null, null, null))).Count);
        Assert.Empty(await EpisodesAsync(new(null, null, null, null, null, null, null, null), member));
    }

    [Fact]
    public async Task A_summary_is_kept_until_the_next_one()
    {
        await RememberAsync();
        await _talk.SayAsync("thanks");
        await SummarizedAsync("They look for work.");
        await _talk.SayAsync("thanks again");
        await SummarizedAsync("They found work.");

        var all = await EpisodesAsync(new(null, null, null, null, "SUMMARY", null, null, null));

        Assert.Equal(["They found work.", "They look for work."], all.Select(e => e.Content));
        Assert.Equal([false, true], all.Select(e => e.ValidTo is not null));
        Assert.Equal(0.7, all[0].Importance);
    }

    [Fact]
    [Behaviour("mk-memory-access-count")]
    public async Task A_later_turn_is_told_what_is_remembered_of_its_contact_once()
    {
        await RememberAsync();
        await _talk.AddModelAsync(_model);
        await _talk.UseAsync("always", "main");
        _model.Fills(new { say = new[] { "Noted." }, remember = new[] { new { field = "note", value = "wants nursing work only at night" } }, because = "told so" })
            .Fills(new { say = new[] { "Hm." }, because = "a riddle" })
            .Fills(new { because = "nothing" }).Fills(new { say = new[] { "At night again?" }, because = "remembers" });
        await _talk.SayAsync("I want nursing work only at night");
        var (first, contact) = (_talk.ConversationId, _talk.ContactId);
        Assert.DoesNotContain("Remembered from before", _model.Requests.Last().Text, StringComparison.Ordinal);
        var note = Assert.Single(await ChunksAsync());
        Assert.Equal(("fact", contact, "wants nursing work only at night", 0), (note.MemoryType, note.ContactId!.Value, note.Content, note.AccessCount));

        // The same person, months later; somebody else's memories are not theirs.
        await _talk.MeetAsync();
        var stranger = _talk.ContactId;
        Assert.Equal("Hm.", await _talk.SayAsync(Riddle));
        Assert.DoesNotContain("at night", _model.Requests.Last().Text, StringComparison.Ordinal);
        await MergeAsync(contact, stranger);
        await _talk.Platform.SettleMemoryAsync();

        Assert.Equal("At night again?", await _talk.SayAsync("is there nursing work at night"));

        foreach (var request in _model.Requests.TakeLast(2))
        {
            Assert.Contains("Remembered from before", request.Text, StringComparison.Ordinal);
            Assert.Contains("- wants nursing work only at night", request.Text, StringComparison.Ordinal);
        }

        // Two calls of one turn: told once, retrieved once, on the time line once.
        Assert.Equal(1, Assert.Single(await ChunksAsync(), c => c.Id == note.Id).AccessCount);
        var recalled = Assert.Single(await RecalledAsync());
        Assert.Contains(recalled.GetProperty("memories").EnumerateArray(), m => m.GetProperty("id").GetGuid() == note.Id && m.GetProperty("kind").GetString() == "chunk");
        Assert.Equal(2, recalled.GetProperty("turn_number").GetInt32());
        Assert.DoesNotContain("at night", recalled.GetRawText(), StringComparison.Ordinal);
        Assert.NotEqual(first, _talk.ConversationId);
    }

    [Fact]
    public async Task An_agent_that_does_not_remember_is_told_nothing()
    {
        await _talk.AddModelAsync(_model);
        await _talk.UseAsync("always", "main");
        await _talk.InAsync(tx =>
        {
            _talk.Platform.Get<ChunkStore>().Put(tx, new NewChunk("wants nursing work only at night", "fact", null) { ContactId = _talk.ContactId });
            return Task.CompletedTask;
        });
        _model.Fills(new { say = new[] { "Hm." }, because = "a riddle" });

        await _talk.SayAsync(Riddle);

        Assert.DoesNotContain("at night", Assert.Single(_model.Requests).Text, StringComparison.Ordinal);
        Assert.Equal(0, Assert.Single(await ChunksAsync()).AccessCount);
        Assert.Empty(await RecalledAsync());
    }

    [Fact]
    public async Task What_is_remembered_of_a_merged_contact_is_the_survivors()
    {
        await RememberAsync();
        await _talk.SayAsync("find me nurse jobs");
        var from = _talk.ContactId;
        await SetAsync(from, "company", "Siemens");
        await SetAsync(from, "first_name", "Carla");
        await _talk.MeetAsync();
        var into = _talk.ContactId;
        await SetAsync(into, "company", "Bosch");
        await _talk.Platform.SettleMemoryAsync();

        await MergeAsync(from, into);
        await _talk.Platform.SettleMemoryAsync();

        Assert.Empty(await EpisodesAsync(new(null, from, null, null, null, null, null, null)));
        var all = await EpisodesAsync(new(null, into, null, null, null, null, null, null));
        Assert.Equal(["EVENT", "FACT", "FACT", "FACT", "TURN"], all.Select(e => e.EpisodeType).Order());
        Assert.NotNull(all.Single(e => e.Content == "company: Siemens").ValidTo);
        Assert.Null(all.Single(e => e.Content == "company: Bosch").ValidTo);
        var person = (await _talk.InAsync(tx => EntityStore.ListAsync(tx, "PERSON", null, null, All, default))).Items;
        Assert.Equal(into, Assert.Single(person).CustomerProfileId);
        Assert.Equal("Carla", person[0].Name);
        var jobs = (await _talk.InAsync(tx => RelationshipStore.ListAsync(tx, person[0].Id, "WORKS_AT", null, All, default))).Items;
        Assert.Equal(2, jobs.Count);
        Assert.Single(jobs, j => j.ValidTo is null);
    }

    [Fact]
    public async Task A_contact_may_be_forgotten()
    {
        await RememberAsync();
        await _talk.SayAsync("find me nurse jobs");
        await SetAsync(_talk.ContactId, "company", "Siemens");
        await _talk.Platform.SettleMemoryAsync();
        await _talk.InAsync(tx =>
        {
            _talk.Platform.Get<ChunkStore>().Put(tx, new NewChunk("of them", "fact", null) { ContactId = _talk.ContactId });
            _talk.Platform.Get<ChunkStore>().Put(tx, new NewChunk("of nobody", "research", null));
            return Task.CompletedTask;
        });

        var forgotten = (await _talk.Platform.Get<ManageEpisodes>().ForgetAsync(_talk.Actor, _talk.ContactId, default)).Value;

        Assert.Equal(new Forgotten(3, 1, 1), forgotten);
        Assert.Empty(await EpisodesAsync(new(null, null, null, null, null, null, null, null)));
        Assert.Equal("of nobody", Assert.Single(await ChunksAsync()).Content);
        Assert.Empty((await _talk.InAsync(tx => RelationshipStore.ListAsync(tx, null, null, null, All, default))).Items);
    }

    [Fact]
    public async Task Turns_are_forgotten_one_by_one_after_a_year_and_summaries_stay()
    {
        await RememberAsync();
        await _talk.SayAsync("thanks");
        await SummarizedAsync("They were thankful.");
        await _talk.Platform.SettleMemoryAsync();
        await _talk.Platform.Postgres.ScalarAsync<long>("WITH aged AS (UPDATE memory.episodes SET valid_from = now() - interval '364 days' RETURNING 1) SELECT count(*) FROM aged");
        Assert.Equal(0, await _talk.Platform.Get<AgentPlatform.Memory.MemoryRetention>().PruneAsync(default));
        await _talk.Platform.Postgres.ScalarAsync<long>("WITH aged AS (UPDATE memory.episodes SET valid_from = now() - interval '366 days' RETURNING 1) SELECT count(*) FROM aged");

        Assert.Equal(1, await _talk.Platform.Get<AgentPlatform.Memory.MemoryRetention>().PruneAsync(default));

        Assert.Equal("SUMMARY", Assert.Single(await EpisodesAsync(new(null, null, null, null, null, null, null, null))).EpisodeType);
    }

    private static PageRequest All => new(50, null);

    private Task RememberAsync() => _talk.Platform.Get<ManageAgents>().ConfigureAsync(_talk.Actor, _talk.AgentId, new AgentConfig(null, Memory: true), IfMatch.Any, default);

    private Task SetAsync(Guid contact, string field, string value) =>
        _talk.InAsync(tx => _talk.Platform.Get<ContactDirectory>().SetFieldAsync(tx, contact, new FieldWrite(field, value, FieldWrite.UserProvided), default));

    private async Task MergeAsync(Guid from, Guid into) => Assert.True((await _talk.Platform.Get<MergeContacts>().HandleAsync(_talk.Actor, from, into, default)).IsOk);

    /// <summary>As the task does that is due every fifty messages.</summary>
    private async Task SummarizedAsync(string summary)
    {
        await _talk.InAsync(tx => tx.ExecuteAsync(
            """
            UPDATE conversations.conversations SET conversation_summary = $2, last_summary_message_id = (SELECT id FROM conversations.messages WHERE conversation_id = $1 ORDER BY id DESC LIMIT 1)
            WHERE id = $1
            """, [_talk.ConversationId, summary], default));
        await _talk.Platform.SettleMemoryAsync();
    }

    private async Task<IReadOnlyList<Episode>> EpisodesAsync(EpisodeFilter filter, Actor? actor = null) =>
        (await _talk.Platform.AsAsync(actor ?? _talk.Actor, tx => EpisodeStore.ListAsync(tx, filter, All, default))).Items;

    private async Task<IReadOnlyList<MemoryChunk>> ChunksAsync() => (await _talk.InAsync(tx => ChunkStore.ListAsync(tx, null, null, null, All, default))).Items;

    private Task<IReadOnlyList<JsonElement>> RecalledAsync() => _talk.InAsync(tx => tx.QueryAsync<JsonElement>(
        "SELECT payload FROM events.events WHERE aggregate_id = $1 AND event_type = 'memory.recalled'", [_talk.ConversationId], default));
}
