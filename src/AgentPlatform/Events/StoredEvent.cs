using System.Text.Json;

namespace AgentPlatform.Events;

/// <summary>
/// Something that happened to an aggregate ("conversation", "contact", …). <paramref name="EventType"/> is at most 100 characters,
/// dotted and in the past tense: <c>message.received</c>.
/// </summary>
public sealed record NewEvent(string EventType, string AggregateType, Guid AggregateId, object Payload)
{
    /// <summary>Give one to make the append idempotent; a new id when null.</summary>
    public Guid? EventId { get; init; }

    /// <summary>About the event rather than of it: causes, correlation, the component that wrote it.</summary>
    public object? Metadata { get; init; }

    /// <summary>The component that appends, at most 100 characters. The acting user is recorded anyway.</summary>
    public string? CreatedBy { get; init; }
}

/// <summary>An event as it was stored; it never changes.</summary>
public sealed record StoredEvent(
    Guid Id,
    string EventType,
    string AggregateType,
    Guid AggregateId,
    int Version,
    JsonElement Payload,
    JsonElement? Metadata,
    Guid? UserId,
    string? CreatedBy,
    DateTimeOffset CreatedAt);
