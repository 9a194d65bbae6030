using System.Text;
using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Events.Live;

/// <summary>What is worth seeing now and nothing later. TurnId: the turn that it is of, whose end makes it void.</summary>
public sealed record LiveNote(string Type, Guid TurnId, JsonElement Data)
{
    /// <summary>The turn that an event tells the end of: what is heard of it later was late.</summary>
    public static Guid? TurnEndedBy(StoredEvent e)
    {
        var name = e.EventType switch { "model.called" => "turn_id", "turn.failed" => "message_id", _ => null };
        return name is not null && e.Payload.ValueKind == JsonValueKind.Object && e.Payload.TryGetProperty(name, out var id)
            && id.ValueKind == JsonValueKind.String && id.TryGetGuid(out var turn) ? turn : null;
    }
}

/// <summary>
/// Tells those who follow an aggregate, on any host, what never becomes an event. A note is heard at once or lost: it is stored nowhere, and the
/// next one has to make good for it.
/// </summary>
public sealed class LiveNotes(Database database)
{
    internal const string Channel = "agent_notes";

    /// <summary>A notification holds fewer than 8000 bytes.</summary>
    private const int MostBytes = 7_999;

    /// <summary>A note that is too long for a notification is not sent.</summary>
    public async Task SendAsync(Actor actor, Guid aggregateId, LiveNote note, CancellationToken ct)
    {
        var payload = Json.Text(new Announced(actor.TenantId, aggregateId, note));
        if (Encoding.UTF8.GetByteCount(payload) > MostBytes)
        {
            return;
        }

        await using var tx = database.Begin(actor);
        tx.PostCall(Sql.Notify, payload);
        await tx.CommitAsync(ct);
    }

    internal sealed record Announced(Guid TenantId, Guid AggregateId, LiveNote Note);

    private static class Sql
    {
        internal const string Notify = "SELECT pg_notify('agent_notes', $1)";
    }
}
