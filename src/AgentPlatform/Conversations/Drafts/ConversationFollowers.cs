using AgentPlatform.Postgres;

namespace AgentPlatform.Conversations.Drafts;

/// <summary>Knows across hosts which conversations somebody follows live.</summary>
public sealed class ConversationFollowers
{
    /// <summary>For so long a follower is believed to be there: longer than a stream is silent about it.</summary>
    private static readonly TimeSpan Belief = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan Renewal = TimeSpan.FromSeconds(10);

    private readonly Database _database;
    private readonly TimeProvider _clock;

    internal ConversationFollowers(Database database, TimeProvider clock) => (_database, _clock) = (database, clock);

    /// <summary>Somebody begins to follow a conversation that the actor may see.</summary>
    public Follower Begin(Actor actor, Guid conversationId) => new(this, actor, conversationId);

    /// <summary>Never of a private conversation: what is said in it is for its user alone.</summary>
    internal async Task<bool> AnyAsync(Actor actor, Guid conversationId, CancellationToken ct)
    {
        await using var tx = _database.Begin(actor);
        return await tx.SingleAsync<bool>(Sql.Any, [conversationId, _clock.GetUtcNow()], ct);
    }

    /// <summary>Forgets who has long gone. Returns how many rows went.</summary>
    public Task<int> PruneAsync(CancellationToken ct) => _database.PruneAsync(ct, Sql.Prune);

    private async Task RenewAsync(Actor actor, Guid conversationId, CancellationToken ct)
    {
        await using var tx = _database.Begin(actor);
        tx.Post(Sql.Renew, conversationId, _clock.GetUtcNow() + Belief);
        await tx.CommitAsync(ct);
    }

    public sealed class Follower
    {
        private readonly ConversationFollowers _followers;
        private readonly Actor _actor;
        private readonly Guid _conversationId;
        private DateTimeOffset _renewAt;

        internal Follower(ConversationFollowers followers, Actor actor, Guid conversationId) => (_followers, _actor, _conversationId) = (followers, actor, conversationId);

        /// <summary>Still there. Costs a statement every ten seconds, however often it is said.</summary>
        public async Task StayAsync(CancellationToken ct)
        {
            var now = _followers._clock.GetUtcNow();
            if (now >= _renewAt)
            {
                await _followers.RenewAsync(_actor, _conversationId, ct);
                _renewAt = now + Renewal;
            }
        }
    }

    private static class Sql
    {
        // From the conversation's row: one that is gone, or not to be seen, has no followers.
        internal const string Renew =
            """
            INSERT INTO conversations.conversation_followers AS f (tenant_id, conversation_id, followed_until)
            SELECT c.tenant_id, c.id, $2 FROM conversations.conversations c WHERE c.tenant_id = kernel.current_tenant_id() AND c.id = $1
            ON CONFLICT (tenant_id, conversation_id) DO UPDATE SET followed_until = greatest(f.followed_until, excluded.followed_until)
            """;

        internal const string Any =
            """
            SELECT EXISTS (
                SELECT FROM conversations.conversation_followers f JOIN conversations.conversations c ON c.tenant_id = f.tenant_id AND c.id = f.conversation_id
                WHERE f.tenant_id = kernel.current_tenant_id() AND f.conversation_id = $1 AND f.followed_until > $2 AND c.shared)
            """;

        internal const string Prune =
            """
            DELETE FROM conversations.conversation_followers
            WHERE (tenant_id, conversation_id) IN (SELECT tenant_id, conversation_id FROM conversations.conversation_followers WHERE followed_until < now() - interval '1 day' LIMIT $1)
            """;
    }
}
