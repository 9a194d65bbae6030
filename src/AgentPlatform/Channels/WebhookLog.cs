using AgentPlatform.Channels.Intake;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Channels;

/// <summary>One attempt to call somebody's endpoint, as it is logged.</summary>
internal sealed record WebhookAttempt(
    string Url,
    IReadOnlyDictionary<string, string> Headers,
    JsonNode? Body,
    int? Status,
    string? ResponseBody,
    int ElapsedMs,
    string? Error,
    string? ErrorCode);

/// <summary>A provider's request, as it may be kept.</summary>
internal sealed record LoggedCall(string Url, JsonObject Headers)
{
    internal static LoggedCall Of(WebhookCall call) =>
        new(WebhookLog.MaskUrl(call.PublicUrl), WebhookLog.MaskHeaders(call.Headers.Select(h => KeyValuePair.Create(h.Key, h.Value.ToString()))));
}

/// <summary>Writes <c>webhook_logs</c>. Nothing that proves an identity is ever written: not in headers, not in addresses.</summary>
internal static partial class WebhookLog
{
    private const string Mask = "***";
    private const int MaxBody = 16 * 1024;

    private static readonly string[] Telling = ["auth", "cookie", "signature", "secret", "token", "key", "password"];

    /// <summary>An inbound delivery that was taken.</summary>
    internal static void PostInbound(Transaction tx, Guid id, Guid webhookId, Guid inboundId, string adapterEvent, LoggedCall call, JsonNode? body) =>
        tx.Post(Sql.Inbound, tx.TenantId, id, webhookId, adapterEvent, inboundId, call.Url, Json.Param(call.Headers), Json.Param(body));

    internal static JsonObject MaskHeaders(IEnumerable<KeyValuePair<string, string>> headers)
    {
        var masked = new JsonObject();
        foreach (var (name, value) in headers)
        {
            masked[name] = Telling.Any(word => name.Contains(word, StringComparison.OrdinalIgnoreCase)) ? Mask : value;
        }

        return masked;
    }

    /// <summary>Hides the channel token, which is all that some senders have to prove who they are, and every password in the address.</summary>
    internal static string MaskUrl(string url) => UserInfo().Replace(ChannelToken().Replace(url, m => $"{m.Groups["path"].Value}…{m.Groups["token"].Value[^4..]}"), "//***@");

    internal static string? Clip(string? body) => body?.Clip(MaxBody);

    [GeneratedRegex("(?<path>/webhooks/[a-z]+/)(?<token>[0-9a-fA-F-]{36})", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ChannelToken();

    [GeneratedRegex("//[^/@]+@", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex UserInfo();

    private static class Sql
    {
        internal const string Inbound =
            """
            INSERT INTO channels.webhook_logs (tenant_id, id, webhook_id, direction, event, inbound_message_id, url, request_headers, request_body, response_status, status, completed_at)
            VALUES ($1, $2, $3, 'inbound', $4, $5, $6, $7, $8, 200, 'delivered', now())
            """;
    }
}

/// <summary>
/// Forgets deliveries after a month, and messages as they came in and left after <see cref="ChannelsOptions.MessageRetentionDays"/>; row level security lets this job
/// see nothing younger than a month, and nothing that is not over.
/// </summary>
public sealed class WebhookLogRetention(Database database, IOptions<ChannelsOptions> options)
{
    /// <summary>Returns how many rows went.</summary>
    public async Task<int> PruneAsync(CancellationToken ct) =>
        await database.PruneAsync(ct, Sql.Prune) + await database.PruneOlderAsync(options.Value.MessageRetentionDays, ct, Sql.Outbound, Sql.Inbound);

    private static class Sql
    {
        internal const string Prune =
            """
            DELETE FROM channels.webhook_logs
            WHERE (tenant_id, id) IN (
                SELECT tenant_id, id FROM channels.webhook_logs WHERE created_at < now() - interval '30 days' AND completed_at IS NOT NULL LIMIT $1)
            """;

        // What is still under way is not old, whatever its age: row level security hides it.
        internal const string Outbound =
            """
            DELETE FROM channels.outbound_messages
            WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM channels.outbound_messages WHERE created_at < now() - make_interval(days => $2) LIMIT $1)
            """;

        internal const string Inbound =
            """
            DELETE FROM channels.inbound_messages
            WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM channels.inbound_messages WHERE received_at < now() - make_interval(days => $2) LIMIT $1)
            """;
    }
}
