using System.Diagnostics;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Npgsql;

namespace AgentPlatform.Channels.Intake;

/// <summary>
/// Takes messages down while callers crowd: one row a message, and all that came to a channel while the last ones were written in one
/// transaction. <see cref="StoreInbox"/> stores them from there. What a sender hears, and what it is refused for, is what it would be otherwise.
/// </summary>
internal sealed class Inbox(ChannelGateway gateway, Database database, RateWindows rates, WorkQueue work, TimeProvider clock, RefusedCalls refused)
{
    private const int MostAtOnce = 100;

    /// <summary>Callers of each channel who wait to be taken down, while somebody sees to them.</summary>
    private readonly Dictionary<(Guid Token, string ChannelType), Queue<Caller>> _lines = [];

    internal Task<Result<Guid>> TakeAsync(IInboundAdapter adapter, Guid token, WebhookCall call)
    {
        var caller = new Caller(adapter, call);
        var line = (token, adapter.ChannelType);
        lock (_lines)
        {
            if (_lines.TryGetValue(line, out var others))
            {
                others.Enqueue(caller);
                return caller.Answer;
            }

            _lines[line] = new Queue<Caller>([caller]);
        }

        // Not on behalf of this caller: what is done is done for all of the line.
        using (ExecutionContext.SuppressFlow())
        {
            _ = Task.Run(() => ServeAsync(line));
        }

        return caller.Answer;
    }

    /// <summary>Callers of the channel are being taken down at the moment.</summary>
    internal bool IsTaking(IInboundAdapter adapter, Guid token)
    {
        lock (_lines)
        {
            return _lines.ContainsKey((token, adapter.ChannelType));
        }
    }

    /// <summary>The message as its first delivery stored it, or took it down.</summary>
    internal async Task<Guid> FirstDeliveryAsync(InboundChannel channel, string externalId, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(channel.TenantId));
        return await tx.SingleAsync<Guid>(Sql.FindFirst, [channel.TenantId, channel.Id, externalId], ct);
    }

    private async Task ServeAsync((Guid Token, string ChannelType) line)
    {
        while (Next(line) is { Count: > 0 } callers)
        {
            await AnswerAsync(line, callers);
        }
    }

    private List<Caller> Next((Guid Token, string ChannelType) line)
    {
        lock (_lines)
        {
            var waiting = _lines[line];
            var next = new List<Caller>();
            while (next.Count < MostAtOnce && waiting.TryDequeue(out var caller))
            {
                next.Add(caller);
            }

            if (next.Count == 0)
            {
                _lines.Remove(line);
            }

            return next;
        }
    }

    /// <summary>Every caller hears something: what fails for all together is tried for each alone.</summary>
    private async Task AnswerAsync((Guid Token, string ChannelType) line, IReadOnlyCollection<Caller> callers)
    {
        try
        {
            await TakeDownAsync(line, callers);
        }
        catch (PostgresException e) when (callers.Count > 1 && !Database.IsAway(e))
        {
            await AnswerEachAsync(line, callers);
        }
        catch (Exception e)
        {
            foreach (var caller in callers)
            {
                caller.Fail(e);
            }
        }
    }

    private async Task AnswerEachAsync((Guid Token, string ChannelType) line, IEnumerable<Caller> callers)
    {
        foreach (var caller in callers)
        {
            await AnswerAsync(line, [caller]);
        }
    }

    private async Task TakeDownAsync((Guid Token, string ChannelType) line, IReadOnlyCollection<Caller> callers)
    {
        var (gate, channel) = await gateway.OpenAsync(line.Token, line.ChannelType, CancellationToken.None);
        await using var tx = gate;
        if (channel is null)
        {
            foreach (var caller in callers)
            {
                caller.Hear(Problem.NotFound("channel"));
            }

            return;
        }

        var messages = await ReadAsync(channel, callers);
        if (messages.Count == 0)
        {
            return;
        }

        foreach (var offered in await OfferAsync(tx, channel, messages))
        {
            await AnswerAsync(line, channel, offered, messages[offered.ExternalId].Callers, isAlone: messages.Count == 1);
        }
    }

    private async Task AnswerAsync((Guid Token, string ChannelType) line, InboundChannel channel, Offered offered, List<Caller> callers, bool isAlone)
    {
        if (offered.Id is { } known)
        {
            callers.ForEach(c => c.Hear(known));
        }
        else if (offered.Admitted)
        {
            // Another host has taken it down at the same moment.
            var first = await FirstDeliveryAsync(channel, offered.ExternalId, CancellationToken.None);
            callers.ForEach(c => c.Hear(first));
        }
        else if (isAlone)
        {
            var refusal = await rates.RefuseAsync(channel, CancellationToken.None);
            callers.ForEach(c => c.Hear(refusal));
        }
        else
        {
            // Not all of them fit into the rate windows; some may.
            await AnswerEachAsync(line, callers);
        }
    }

    /// <summary>What is genuine, by its external id; the others hear why not.</summary>
    private async Task<Dictionary<string, (Arrival Arrival, List<Caller> Callers)>> ReadAsync(InboundChannel channel, IEnumerable<Caller> callers)
    {
        var messages = new Dictionary<string, (Arrival Arrival, List<Caller> Callers)>(StringComparer.Ordinal);
        foreach (var caller in callers)
        {
            var now = clock.GetUtcNow();
            if (await ReadAsync(channel, caller) is not { } read)
            {
                continue;
            }

            if ((read.Problem ?? channel.Refusal(now)) is { } refusal)
            {
                refused.Report(channel, caller.Call, refusal);
                caller.Hear(refusal);
            }
            else if (messages.TryGetValue(read.Value.ExternalId, out var same))
            {
                same.Callers.Add(caller);
            }
            else
            {
                messages[read.Value.ExternalId] = (new Arrival(clock.NewId(), read.Value, LoggedCall.Of(caller.Call), now) { TraceParent = caller.TraceParent }, [caller]);
            }
        }

        return messages;
    }

    /// <summary>Null when it failed: this caller hears of it, and the others of the line do not.</summary>
    private static async Task<Result<InboundEnvelope>?> ReadAsync(InboundChannel channel, Caller caller)
    {
        try
        {
            return await caller.Adapter.ReadAsync(caller.Call, channel, CancellationToken.None);
        }
        catch (Exception e)
        {
            caller.Fail(e);
            return null;
        }
    }

    private async Task<IReadOnlyList<Offered>> OfferAsync(Transaction tx, InboundChannel channel, Dictionary<string, (Arrival Arrival, List<Caller> Callers)> messages)
    {
        var arrivals = messages.Values.Select(m => m.Arrival).ToList();
        tx.Enter(Actor.System(channel.TenantId));
        tx.Gather();
        var offered = tx.QueryAsync<Offered>(
            Sql.TakeDown,
            [
                .. RateWindows.Args(channel, clock.GetUtcNow()),
                arrivals.Select(a => a.Id).ToArray(), arrivals.Select(a => a.Message.ExternalId).ToArray(), arrivals.Select(a => a.Message.Sender).ToArray(),
                Json.Params(arrivals.Select(a => a.Message)), Json.Params(arrivals.Select(a => a.Call)), arrivals.Select(a => a.ReceivedAt.ToUniversalTime()).ToArray(),
                arrivals.Select(a => a.TraceParent).ToArray(),
            ],
            CancellationToken.None);
        StoreInbox.Enqueue(tx, work, channel.Id, arrivals[0].Id.ToString());
        await tx.CommitAsync(CancellationToken.None);
        return await offered;
    }

    private sealed class Caller(IInboundAdapter adapter, WebhookCall call)
    {
        private readonly TaskCompletionSource<Result<Guid>> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

        internal IInboundAdapter Adapter => adapter;

        internal WebhookCall Call => call;

        internal string? TraceParent { get; } = Activity.Current?.Id;

        internal Task<Result<Guid>> Answer => _answer.Task;

        internal void Hear(Result<Guid> answer) => _answer.TrySetResult(answer);

        internal void Fail(Exception e) => _answer.TrySetException(e);
    }

    /// <summary>Id: of the message, or of its first delivery; null when it was not taken down.</summary>
    private sealed record Offered(string ExternalId, Guid? Id, bool Admitted);

    private static class Sql
    {
        // All that are new are admitted together or not at all: only they count in the channel's windows. What was seen is looked for one by one, or a
        // plan that was made while the inbox was empty would read all of it.
        internal const string TakeDown =
            $"""
            WITH offered AS MATERIALIZED (
                SELECT o.* FROM unnest($9::uuid[], $10::text[], $11::text[], $12::jsonb[], $13::jsonb[], $14::timestamptz[], $15::text[])
                     AS o (id, external_message_id, sender_identifier, message, request, received_at, trace_parent)
            ),
            seen AS MATERIALIZED (
                SELECT o.external_message_id, first.id FROM offered AS o CROSS JOIN LATERAL (
                    SELECT m.id FROM channels.inbound_messages AS m
                    WHERE m.tenant_id = $1 AND m.webhook_id = $2 AND m.external_message_id = o.external_message_id
                    UNION ALL
                    SELECT i.id FROM channels.inbox AS i
                    WHERE i.tenant_id = $1 AND i.webhook_id = $2 AND i.external_message_id = o.external_message_id
                    LIMIT 1) AS first
            ),
            fresh AS MATERIALIZED (
                SELECT * FROM offered WHERE external_message_id NOT IN (SELECT external_message_id FROM seen)
            ),
            admitted AS (
                INSERT INTO channels.webhook_rates AS r (tenant_id, webhook_id, minute_start, minute_count, hour_start, hour_count)
                SELECT $1, $2, $3, n.fresh, $4, n.fresh FROM (SELECT count(*)::integer AS fresh FROM fresh) AS n
                WHERE n.fresh BETWEEN 1 AND least($7::integer, $8::integer)
                {RateWindows.Raise}
                RETURNING 1
            ),
            taken AS (
                INSERT INTO channels.inbox (tenant_id, webhook_id, external_message_id, id, sender_identifier, message, request, received_at, trace_parent)
                SELECT $1, $2, f.external_message_id, f.id, f.sender_identifier, f.message, f.request, f.received_at, f.trace_parent
                FROM fresh AS f WHERE EXISTS (SELECT FROM admitted)
                ON CONFLICT DO NOTHING
                RETURNING external_message_id, id
            )
            SELECT o.external_message_id AS external_id, coalesce(s.id, t.id) AS id, EXISTS (SELECT FROM admitted) AS admitted
            FROM offered AS o
            LEFT JOIN seen AS s ON s.external_message_id = o.external_message_id
            LEFT JOIN taken AS t ON t.external_message_id = o.external_message_id
            """;

        internal const string FindFirst =
            """
            SELECT id FROM channels.inbound_messages WHERE tenant_id = $1 AND webhook_id = $2 AND external_message_id = $3
            UNION ALL
            SELECT id FROM channels.inbox WHERE tenant_id = $1 AND webhook_id = $2 AND external_message_id = $3
            LIMIT 1
            """;
    }
}
