using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Memory.Graph;

/// <summary>
/// Somebody or something that is talked about. Entity type: <c>COMPANY</c>, <c>PERSON</c>, <c>PRODUCT</c> or <c>CONCEPT</c>. Canonical name: what makes it the
/// same one, however it is written; with a contact, the entity is that contact. Without an agent it is known to all of the tenant's.
/// </summary>
public sealed record GraphEntity
{
    internal static readonly string[] Types = ["COMPANY", "PERSON", "PRODUCT", "CONCEPT"];

    public Guid Id { get; init; }
    public Guid? AgentId { get; init; }
    public Guid? CustomerProfileId { get; init; }
    public string Name { get; init; } = "";
    public string EntityType { get; init; } = "";
    public string CanonicalName { get; init; } = "";
    public JsonElement Attributes { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    /// <summary>In small letters, with one space between words.</summary>
    internal static string Canonical(string name) => string.Join(' ', name.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)).ToLowerInvariant();
}

/// <summary>An entity as it is known now; attributes are merged into those that are there.</summary>
public sealed record EntityInput(
    string? Name, string? EntityType, string? CanonicalName = null, Guid? AgentId = null, Guid? ContactId = null, JsonElement? Attributes = null)
{
    internal Problem? Problem => new Validation()
        .Text("name", Name, 500, required: true)
        .OneOf("entity_type", EntityType, required: true, GraphEntity.Types)
        .Text("canonical_name", CanonicalName, 500)
        .Check("contact_id", ContactId is null || (EntityType == "PERSON" && AgentId is null), "Goes with a PERSON that every agent knows.")
        .MustBeObject("attributes", Attributes)
        .Problem;
}

/// <summary>
/// How one entity stands to another, and when. Confidence: 0 to 1, how sure it is that it holds. Strength: 0 to 1, two decimals, how much speaks for it.
/// </summary>
public sealed record Relationship
{
    public Guid Id { get; init; }
    public Guid SourceEntityId { get; init; }
    public Guid TargetEntityId { get; init; }
    public string RelationshipType { get; init; } = "";
    public double Confidence { get; init; }
    public decimal Strength { get; init; }
    public DateTimeOffset ValidFrom { get; init; }
    public DateTimeOffset? ValidTo { get; init; }
    public JsonElement Metadata { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
}

/// <summary>
/// A relationship as it is from then on. One that is open and says the same stays; one that says something else ends, and the new one begins. Exclusive: the
/// source has one of the type at a time, so those to other targets end, too.
/// </summary>
public sealed record RelationshipInput(
    Guid? SourceEntityId, Guid? TargetEntityId, string? RelationshipType, double? Confidence = null, DateTimeOffset? ValidFrom = null, bool Exclusive = false,
    JsonElement? Metadata = null)
{
    internal Problem? Problem => new Validation()
        .Check("source_entity_id", SourceEntityId is not null, "Is required.")
        .Check("target_entity_id", TargetEntityId is not null, "Is required.")
        .Check("target_entity_id", TargetEntityId is null || TargetEntityId != SourceEntityId, "Must be another entity than the source.")
        .Text("relationship_type", RelationshipType, 100, required: true)
        .Check("confidence", Confidence is null or (>= 0 and <= 1), "Must be between 0 and 1.")
        .MustBeObject("metadata", Metadata)
        .Problem;
}

/// <summary>Something that speaks for a relationship, or against it.</summary>
public sealed record Evidence(bool? Supports);

/// <summary>When a relationship ended; now unless told.</summary>
public sealed record RelationshipEnd(DateTimeOffset? ValidTo = null);

/// <summary>Which neighbours are asked for: as they stood then, over relationships of a type, known to an agent, and of a contact.</summary>
internal sealed record NeighbourFilter(DateTimeOffset? AsOf = null, string? Type = null, Guid? AgentId = null, Guid? ContactId = null);

/// <summary>An entity on the way from another: over which relationship, in which direction, and how many steps away. Score: of the way to it, 0 to 1.</summary>
public sealed record Neighbour
{
    public Guid EntityId { get; init; }
    public Guid? AgentId { get; init; }
    public Guid? CustomerProfileId { get; init; }
    public string Name { get; init; } = "";
    public string EntityType { get; init; } = "";
    public int Distance { get; init; }
    public Guid RelationshipId { get; init; }
    public string RelationshipType { get; init; } = "";

    /// <summary><c>out</c>: the way goes from source to target.</summary>
    public string Direction { get; init; } = "";

    /// <summary>The entity one step before.</summary>
    public Guid FromEntityId { get; init; }

    /// <summary>Confidence times strength of the relationships on the way.</summary>
    public double Score { get; init; }
}
