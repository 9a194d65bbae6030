using System.Text.Json;
using AgentPlatform.Postgres;

namespace AgentPlatform.Actions.Registry;

/// <summary>
/// What a tenant's own system says of a contact. Availability: <c>known</c>, <c>fetching</c> (the answer is on its way, and what waits for it will be
/// looked at again) or <c>unavailable</c>. Keys: by name, each with its <c>status</c>; empty unless known.
/// </summary>
public sealed record SchemaReading(string Availability, JsonElement Keys)
{
    public const string Known = "known";
    public const string Fetching = "fetching";
    public const string Unavailable = "unavailable";

    internal static readonly IReadOnlyDictionary<string, SchemaReading> None = new Dictionary<string, SchemaReading>(StringComparer.Ordinal);
}

/// <summary>Whoever keeps the states of schemas: asked only for actions that depend on some, in the transaction of the request.</summary>
public interface ISchemaSource
{
    /// <summary>By schema id; one that is not there is unavailable.</summary>
    Task<IReadOnlyDictionary<string, SchemaReading>> ReadAsync(Transaction tx, Guid sessionId, IReadOnlyCollection<string> schemaIds, CancellationToken ct);
}
