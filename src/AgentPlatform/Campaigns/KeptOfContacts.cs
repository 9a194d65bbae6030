using AgentPlatform.Postgres;

namespace AgentPlatform.Campaigns;

/// <summary>Whom a campaign wrote to. What became of its messages is counted, and stays: it names an emptied profile, and says nothing else of a person.</summary>
internal sealed class KeptOfContacts : IKeepsPersonalData
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("campaigns.move_recipients", Sql.Recipients),
    ];

    private static class Sql
    {
        internal const string Recipients =
            """
            SELECT to_jsonb(t)::text FROM campaigns.move_recipients AS t
            WHERE t.contact_id = ANY ($1)
            ORDER BY t.move_id, t.contact_id OFFSET $2 LIMIT $3
            """;
    }
}
