using System.Text.Json;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Conversations;

/// <summary>
/// Sessions in two tiers on one row: every use keeps it hot for <see cref="ConversationsOptions.SessionHotMinutes"/>, every save keeps it
/// for <see cref="ConversationsOptions.SessionPersistDays"/>. A read that misses the hot tier warms the row again; past both there is none.
/// </summary>
public sealed class SessionStore(TimeProvider clock, IOptions<ConversationsOptions> options, AuditLog audit)
{
    /// <summary>The SQLSTATE of a save that came too late: read the session again.</summary>
    public const string Moved = "CS001";

    /// <summary>The conversation's session, kept hot and locked until the transaction ends; a new one when it is over or out of date.</summary>
    public async Task<ConversationSession> LoadOrStartAsync(
        Transaction tx, Guid conversationId, Guid agentId, Guid contactId, ChannelAddress address, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        return await ReadAsync(tx, Sql.Touch, [conversationId, Hot(now), now], ct) ?? await StartAsync(tx, conversationId, agentId, contactId, address, ct);
    }

    /// <summary>
    /// The conversation's session, locked until the transaction ends, for a use that ends with a <see cref="Save"/>, which keeps it hot; or a new one of
    /// that agent and contact. Null when the conversation has none and is not theirs, or has one that is out of date: see <see cref="LoadOrStartAsync"/>.
    /// </summary>
    public async Task<ConversationSession?> TakeRunningOrStartAsync(Transaction tx, Guid conversationId, Guid agentId, Guid contactId, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var id = clock.NewId();
        var session = await ReadAsync(tx, Sql.TakeRunningOrStart, [conversationId, now, id, agentId, contactId, Hot(now), Persist(now)], ct);
        if (session?.SessionId == id)
        {
            Started(tx, session);
        }

        return session;
    }

    /// <summary>The same by id; null when there is none, when it ended, expired, or is another tenant's.</summary>
    public Task<ConversationSession?> TakeAsync(Transaction tx, Guid sessionId, CancellationToken ct) =>
        ReadAsync(tx, Sql.Take, [sessionId, clock.GetUtcNow()], ct);

    /// <summary>Ends what is out of date, and starts a new one.</summary>
    public async Task<ConversationSession> StartAsync(
        Transaction tx, Guid conversationId, Guid agentId, Guid contactId, ChannelAddress address, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var id = clock.NewId();
        tx.Gather();
        var ending = tx.QueryAsync<Guid>(Sql.EndStale, [conversationId, address.Channel, address.Address, agentId, now], ct);
        var starting = ReadAsync(tx, Sql.Start, [id, conversationId, agentId, contactId, address.Channel, address.Address, Hot(now), Persist(now), now], ct);
        await tx.AskAsync(ct);
        foreach (var over in await ending)
        {
            audit.Append(tx, new AuditEvent("session.ended", new { reason = "expired" }) { SessionId = over });
        }

        if (await starting is not { } started)
        {
            // Another transaction has begun one since we looked, and has committed.
            return await ReadAsync(tx, Sql.TakeRunning, [conversationId, clock.GetUtcNow()], ct) ?? throw new InvalidOperationException($"Conversation {conversationId} can have no session.");
        }

        Started(tx, started);
        return started;
    }

    /// <summary>By id, kept hot; null when there is none, when it ended, expired, or is another tenant's.</summary>
    public Task<ConversationSession?> FindAsync(Transaction tx, Guid sessionId, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        return ReadAsync(tx, Sql.TouchById, [sessionId, Hot(now), now], ct);
    }

    /// <summary>Locks a session, living or over, until the transaction ends, and does not keep it hot.</summary>
    internal static Task LockAsync(Transaction tx, Guid sessionId, CancellationToken ct) => tx.FindAsync<Guid?>(Sql.Lock, [sessionId], ct);

    /// <summary>By id, without keeping it hot: for looking on.</summary>
    public Task<ConversationSession?> PeekAsync(Transaction tx, Guid sessionId, CancellationToken ct) =>
        ReadAsync(tx, Sql.Peek, [sessionId, clock.GetUtcNow()], ct);

    /// <summary>The current session of an address, kept hot.</summary>
    public Task<ConversationSession?> FindByChannelAsync(Transaction tx, ChannelAddress address, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        return ReadAsync(tx, Sql.TouchByChannel, [address.Channel, address.Address, Hot(now), now], ct);
    }

    /// <summary>The current session of an address, without keeping it hot.</summary>
    public Task<ConversationSession?> PeekByChannelAsync(Transaction tx, ChannelAddress address, CancellationToken ct) =>
        ReadAsync(tx, Sql.PeekByChannel, [address.Channel, address.Address, clock.GetUtcNow()], ct);

    /// <summary>The living sessions of an agent, the latest used first. Listing keeps nothing hot.</summary>
    internal async Task<IReadOnlyList<ConversationSession>> ListByAgentAsync(Transaction tx, Guid agentId, Place? after, int most, CancellationToken ct) =>
        Sessions(await tx.QueryAsync<Row>(Sql.ByAgent, [agentId, clock.GetUtcNow(), after?.At, after?.Id, most], ct));

    /// <summary>The living sessions of a contact, the latest used first. Listing keeps nothing hot.</summary>
    internal async Task<IReadOnlyList<ConversationSession>> ListByCustomerAsync(Transaction tx, Guid contactId, Place? after, int most, CancellationToken ct) =>
        Sessions(await tx.QueryAsync<Row>(Sql.ByCustomer, [contactId, clock.GetUtcNow(), after?.At, after?.Id, most], ct));

    /// <summary>Writes both tiers with the next round trip, which fails with <see cref="Moved"/> when somebody saved the session since it was read.</summary>
    public void Save(Transaction tx, ConversationSession s)
    {
        var now = clock.GetUtcNow();
        tx.PostCall(
            Sql.Save,
            s.SessionId, s.Version, Json.Param(s.State), Json.Param(s.Variables), s.ActiveScenarioId, s.ActiveScenarioVersion, s.CurrentStepId,
            Json.Param(s.StepHistory), Json.Param(s.PendingMigration), Hot(now), Persist(now), now);
    }

    /// <summary>
    /// Leaves a mark that the next turn of each acts on; how many there were. A session in the middle of a turn is waited for, and looked at as
    /// the turn left it.
    /// </summary>
    public Task<int> MarkForMigrationAsync(Transaction tx, ScenarioSessions which, JsonElement mark, CancellationToken ct) => tx.ExecuteAsync(
        Sql.Mark,
        [which.ScenarioId, which.Version, Json.Param(mark), clock.GetUtcNow(), which.Channels, which.ContactIds, which.StepIds, which.ActiveSince?.ToUniversalTime()],
        ct);

    /// <summary>Takes schemas out of the states of sessions: what was cached of them is gone. A session in the middle of a turn is waited for.</summary>
    public Task ForgetSchemasAsync(Transaction tx, IReadOnlyCollection<(Guid SessionId, string SchemaId)> which, CancellationToken ct) =>
        tx.ExecuteAsync(Sql.ForgetSchemas, [which.Select(w => w.SessionId).ToArray(), which.Select(w => w.SchemaId).ToArray()], ct);

    /// <summary>Ends the session: the next message starts a new one.</summary>
    public async Task<bool> EndAsync(Transaction tx, Guid sessionId, string reason, CancellationToken ct)
    {
        if (await tx.ExecuteAsync(Sql.End, [sessionId, reason, clock.GetUtcNow()], ct) == 0)
        {
            return false;
        }

        audit.Append(tx, new AuditEvent("session.ended", new { reason }) { SessionId = sessionId });
        return true;
    }

    /// <summary>Ends whatever session a conversation has: it is over.</summary>
    public async Task EndOfAsync(Transaction tx, Guid conversationId, string reason, CancellationToken ct)
    {
        foreach (var ended in await tx.QueryAsync<Guid>(Sql.EndOf, [conversationId, reason, clock.GetUtcNow()], ct))
        {
            audit.Append(tx, new AuditEvent("session.ended", new { reason }) { SessionId = ended });
        }
    }

    /// <summary>Removes the row, and with it every way to find it. Turn records and audit events stay.</summary>
    public async Task<bool> DeleteAsync(Transaction tx, Guid sessionId, CancellationToken ct)
    {
        if (await tx.ExecuteAsync(Sql.Delete, [sessionId], ct) == 0)
        {
            return false;
        }

        audit.Append(tx, new AuditEvent("session.deleted", new { }) { SessionId = sessionId });
        return true;
    }

    private void Started(Transaction tx, ConversationSession session)
    {
        var about = new { conversation_id = session.ConversationId, agent_id = session.AgentId, channel = session.Channel };
        audit.Append(tx, new AuditEvent("session.started", about) { SessionId = session.SessionId });
    }

    private async Task<ConversationSession?> ReadAsync(Transaction tx, string sql, object?[] args, CancellationToken ct) =>
        (await tx.FindAsync<Row>(sql, args, ct))?.ToSession();

    private DateTimeOffset Hot(DateTimeOffset now) => now.AddMinutes(options.Value.SessionHotMinutes);

    private DateTimeOffset Persist(DateTimeOffset now) => now.AddDays(options.Value.SessionPersistDays);

    private static IReadOnlyList<ConversationSession> Sessions(IReadOnlyList<Row> rows) => [.. rows.Select(r => r.ToSession())];

    private sealed record Row(
        Guid Id, Guid ConversationId, Guid AgentId, Guid ContactId, string Channel, string UserChannelId, string Status, JsonElement State,
        JsonElement Variables, Guid? ActiveScenarioId, int? ActiveScenarioVersion, Guid? CurrentStepId, JsonElement StepHistory, JsonElement? PendingMigration,
        int LastTurnNumber, int Version, bool WasHot, DateTimeOffset HotUntil, DateTimeOffset PersistUntil, DateTimeOffset CreatedAt,
        DateTimeOffset LastActivityAt)
    {
        internal ConversationSession ToSession() => new()
        {
            SessionId = Id,
            ConversationId = ConversationId,
            AgentId = AgentId,
            CustomerProfileId = ContactId,
            Channel = Channel,
            UserChannelId = UserChannelId,
            Status = Status,
            State = Json.Read<SessionState>(State),
            Variables = Json.Read<Dictionary<string, JsonElement>>(Variables),
            ActiveScenarioId = ActiveScenarioId,
            ActiveScenarioVersion = ActiveScenarioVersion,
            CurrentStepId = CurrentStepId,
            StepHistory = Json.Read<SessionStep[]>(StepHistory),
            PendingMigration = PendingMigration,
            LastTurnNumber = LastTurnNumber,
            Version = Version,
            Tier = WasHot ? SessionTier.Hot : SessionTier.Persisted,
            HotUntil = HotUntil,
            PersistUntil = PersistUntil,
            CreatedAt = CreatedAt,
            LastActivityAt = LastActivityAt,
        };
    }

    private static class Sql
    {
        // The subquery sees the row as it was, which tells the tier that answered; the update warms and locks it.
        internal const string Touch =
            """
            UPDATE conversations.sessions s SET hot_until = least($2, s.persist_until)
            FROM (SELECT id, hot_until > $3 AS was_hot FROM conversations.sessions
                  WHERE conversation_id = $1 AND status = 'ACTIVE' AND persist_until > $3) AS old
            WHERE s.id = old.id
            RETURNING s.id, conversation_id, agent_id, contact_id, channel, user_channel_id, status, state, variables, active_scenario_id,
                      active_scenario_version, current_step_id, step_history, pending_migration, last_turn_number, version, was_hot, s.hot_until,
                      persist_until, created_at, last_activity_at
            """;

        internal const string TouchById =
            """
            UPDATE conversations.sessions s SET hot_until = least($2, s.persist_until)
            FROM (SELECT id, hot_until > $3 AS was_hot FROM conversations.sessions WHERE id = $1 AND status = 'ACTIVE' AND persist_until > $3) AS old
            WHERE s.id = old.id
            RETURNING s.id, conversation_id, agent_id, contact_id, channel, user_channel_id, status, state, variables, active_scenario_id,
                      active_scenario_version, current_step_id, step_history, pending_migration, last_turn_number, version, was_hot, s.hot_until,
                      persist_until, created_at, last_activity_at
            """;

        internal const string TakeRunning =
            """
            SELECT id, conversation_id, agent_id, contact_id, channel, user_channel_id, status, state, variables, active_scenario_id, active_scenario_version,
                   current_step_id, step_history, pending_migration, last_turn_number, version, hot_until > $2 AS was_hot, hot_until, persist_until,
                   created_at, last_activity_at
            FROM conversations.sessions WHERE conversation_id = $1 AND status = 'ACTIVE' AND persist_until > $2 FOR NO KEY UPDATE
            """;

        // An address that still has a session out of date gets none here.
        internal const string TakeRunningOrStart =
            """
            WITH running AS (
                SELECT id, conversation_id, agent_id, contact_id, channel, user_channel_id, status, state, variables, active_scenario_id,
                       active_scenario_version, current_step_id, step_history, pending_migration, last_turn_number, version, hot_until > $2 AS was_hot,
                       hot_until, persist_until, created_at, last_activity_at
                FROM conversations.sessions WHERE conversation_id = $1 AND status = 'ACTIVE' AND persist_until > $2 FOR NO KEY UPDATE
            ), started AS (
                INSERT INTO conversations.sessions
                    (tenant_id, id, conversation_id, agent_id, contact_id, channel, user_channel_id, hot_until, persist_until, created_at, last_activity_at)
                SELECT c.tenant_id, $3, c.id, c.agent_id, c.contact_id, c.channel, c.participant_identifier, $6, $7, $2, $2
                FROM conversations.conversations c
                WHERE c.tenant_id = kernel.current_tenant_id() AND c.id = $1 AND c.agent_id = $4 AND c.contact_id = $5 AND NOT EXISTS (SELECT FROM running)
                ON CONFLICT DO NOTHING
                RETURNING id, conversation_id, agent_id, contact_id, channel, user_channel_id, status, state, variables, active_scenario_id,
                          active_scenario_version, current_step_id, step_history, pending_migration, last_turn_number, version, true AS was_hot,
                          hot_until, persist_until, created_at, last_activity_at
            )
            SELECT * FROM running UNION ALL SELECT * FROM started
            """;

        internal const string Take =
            """
            SELECT id, conversation_id, agent_id, contact_id, channel, user_channel_id, status, state, variables, active_scenario_id, active_scenario_version,
                   current_step_id, step_history, pending_migration, last_turn_number, version, hot_until > $2 AS was_hot, hot_until, persist_until,
                   created_at, last_activity_at
            FROM conversations.sessions WHERE id = $1 AND status = 'ACTIVE' AND persist_until > $2 FOR NO KEY UPDATE
            """;

        internal const string Lock = "SELECT id FROM conversations.sessions WHERE id = $1 FOR NO KEY UPDATE";

        internal const string Peek =
            """
            SELECT id, conversation_id, agent_id, contact_id, channel, user_channel_id, status, state, variables, active_scenario_id, active_scenario_version,
                   current_step_id, step_history, pending_migration, last_turn_number, version, hot_until > $2 AS was_hot, hot_until, persist_until,
                   created_at, last_activity_at
            FROM conversations.sessions WHERE id = $1 AND status = 'ACTIVE' AND persist_until > $2
            """;

        internal const string TouchByChannel =
            """
            UPDATE conversations.sessions s SET hot_until = least($3, s.persist_until)
            FROM (SELECT id, hot_until > $4 AS was_hot FROM conversations.sessions
                  WHERE channel = $1 AND user_channel_id = $2 AND status = 'ACTIVE' AND persist_until > $4
                      ORDER BY last_activity_at DESC, id DESC LIMIT 1) AS old
            WHERE s.id = old.id
            RETURNING s.id, conversation_id, agent_id, contact_id, channel, user_channel_id, status, state, variables, active_scenario_id,
                      active_scenario_version, current_step_id, step_history, pending_migration, last_turn_number, version, was_hot, s.hot_until,
                      persist_until, created_at, last_activity_at
            """;

        internal const string PeekByChannel =
            """
            SELECT id, conversation_id, agent_id, contact_id, channel, user_channel_id, status, state, variables, active_scenario_id, active_scenario_version,
                   current_step_id, step_history, pending_migration, last_turn_number, version, hot_until > $3 AS was_hot, hot_until, persist_until,
                   created_at, last_activity_at
            FROM conversations.sessions
            WHERE channel = $1 AND user_channel_id = $2 AND status = 'ACTIVE' AND persist_until > $3 ORDER BY last_activity_at DESC, id DESC LIMIT 1
            """;

        // Also a session of an earlier, closed conversation with the same address: an address has one session with an agent.
        internal const string EndStale =
            """
            UPDATE conversations.sessions SET status = 'ENDED', ended_at = $5, end_reason = 'expired'
            WHERE status = 'ACTIVE' AND (conversation_id = $1 OR (channel = $2 AND user_channel_id = $3 AND agent_id = $4))
            RETURNING id
            """;

        internal const string Start =
            """
            INSERT INTO conversations.sessions
                (tenant_id, id, conversation_id, agent_id, contact_id, channel, user_channel_id, hot_until, persist_until, created_at, last_activity_at)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
            ON CONFLICT DO NOTHING
            RETURNING id, conversation_id, agent_id, contact_id, channel, user_channel_id, status, state, variables, active_scenario_id,
                      active_scenario_version, current_step_id, step_history, pending_migration, last_turn_number, version, true AS was_hot, hot_until,
                      persist_until, created_at, last_activity_at
            """;

        internal const string ByAgent =
            """
            SELECT id, conversation_id, agent_id, contact_id, channel, user_channel_id, status, state, variables, active_scenario_id, active_scenario_version,
                   current_step_id, step_history, pending_migration, last_turn_number, version, hot_until > $2 AS was_hot, hot_until, persist_until,
                   created_at, last_activity_at
            FROM conversations.sessions
            WHERE agent_id = $1 AND status = 'ACTIVE' AND persist_until > $2 AND ($3::timestamptz IS NULL OR (last_activity_at, id) < ($3, $4::uuid))
            ORDER BY last_activity_at DESC, id DESC LIMIT $5
            """;

        internal const string ByCustomer =
            """
            SELECT id, conversation_id, agent_id, contact_id, channel, user_channel_id, status, state, variables, active_scenario_id, active_scenario_version,
                   current_step_id, step_history, pending_migration, last_turn_number, version, hot_until > $2 AS was_hot, hot_until, persist_until,
                   created_at, last_activity_at
            FROM conversations.sessions
            WHERE contact_id = $1 AND status = 'ACTIVE' AND persist_until > $2 AND ($3::timestamptz IS NULL OR (last_activity_at, id) < ($3, $4::uuid))
            ORDER BY last_activity_at DESC, id DESC LIMIT $5
            """;

        internal const string Save =
            """
            WITH saved AS (
                UPDATE conversations.sessions
                SET state = $3, variables = $4, active_scenario_id = $5, active_scenario_version = $6, current_step_id = $7, step_history = $8,
                    pending_migration = $9,
                    hot_until = $10, persist_until = $11, last_activity_at = $12, version = version + 1
                WHERE id = $1 AND version = $2 AND status = 'ACTIVE'
                RETURNING id
            )
            SELECT conversations.require_saved(count(*)) FROM saved
            """;

        internal const string Mark =
            """
            UPDATE conversations.sessions SET pending_migration = $3, version = version + 1
            WHERE tenant_id = kernel.current_tenant_id() AND active_scenario_id = $1 AND active_scenario_version = $2 AND status = 'ACTIVE' AND persist_until > $4
              AND ($5::text[] IS NULL OR channel = ANY ($5)) AND ($6::uuid[] IS NULL OR contact_id = ANY ($6))
              AND ($7::uuid[] IS NULL OR current_step_id = ANY ($7)) AND ($8::timestamptz IS NULL OR last_activity_at >= $8)
            """;

        internal const string ForgetSchemas =
            """
            UPDATE conversations.sessions AS s
            SET state = jsonb_set(s.state, '{schema_states}', (s.state -> 'schema_states') - f.schema_ids), version = version + 1
            FROM (SELECT session_id, array_agg(schema_id) AS schema_ids FROM unnest($1::uuid[], $2::text[]) AS w (session_id, schema_id) GROUP BY session_id) AS f
            WHERE s.tenant_id = kernel.current_tenant_id() AND s.id = f.session_id AND s.state -> 'schema_states' ?| f.schema_ids
            """;

        internal const string End =
            "UPDATE conversations.sessions SET status = 'ENDED', ended_at = $3, end_reason = left($2, 100) WHERE id = $1 AND status = 'ACTIVE'";

        internal const string EndOf =
            """
            UPDATE conversations.sessions SET status = 'ENDED', ended_at = $3, end_reason = left($2, 100) WHERE conversation_id = $1 AND status = 'ACTIVE'
            RETURNING id
            """;

        internal const string Delete = "DELETE FROM conversations.sessions WHERE id = $1";
    }
}
