using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Tests.Conversations;

public sealed class ConversationPrivacyTests : IAsyncLifetime
{
    private Talk _talk = null!;
    private Actor _colleague = null!;

    public async Task InitializeAsync()
    {
        _talk = await Talk.BeginAsync();
        var userId = await _talk.Platform.Postgres.ScalarAsync<Guid>(
            """
            WITH u AS (INSERT INTO identity.users (id, email) VALUES (gen_random_uuid(), 'colleague@example.test') RETURNING id)
            INSERT INTO tenancy.workspace_members (tenant_id, id, user_id, role) SELECT $1, gen_random_uuid(), id, 'member' FROM u RETURNING user_id
            """,
            _talk.Tenant.TenantId);
        _colleague = new Actor(_talk.Tenant.TenantId, userId, "member");
    }

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("mk-rls-isolation")]
    public async Task A_private_conversation_and_what_was_said_in_it_are_its_users_alone()
    {
        await _talk.HearAsync("secret");
        await MakePrivateAsync(_talk.Owner.UserId);

        Assert.Equal((1L, 1L), await SeenByAsync(_talk.Owner));
        Assert.Equal((0L, 0L), await SeenByAsync(_colleague));
        Assert.Equal(0, await WriteAsync(_colleague, "UPDATE conversations.conversations SET title = 'mine'"));
        Assert.Equal(0, await WriteAsync(_colleague, "DELETE FROM conversations.messages"));
        await Assert.ThrowsAsync<PostgresException>(() => _talk.Platform.AsAsync(_colleague, tx => tx.ExecuteAsync(
            "INSERT INTO conversations.messages (tenant_id, id, conversation_id, role, direction, content) VALUES (kernel.current_tenant_id(), $1, $2, 'human', 'outbound', 'x')",
            [_talk.Clock.NewId(), _talk.Conversation.Id], default)));
        await Assert.ThrowsAsync<PostgresException>(() => _talk.Platform.AsAsync(_colleague, tx => tx.ExecuteAsync(
            "INSERT INTO conversations.conversations (tenant_id, id, channel, participant_identifier, user_id, shared) VALUES (kernel.current_tenant_id(), $1, 'console', 'x', $2, false)",
            [_talk.Clock.NewId(), _talk.Owner.UserId], default)));
    }

    [Fact]
    [Behaviour("mk-rls-workspace-sharing")]
    public async Task A_shared_conversation_is_seen_by_every_member_and_written_by_those_who_may()
    {
        await _talk.HearAsync("hello");
        var viewer = _colleague with { Role = "viewer" };

        Assert.Equal((1L, 1L), await SeenByAsync(_colleague));
        Assert.Equal((1L, 1L), await SeenByAsync(viewer));
        Assert.Equal(1, await WriteAsync(_colleague, "UPDATE conversations.conversations SET title = 'ours'"));
        Assert.Equal(0, await WriteAsync(viewer, "UPDATE conversations.conversations SET title = 'not mine'"));
    }

    [Fact]
    [Behaviour("mk-rls-unset-denies", "mk-rls-connection-reuse")]
    public async Task Without_a_user_nothing_is_seen_and_a_pooled_connection_remembers_nobody()
    {
        await _talk.HearAsync("hello");
        await using var source = NpgsqlDataSource.Create(_talk.Platform.Postgres.ConnectionString + ";Maximum Pool Size=1;No Reset On Close=true");
        var database = new Database(source);
        await using (var tx = database.Begin(_talk.Owner))
        {
            Assert.Equal(1L, await tx.SingleAsync<long>("SELECT count(*) FROM conversations.conversations", [], default));
            await tx.CommitAsync(default);
        }

        await using (var connection = await source.OpenConnectionAsync())
        await using (var command = new NpgsqlCommand("BEGIN; SET LOCAL ROLE agentplatform_app; SELECT count(*) FROM conversations.conversations; COMMIT", connection))
        {
            Assert.Equal(0L, await command.ExecuteScalarAsync());
        }

        await using var stranger = database.Begin(await _talk.Platform.NewTenantAsync("Other"));
        Assert.Equal(0L, await stranger.SingleAsync<long>("SELECT count(*) FROM conversations.conversations", [], default));
    }

    private Task MakePrivateAsync(Guid userId) =>
        _talk.ScalarAsync<Guid>("UPDATE conversations.conversations SET shared = false, user_id = $2 WHERE id = $1 RETURNING id", _talk.Conversation.Id, userId);

    private Task<(long, long)> SeenByAsync(Actor actor) => _talk.Platform.AsAsync(actor, async tx => (
        await tx.SingleAsync<long>("SELECT count(*) FROM conversations.conversations", [], default),
        await tx.SingleAsync<long>("SELECT count(*) FROM conversations.messages", [], default)));

    private Task<int> WriteAsync(Actor actor, string sql) => _talk.Platform.AsAsync(actor, tx => tx.ExecuteAsync(sql, [], default));
}
