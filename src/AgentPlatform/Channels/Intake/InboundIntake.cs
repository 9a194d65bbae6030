using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Channels.Intake;

/// <summary>
/// Takes a message in, whatever channel it comes over: who it is for, whether it is genuine, whether it is new, and then one
/// transaction that leaves everything the platform needs to answer. Thinking starts after the provider has had its answer. While
/// callers crowd, messages are taken down in the <see cref="Inbox"/> instead, many in one transaction, and stored from there.
/// </summary>
public sealed class InboundIntake
{
    private readonly ChannelGateway _gateway;
    private readonly Database _database;
    private readonly StoreInbound _store;
    private readonly Inbox _inbox;
    private readonly RateWindows _rates;
    private readonly ForegroundLoad _callers;
    private readonly TimeProvider _clock;
    private readonly RefusedCalls _refused;

    internal InboundIntake(
        ChannelGateway gateway, Database database, StoreInbound store, Inbox inbox, RateWindows rates, ForegroundLoad callers, TimeProvider clock, RefusedCalls refused) =>
        (_gateway, _database, _store, _inbox, _rates, _callers, _clock, _refused) = (gateway, database, store, inbox, rates, callers, clock, refused);

    /// <summary>The id of the message; of the first one, when this is a repeated delivery.</summary>
    internal async Task<Result<Guid>> ReceiveAsync(IInboundAdapter adapter, Guid token, WebhookCall call, CancellationToken ct)
    {
        if (_callers.IsCrowded || _inbox.IsTaking(adapter, token))
        {
            return await _inbox.TakeAsync(adapter, token, call);
        }

        if (_gateway.Recall(token, adapter.ChannelType) is { } known)
        {
            if (await ReceiveRecalledAsync(adapter, token, known, call, ct) is { } answer)
            {
                return answer;
            }

            _gateway.Forget(token);
        }

        var (gate, channel) = await _gateway.OpenAsync(token, adapter.ChannelType, ct);
        await using var tx = gate;
        if (channel is null)
        {
            return Problem.NotFound("channel");
        }

        var read = await ReadAsync(adapter, call, channel, ct);
        if (read.Problem is { } refusal)
        {
            _refused.Report(channel, call, refusal);
            return refusal;
        }

        tx.Enter(Actor.System(channel.TenantId));
        return await AnswerAsync(adapter, token, channel, read.Value, call, await AdmitAsync(tx, channel, asOf: null, read.Value, ct), ct);
    }

    /// <summary>Null when the channel is not what it was when its token was presented last, or would refuse what it may take by now.</summary>
    private async Task<Result<Guid>?> ReceiveRecalledAsync(IInboundAdapter adapter, Guid token, InboundChannel channel, WebhookCall call, CancellationToken ct)
    {
        var read = await ReadAsync(adapter, call, channel, ct);
        if (!read.IsOk)
        {
            return null;
        }

        await using var tx = _database.Begin(Actor.System(channel.TenantId));
        var admission = await AdmitAsync(tx, channel, channel.Row.UpdatedAt, read.Value, ct);
        return admission.IsUnchanged ? await AnswerAsync(adapter, token, channel, read.Value, call, admission, ct) : (Result<Guid>?)null;
    }

    private async Task<Result<InboundEnvelope>> ReadAsync(IInboundAdapter adapter, WebhookCall call, InboundChannel channel, CancellationToken ct)
    {
        var read = await adapter.ReadAsync(call, channel, ct);
        return (read.Problem ?? channel.Refusal(_clock.GetUtcNow())) is { } refusal ? refusal : read;
    }

    private async Task<Result<Guid>> AnswerAsync(
        IInboundAdapter adapter, Guid token, InboundChannel channel, InboundEnvelope message, WebhookCall call, Admission admission, CancellationToken ct) =>
        admission switch
        {
            { DuplicateOf: { } first } => first,
            { OthersWait: true } => await _inbox.TakeAsync(adapter, token, call),
            { Admitted: false } => await _rates.RefuseAsync(channel, ct),
            _ => await StoreAsync(channel, message, call, admission, ct),
        };

    // Counting is a transaction of its own that does not wait for the disk: were it part of the next one, every message of a
    // channel would queue for the channel's row until its predecessor has been flushed. Its commit travels with the question.

    private async Task<Admission> AdmitAsync(Transaction tx, InboundChannel channel, DateTimeOffset? asOf, InboundEnvelope message, CancellationToken ct)
    {
        tx.FlushLater();
        tx.Gather();
        var known = _store.KnownAsync(tx, channel.Source, message, ct);
        var counted = tx.SingleAsync<Counted>(Sql.Admit, [.. RateWindows.Args(channel, _clock.GetUtcNow()), message.ExternalId, asOf], ct);
        await tx.CommitAsync(ct);
        var (isUnchanged, duplicateOf, othersWait, admitted) = await counted;
        return new(isUnchanged, duplicateOf, othersWait, admitted, await known);
    }

    private async Task<Result<Guid>> StoreAsync(InboundChannel channel, InboundEnvelope message, WebhookCall call, Admission admission, CancellationToken ct)
    {
        var arrival = new Arrival(_clock.NewId(), message, LoggedCall.Of(call), _clock.GetUtcNow());
        await using var tx = _database.Begin(Actor.System(channel.TenantId));
        await _store.StoreAsync(tx, channel.Source, arrival, admission.Known, ct);
        try
        {
            await tx.CommitAsync(ct);
            return arrival.Id;
        }
        catch (PostgresException e) when (e.ConstraintName == "inbound_messages_once")
        {
            // Two deliveries of one message at the same moment: the other one was first.
            return await _inbox.FirstDeliveryAsync(channel, message.ExternalId, ct);
        }
    }

    private sealed record Counted(bool IsUnchanged, Guid? DuplicateOf, bool OthersWait, bool Admitted);

    private sealed record Admission(bool IsUnchanged, Guid? DuplicateOf, bool OthersWait, bool Admitted, KnownSender Known);

    private static class Sql
    {
        // A repeated delivery is recognised before it is counted, so that a provider's retries never use up a channel's limit. One that has to
        // wait behind others is counted where they were: what was taken down first is stored first. Nor is anything counted for a channel that
        // has changed since it was remembered.
        internal const string Admit =
            $"""
            WITH unchanged AS (
                SELECT FROM channels.user_webhooks WHERE tenant_id = $1 AND id = $2 AND ($10::timestamptz IS NULL OR updated_at = $10)
            ),
            seen AS (
                SELECT id FROM channels.inbound_messages WHERE tenant_id = $1 AND webhook_id = $2 AND external_message_id = $9
            ),
            waiting AS (
                SELECT FROM channels.inbox WHERE tenant_id = $1 AND webhook_id = $2 AND attempts = 0 LIMIT 1
            ),
            admitted AS (
                INSERT INTO channels.webhook_rates AS r (tenant_id, webhook_id, minute_start, minute_count, hour_start, hour_count)
                SELECT $1, $2, $3, 1, $4, 1 WHERE EXISTS (SELECT FROM unchanged) AND NOT EXISTS (SELECT FROM seen) AND NOT EXISTS (SELECT FROM waiting)
                {RateWindows.Raise}
                RETURNING 1
            )
            SELECT EXISTS (SELECT FROM unchanged) AS is_unchanged, (SELECT id FROM seen) AS duplicate_of, EXISTS (SELECT FROM waiting) AS others_wait,
                   EXISTS (SELECT FROM admitted) AS admitted
            """;
    }
}
