using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using Npgsql;

namespace AgentPlatform.Channels.Manage;

/// <summary>An agent's channels: up to three, exactly one of them primary.</summary>
public sealed class ManageChannels(Database database, AgentDirectory agents, ChannelDirectory directory, ChannelSecrets secrets, EventStore events, TimeProvider clock)
{
    private const int MaxChannels = 3;

    internal async Task<Page<ChannelView>> ListAsync(Actor actor, Guid? agentId, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return Page<ChannelView>.Cut(await tx.QueryAsync<ChannelView>(Sql.List, [actor.TenantId, agentId, page.Before, page.Fetch], ct), page, c => c.Id);
    }

    public async Task<Result<ChannelView>> FindAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return (await FindAsync(tx, id, ct)).OrNotFound("channel");
    }

    /// <summary>Creates a channel; the agent's first one is its primary. A channel starts unverified, and takes nothing until it is.</summary>
    public async Task<Result<ChannelWithSecret>> CreateAsync(Actor actor, ChannelInput input, CancellationToken ct)
    {
        if (ChannelRules.Check(input, creating: true) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        var agent = input.AgentId is { } agentId ? await agents.FindAsync(tx, agentId, ct) : await agents.DefaultAsync(tx, ct);
        if (agent is null)
        {
            return Problem.NotFound("agent");
        }

        var taken = await tx.QueryAsync<short>(Sql.Orders, [actor.TenantId, agent.Id], ct);
        if (taken.Count >= MaxChannels)
        {
            return Problem.Conflict("too_many_channels", $"An agent has at most {MaxChannels} channels.");
        }

        var (id, token) = (clock.NewId(), ChannelRules.NewToken());
        var secret = input.Secret ?? (input.ChannelType == ChannelTypes.CustomWebhook ? Custom.WebhookSignature.NewSecret() : null);
        var order = input.ChannelOrder ?? Enumerable.Range(1, MaxChannels).Select(n => (short)n).First(n => !taken.Contains(n));
        var sealedSecrets = secret is null ? [] : secrets.Add([], secret, id, TimeSpan.Zero);
        try
        {
            await tx.ExecuteAsync(Sql.Create, [actor.TenantId, id, agent.Id, token, directory.UrlOf(input.ChannelType!, token), .. Values(input, order, first: taken.Count == 0, sealedSecrets)], ct);
        }
        catch (PostgresException e) when (e.ConstraintName is "user_webhooks_order_is_free" or "user_webhooks_one_primary")
        {
            return Problem.Conflict("channel_order_taken", "Another channel of this agent has this place.");
        }

        events.Append(tx, new NewEvent("channel.created", "channel", id, new { channel_type = input.ChannelType, agent_id = agent.Id }));
        var created = await FindAsync(tx, id, ct);
        await tx.CommitAsync(ct);
        return new ChannelWithSecret(created!, input.Secret is null ? secret : null);
    }

    internal async Task<Result<ChannelView>> ChangeAsync(Actor actor, Guid id, ChannelInput input, IfMatch ifMatch, CancellationToken ct)
    {
        if (ChannelRules.Check(input, creating: false) is { } invalid)
        {
            return invalid;
        }

        try
        {
            return await WriteAsync(actor, id, ifMatch, "channel.updated", tx => tx.Post(
                Sql.Change,
                actor.TenantId, id, input.ChannelName?.Trim(), input.ChannelOrder, Optional(input.ProviderConfig), input.OutboundEnabled, Optional(input.OutboundConfig), input.IsActive,
                input.TokenExpiresAt?.ToUniversalTime(), input.TokenRotationRequired, input.RateLimitPerMinute, input.RateLimitPerHour,
                Optional(input.Metadata), Json.Param(input.Tags)), ct);
        }
        catch (PostgresException e) when (e.ConstraintName == "user_webhooks_order_is_free")
        {
            return Problem.Conflict("channel_order_taken", "Another channel of this agent has this place.");
        }
    }

    /// <summary>Makes the channel its agent's primary one, in place of the one before.</summary>
    internal Task<Result<ChannelView>> MakePrimaryAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct) =>
        WriteAsync(actor, id, ifMatch, "channel.made_primary", tx =>
        {
            tx.Post(Sql.ClearPrimary, actor.TenantId, id);
            tx.Post(Sql.SetPrimary, actor.TenantId, id);
        }, ct);

    /// <summary>Deletes the channel with its messages and logs; conversations and tasks stay. The next channel becomes primary.</summary>
    internal async Task<Result<Guid>> DeleteAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.FindAsync<Guid?>(Sql.LockAgent, [actor.TenantId, id], ct) is not { } agentId || await FindAsync(tx, id, ct) is not { } known)
        {
            return Problem.NotFound("channel");
        }

        if (ifMatch.Check(known.UpdatedAt) is { } stale)
        {
            return stale;
        }

        tx.Post(Sql.Delete, actor.TenantId, id);
        tx.Post(Sql.PromoteNext, actor.TenantId, agentId);
        events.Append(tx, new NewEvent("channel.deleted", "channel", id, new { agent_id = agentId }));
        await tx.CommitAsync(ct);
        return id;
    }

    internal static async Task<ChannelView?> FindAsync(Transaction tx, Guid id, CancellationToken ct) =>
        await tx.FindAsync<ChannelView>(Sql.Find, [tx.TenantId, id], ct);

    private async Task<Result<ChannelView>> WriteAsync(Actor actor, Guid id, IfMatch ifMatch, string eventType, Action<Transaction> write, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.FindAsync<Guid?>(Sql.LockAgent, [actor.TenantId, id], ct) is null || await FindAsync(tx, id, ct) is not { } before)
        {
            return Problem.NotFound("channel");
        }

        if (ifMatch.Check(before.UpdatedAt) is { } stale)
        {
            return stale;
        }

        write(tx);
        events.Append(tx, new NewEvent(eventType, "channel", id, new { agent_id = before.AgentId }));
        var after = await FindAsync(tx, id, ct);
        await tx.CommitAsync(ct);
        return after!;
    }

    private static object?[] Values(ChannelInput input, short order, bool first, IReadOnlyList<StoredSecret> sealedSecrets) =>
    [
        input.ChannelType, input.ChannelName!.Trim(), order, ChannelRules.Object(input.ProviderConfig), input.OutboundEnabled ?? true, ChannelRules.Object(input.OutboundConfig),
        input.IsActive ?? true, first, input.TokenExpiresAt?.ToUniversalTime(), Json.Param(sealedSecrets), input.RateLimitPerMinute ?? 30, input.RateLimitPerHour ?? 200,
        ChannelRules.Object(input.Metadata), Json.Param(input.Tags ?? []),
    ];

    private static NpgsqlParameter Optional(JsonElement? value) => Json.Param(value);

    private static class Sql
    {
        internal const string List =
            """
            SELECT w.id, w.agent_id, w.webhook_token, w.webhook_url, w.channel_type, w.channel_name, w.channel_order, w.provider_config, w.outbound_enabled, w.outbound_config,
                   w.is_active, w.is_primary, w.is_verified, w.verified_at, w.verification_code_expires_at, w.token_expires_at, w.token_rotation_required,
                   (SELECT coalesce(jsonb_agg(s - 'sealed'), '[]') FROM jsonb_array_elements(w.secret_keys) AS s) AS secrets,
                   (SELECT coalesce(jsonb_agg(jsonb_build_object('hint', right(r.token::text, 4), 'retired_at', r.retired_at, 'valid_until', r.valid_until) ORDER BY r.retired_at DESC), '[]')
                    FROM channels.retired_tokens AS r WHERE r.tenant_id = w.tenant_id AND r.webhook_id = w.id) AS retired_tokens,
                   w.rate_limit_per_minute, w.rate_limit_per_hour, t.received AS total_messages_received, t.sent AS total_messages_sent, t.last AS last_message_at,
                   w.metadata, w.tags, w.created_at, w.updated_at
            FROM channels.user_webhooks AS w
            CROSS JOIN LATERAL (SELECT coalesce(sum(total_messages_received), 0)::bigint AS received, coalesce(sum(total_messages_sent), 0)::bigint AS sent, max(last_message_at) AS last
                                FROM channels.webhook_traffic WHERE tenant_id = w.tenant_id AND webhook_id = w.id) AS t
            WHERE w.tenant_id = $1 AND ($2::uuid IS NULL OR w.agent_id = $2) AND ($3::uuid IS NULL OR w.id < $3)
            ORDER BY w.id DESC LIMIT $4
            """;

        internal const string Find =
            """
            SELECT w.id, w.agent_id, w.webhook_token, w.webhook_url, w.channel_type, w.channel_name, w.channel_order, w.provider_config, w.outbound_enabled, w.outbound_config,
                   w.is_active, w.is_primary, w.is_verified, w.verified_at, w.verification_code_expires_at, w.token_expires_at, w.token_rotation_required,
                   (SELECT coalesce(jsonb_agg(s - 'sealed'), '[]') FROM jsonb_array_elements(w.secret_keys) AS s) AS secrets,
                   (SELECT coalesce(jsonb_agg(jsonb_build_object('hint', right(r.token::text, 4), 'retired_at', r.retired_at, 'valid_until', r.valid_until) ORDER BY r.retired_at DESC), '[]')
                    FROM channels.retired_tokens AS r WHERE r.tenant_id = w.tenant_id AND r.webhook_id = w.id) AS retired_tokens,
                   w.rate_limit_per_minute, w.rate_limit_per_hour, t.received AS total_messages_received, t.sent AS total_messages_sent, t.last AS last_message_at,
                   w.metadata, w.tags, w.created_at, w.updated_at
            FROM channels.user_webhooks AS w
            CROSS JOIN LATERAL (SELECT coalesce(sum(total_messages_received), 0)::bigint AS received, coalesce(sum(total_messages_sent), 0)::bigint AS sent, max(last_message_at) AS last
                                FROM channels.webhook_traffic WHERE tenant_id = w.tenant_id AND webhook_id = w.id) AS t
            WHERE w.tenant_id = $1 AND w.id = $2
            """;

        internal const string Orders = "SELECT channel_order FROM channels.user_webhooks WHERE tenant_id = $1 AND agent_id = $2";

        internal const string Create =
            """
            INSERT INTO channels.user_webhooks (
                tenant_id, id, agent_id, webhook_token, webhook_url, channel_type, channel_name, channel_order, provider_config, outbound_enabled, outbound_config,
                is_active, is_primary, token_expires_at, secret_keys, rate_limit_per_minute, rate_limit_per_hour, metadata, tags)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
            """;

        internal const string Change =
            """
            UPDATE channels.user_webhooks SET
                channel_name = coalesce($3, channel_name), channel_order = coalesce($4, channel_order), provider_config = coalesce($5, provider_config),
                outbound_enabled = coalesce($6, outbound_enabled), outbound_config = coalesce($7, outbound_config), is_active = coalesce($8, is_active),
                token_expires_at = coalesce($9, token_expires_at), token_rotation_required = coalesce($10, token_rotation_required),
                rate_limit_per_minute = coalesce($11, rate_limit_per_minute), rate_limit_per_hour = coalesce($12, rate_limit_per_hour),
                metadata = coalesce($13, metadata), tags = coalesce($14, tags)
            WHERE tenant_id = $1 AND id = $2
            """;

        internal const string LockAgent = "SELECT agent_id FROM channels.user_webhooks WHERE tenant_id = $1 AND id = $2 FOR UPDATE";

        internal const string ClearPrimary =
            """
            UPDATE channels.user_webhooks SET is_primary = false
            WHERE tenant_id = $1 AND is_primary AND id <> $2 AND agent_id = (SELECT agent_id FROM channels.user_webhooks WHERE tenant_id = $1 AND id = $2)
            """;

        internal const string SetPrimary = "UPDATE channels.user_webhooks SET is_primary = true WHERE tenant_id = $1 AND id = $2";

        internal const string Delete = "DELETE FROM channels.user_webhooks WHERE tenant_id = $1 AND id = $2";

        internal const string PromoteNext =
            """
            UPDATE channels.user_webhooks SET is_primary = true
            WHERE tenant_id = $1 AND id = (SELECT id FROM channels.user_webhooks WHERE tenant_id = $1 AND agent_id = $2 ORDER BY channel_order LIMIT 1)
              AND NOT EXISTS (SELECT FROM channels.user_webhooks WHERE tenant_id = $1 AND agent_id = $2 AND is_primary)
            """;
    }
}
