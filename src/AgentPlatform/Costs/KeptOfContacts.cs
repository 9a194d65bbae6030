using AgentPlatform.Postgres;

namespace AgentPlatform.Costs;

/// <summary>What calls of models for a contact cost. Numbers and ids alone: they stay, as they were billed.</summary>
internal sealed class KeptOfContacts : IKeepsPersonalData
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("costs.api_token_usage", Sql.Usage),
    ];

    private static class Sql
    {
        internal const string Usage =
            """
            SELECT to_jsonb(t)::text FROM costs.api_token_usage AS t
            WHERE t.contact_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;
    }
}
