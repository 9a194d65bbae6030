using System.Text.Json;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Channels.Manage;

/// <summary>How to rotate: what was in force before serves on for so many hours (the settings' number when null, 0 for not at all).</summary>
public sealed record Rotation(double? GraceHours)
{
    /// <summary>The new secret; generated when null. Of no meaning for a token.</summary>
    public string? Secret { get; init; }

    /// <summary>When the new token expires; never when null.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }
}

/// <summary>Gives a channel a new token or a new secret while the old one serves on for a while, so that nothing is lost in between.</summary>
public sealed class RotateChannel(Database database, ChannelDirectory directory, ChannelSecrets secrets, EventStore events, TimeProvider clock, IOptions<ChannelsOptions> options)
{
    /// <summary>A new token and address. The old token is told 410 once its grace has passed.</summary>
    internal async Task<Result<ChannelView>> TokenAsync(Actor actor, Guid id, Rotation rotation, CancellationToken ct)
    {
        if (Check(rotation) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (await tx.FindAsync<Current>(Sql.Lock, [actor.TenantId, id], ct) is not { } current)
        {
            return Problem.NotFound("channel");
        }

        // Where rotation was demanded or the token ran out, the old one has no grace: it was refused already.
        var now = clock.GetUtcNow();
        var refused = current.TokenRotationRequired || current.TokenExpiresAt <= now;
        var token = ChannelRules.NewToken();
        tx.Post(Sql.Retire, actor.TenantId, id, current.WebhookToken, refused ? now : now + Grace(rotation), now);
        tx.Post(Sql.SetToken, actor.TenantId, id, token, directory.UrlOf(current.ChannelType, token), rotation.ExpiresAt?.ToUniversalTime());
        events.Append(tx, new NewEvent("channel.token_rotated", "channel", id, new { }));
        var view = await ManageChannels.FindAsync(tx, id, ct);
        await tx.CommitAsync(ct);
        return view!;
    }

    /// <summary>A new secret, shown this once; signatures by the old one are accepted, and made, until its grace has passed.</summary>
    internal async Task<Result<ChannelWithSecret>> SecretAsync(Actor actor, Guid id, Rotation rotation, CancellationToken ct)
    {
        if (Check(rotation) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (await tx.FindAsync<Current>(Sql.Lock, [actor.TenantId, id], ct) is not { } current)
        {
            return Problem.NotFound("channel");
        }

        var secret = rotation.Secret ?? Custom.WebhookSignature.NewSecret();
        tx.Post(Sql.SetSecrets, actor.TenantId, id, Json.Param(secrets.Add(Json.Read<StoredSecret[]>(current.SecretKeys), secret, id, Grace(rotation))));
        events.Append(tx, new NewEvent("channel.secret_rotated", "channel", id, new { }));
        var view = await ManageChannels.FindAsync(tx, id, ct);
        await tx.CommitAsync(ct);
        return new ChannelWithSecret(view!, rotation.Secret is null ? secret : null);
    }

    private TimeSpan Grace(Rotation rotation) => TimeSpan.FromHours(rotation.GraceHours ?? options.Value.RotationGraceHours);

    private static Problem? Check(Rotation rotation) =>
        new Api.Validation()
            .Check("grace_hours", rotation.GraceHours is null or (>= 0 and <= 720), "Must be between 0 and 720.")
            .Check("secret", rotation.Secret is null or { Length: >= 8 and <= 256 }, "Has 8 to 256 characters.")
            .Problem;

    private sealed record Current(Guid WebhookToken, string ChannelType, JsonElement SecretKeys, bool TokenRotationRequired, DateTimeOffset? TokenExpiresAt);

    private static class Sql
    {
        internal const string Lock =
            """
            SELECT webhook_token, channel_type, secret_keys, token_rotation_required, token_expires_at
            FROM channels.user_webhooks WHERE tenant_id = $1 AND id = $2 FOR UPDATE
            """;

        internal const string Retire =
            "INSERT INTO channels.retired_tokens (tenant_id, webhook_id, token, valid_until, retired_at) VALUES ($1, $2, $3, $4, $5)";

        internal const string SetToken =
            """
            UPDATE channels.user_webhooks SET webhook_token = $3, webhook_url = $4, token_expires_at = $5, token_rotation_required = false
            WHERE tenant_id = $1 AND id = $2
            """;

        internal const string SetSecrets = "UPDATE channels.user_webhooks SET secret_keys = $3 WHERE tenant_id = $1 AND id = $2";
    }
}
