using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Channels.Intake;

/// <summary>
/// Stores what was taken down for a channel, the messages of each sender in their order. One that cannot be stored is tried again later, and holds
/// no other up; after its last attempt it rests in the inbox, for an operator.
/// </summary>
internal sealed class StoreInbox(Database database, StoreInbound store, WorkQueue work, ForegroundLoad callers, TimeProvider clock, ILogger<StoreInbox> log) : IWorkHandler
{
    internal const string Kind = "channels.store_inbox";

    /// <summary>Then a message rests until an operator asks for it again.</summary>
    private const int MaxAttempts = 10;

    /// <summary>Messages of a run, so that those who wait for other work get their turn.</summary>
    private const int Portion = 100;

    private const int Abreast = 4;

    /// <summary>One run waits for all messages of the channel; one is under way.</summary>
    internal static void Enqueue(Transaction tx, WorkQueue work, Guid channelId, string key) =>
        work.Enqueue(tx, new NewWork(Kind, key, new { channel_id = channelId })
        {
            MergeKey = channelId.ToString(),
            OnWaiting = OnWaiting.Keep,
            SerialKey = $"inbox:{channelId}",
            Priority = 10,
        });

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var waiting = await WaitingAsync(item, ct);
        var options = new ParallelOptions { MaxDegreeOfParallelism = callers.IsCrowded ? 1 : Abreast, CancellationToken = ct };
        await Parallel.ForEachAsync(waiting.GroupBy(w => w.SenderIdentifier), options, async (ofSender, token) =>
        {
            foreach (var message in ofSender)
            {
                await StoreOneAsync(item, message, token);
            }
        });
        return waiting.Count == Portion ? new WorkOutcome.Snooze(TimeSpan.Zero) : new WorkOutcome.Done();
    }

    private async Task<IReadOnlyList<Waiting>> WaitingAsync(WorkItem item, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        return await tx.QueryAsync<Waiting>(Sql.Waiting, [item.TenantId, item.Payload.GetProperty("channel_id").GetGuid(), MaxAttempts, Portion], ct);
    }

    private async Task StoreOneAsync(WorkItem item, Waiting waiting, CancellationToken ct)
    {
        try
        {
            await StoreAsync(item.TenantId, waiting, ct);
        }
        catch (Exception e) when (!Database.IsAway(e) && !ct.IsCancellationRequested)
        {
            Log.NotStored(log, waiting.Id, waiting.WebhookId, e);
            await PutOffAsync(item.TenantId, waiting, $"{e.GetType().Name}: {e.Message}", ct);
        }
    }

    /// <summary>Another run may be at the same message: it waits for this one's row to go, and then finds nothing to store.</summary>
    private async Task StoreAsync(Guid tenantId, Waiting waiting, CancellationToken ct)
    {
        using var activity = DeliveryReports.Activities.GoOn("message.store", waiting.TraceParent);
        var arrival = new Arrival(waiting.Id, Json.Read<InboundEnvelope>(waiting.Message), Json.Read<LoggedCall>(waiting.Request), waiting.ReceivedAt);
        var source = new InboundSource(waiting.WebhookId, waiting.AgentId, waiting.ChannelType);
        try
        {
            await using var tx = database.Begin(Actor.System(tenantId));
            tx.Gather();
            var taken = tx.ExecuteAsync(Sql.Take, [tenantId, waiting.WebhookId, waiting.ExternalMessageId], ct);
            var known = store.KnownAsync(tx, source, arrival.Message, ct);
            await tx.AskAsync(ct);
            if (await taken == 1)
            {
                await store.StoreAsync(tx, source, arrival, await known, ct);
                await tx.CommitAsync(ct);
            }
        }
        catch (PostgresException e) when (e.ConstraintName == "inbound_messages_once")
        {
            // It was delivered twice at the same moment, and the other one went straight to its place.
            await using var tx = database.Begin(Actor.System(tenantId));
            tx.Post(Sql.Take, tenantId, waiting.WebhookId, waiting.ExternalMessageId);
            await tx.CommitAsync(ct);
        }
    }

    private async Task PutOffAsync(Guid tenantId, Waiting waiting, string error, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(tenantId));
        var retryAt = clock.GetUtcNow() + Settlement.Backoff(waiting.Attempts + 1, Random.Shared.NextDouble());
        tx.Post(Sql.PutOff, tenantId, waiting.WebhookId, waiting.ExternalMessageId, error, retryAt);
        if (waiting.Attempts + 1 < MaxAttempts)
        {
            work.Enqueue(tx, new NewWork(Kind, clock.NewId().ToString(), new { channel_id = waiting.WebhookId }) { RunAt = retryAt, Priority = 10 });
        }

        await tx.CommitAsync(ct);
    }

    private sealed record Waiting(
        Guid Id, Guid WebhookId, string ExternalMessageId, string SenderIdentifier, Guid AgentId, string ChannelType, JsonElement Message, JsonElement Request, int Attempts,
        DateTimeOffset ReceivedAt, string? TraceParent);

    private static class Sql
    {
        internal const string Waiting =
            """
            SELECT i.id, i.webhook_id, i.external_message_id, i.sender_identifier, w.agent_id, w.channel_type, i.message, i.request, i.attempts, i.received_at, i.trace_parent
            FROM channels.inbox AS i
            JOIN channels.user_webhooks AS w ON w.tenant_id = i.tenant_id AND w.id = i.webhook_id
            WHERE i.tenant_id = $1 AND i.webhook_id = $2 AND i.attempts < $3 AND (i.retry_at IS NULL OR i.retry_at <= now())
            ORDER BY i.id LIMIT $4
            """;

        internal const string Take = "DELETE FROM channels.inbox WHERE tenant_id = $1 AND webhook_id = $2 AND external_message_id = $3";

        internal const string PutOff =
            """
            UPDATE channels.inbox SET attempts = attempts + 1, last_error = $4, retry_at = $5
            WHERE tenant_id = $1 AND webhook_id = $2 AND external_message_id = $3
            """;
    }
}
