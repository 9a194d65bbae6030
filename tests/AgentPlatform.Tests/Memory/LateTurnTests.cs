using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Memory.Chunks;
using AgentPlatform.Memory.Episodes;
using AgentPlatform.Memory.Searching;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Brain;

namespace AgentPlatform.Tests.Memory;

/// <summary>A turn is remembered after it, and by then its contact may be another one, or forgotten, and its conversation private.</summary>
public sealed class LateTurnTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(Jobs.Search);

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    public async Task Notes_of_one_name_of_two_turns_are_two()
    {
        await _talk.SayAsync("hello");
        await _talk.SayAsync("thanks");

        foreach (var turn in await TurnsAsync())
        {
            await KeepAsync(turn, ("note_1_1", $"of {turn}"));
        }

        await _talk.Platform.SettleMemoryAsync();
        Assert.Equal(2, (await ChunksAsync()).Count);
    }

    [Fact]
    public async Task A_blank_note_costs_the_turn_nothing_and_a_long_one_is_cut_between_two_characters()
    {
        await _talk.SayAsync("hello");
        await KeepAsync((await TurnsAsync())[0], ("blank", " \n"), ("long", new string('x', MemoryChunkInput.Longest - 1) + "😀"));
        await _talk.Platform.SettleMemoryAsync();

        Assert.Equal(new string('x', MemoryChunkInput.Longest - 1), Assert.Single(await ChunksAsync()).Content);
        Assert.Single(await EpisodesAsync());
    }

    [Fact]
    public async Task A_turn_of_a_contact_that_was_merged_meanwhile_is_remembered_of_the_survivor()
    {
        await _talk.SayAsync("hello");
        await KeepAsync((await TurnsAsync())[0], ("note", "likes espresso"));
        var from = _talk.ContactId;
        await _talk.MeetAsync();
        Assert.True((await _talk.Platform.Get<MergeContacts>().HandleAsync(_talk.Actor, from, _talk.ContactId, default)).IsOk);
        await _talk.Platform.SettleMemoryAsync();

        Assert.Equal(_talk.ContactId, Assert.Single(await ChunksAsync()).ContactId);
        Assert.Equal(_talk.ContactId, Assert.Single(await EpisodesAsync()).CustomerProfileId);
    }

    [Fact]
    public async Task A_turn_of_a_contact_that_was_erased_meanwhile_is_not_remembered()
    {
        await _talk.SayAsync("hello");
        await KeepAsync((await TurnsAsync())[0], ("note", "likes espresso"));
        await _talk.Platform.Postgres.ScalarAsync<Guid>("UPDATE contacts.customer_profiles SET erased_at = now() WHERE id = $1 RETURNING id", _talk.ContactId);
        await _talk.Platform.SettleMemoryAsync();

        Assert.Empty(await ChunksAsync());
        Assert.Empty(await EpisodesAsync());
    }

    [Fact]
    public async Task What_was_said_before_a_contact_was_forgotten_is_not_remembered_after_it_and_what_a_member_does_not_see_is_forgotten_too()
    {
        await _talk.SayAsync("hello");
        await KeepAsync((await TurnsAsync())[0], ("note", "likes espresso"));
        await _talk.InAsync(tx =>
        {
            _talk.Platform.Get<ChunkStore>().Put(tx, new NewChunk("a secret", "fact", null) { ContactId = _talk.ContactId, ConversationId = _talk.ConversationId });
            return Task.CompletedTask;
        });
        await HideAsync(_talk.ConversationId);
        var colleague = await _talk.Platform.Postgres.ScalarAsync<Guid>("INSERT INTO identity.users (id, email) VALUES (gen_random_uuid(), 'colleague@example.test') RETURNING id");
        var member = new Actor(_talk.Actor.TenantId, colleague, "admin");
        var manage = _talk.Platform.Get<ManageEpisodes>();

        Assert.Equal("contact_not_found", (await manage.ForgetAsync(member, TimeProvider.System.NewId(), default)).Problem!.Code);
        Assert.Equal(new Forgotten(0, 1, 0), (await manage.ForgetAsync(member, _talk.ContactId, default)).Value);
        await _talk.Platform.SettleMemoryAsync();

        Assert.Empty(await ChunksAsync());
        Assert.Empty(await EpisodesAsync());
        Assert.NotNull(await _talk.InAsync(tx => Forgettings.FindAsync(tx, _talk.ContactId, default)));
        await _talk.SayAsync("thanks");
        await KeepAsync((await TurnsAsync())[^1]);
        await _talk.Platform.SettleMemoryAsync();
        Assert.Single(await EpisodesAsync());
    }

    [Fact]
    public async Task What_became_private_is_recalled_in_its_own_conversation_alone()
    {
        var (own, other) = (_talk.ConversationId, TimeProvider.System.NewId());
        await _talk.InAsync(tx =>
        {
            _talk.Platform.Get<ChunkStore>().Put(tx, new NewChunk("likes espresso", "fact", null) { ContactId = _talk.ContactId, ConversationId = own });
            return Task.CompletedTask;
        });
        Assert.Single(await RecallAsync(other));

        await HideAsync(own);

        Assert.Empty(await RecallAsync(other));
        Assert.Single(await RecallAsync(own));
    }

    private Task<Guid> HideAsync(Guid conversation) => _talk.Platform.Postgres.ScalarAsync<Guid>(
        "UPDATE conversations.conversations SET shared = false, user_id = (SELECT id FROM identity.users LIMIT 1) WHERE id = $1 RETURNING id", conversation);

    private Task<IReadOnlyList<MemoryHit>> RecallAsync(Guid conversation) => _talk.InAsync(tx => _talk.Platform.Get<Recall>().ForTurnAsync(
        tx, _talk.AgentId, _talk.ContactId, conversation, TimeProvider.System.NewId(), "espresso", TimeProvider.System.GetUtcNow(), default));

    private Task<IReadOnlyList<Guid>> TurnsAsync() => _talk.InAsync(tx => tx.QueryAsync<Guid>("SELECT id FROM conversations.turn_records ORDER BY id", [], default));

    private Task KeepAsync(Guid turn, params (string Name, string Value)[] notes) => _talk.InAsync(tx =>
    {
        var told = notes.ToDictionary(note => note.Name, note => note.Value, StringComparer.Ordinal);
        _talk.Platform.Get<TurnMemory>().Keep(tx, new KeptTurn(turn, _talk.ConversationId, TimeProvider.System.NewId(), _talk.AgentId, _talk.ContactId, told));
        return Task.CompletedTask;
    });

    private async Task<IReadOnlyList<MemoryChunk>> ChunksAsync() =>
        (await _talk.InAsync(tx => ChunkStore.ListAsync(tx, null, null, null, new PageRequest(50, null), default))).Items;

    private async Task<IReadOnlyList<Episode>> EpisodesAsync() =>
        (await _talk.InAsync(tx => EpisodeStore.ListAsync(tx, new(null, null, null, null, null, null, null, null), new PageRequest(50, null), default))).Items;
}
