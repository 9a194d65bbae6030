using AgentPlatform.Operations;
using AgentPlatform.Postgres;

namespace AgentPlatform.Contacts;

/// <summary>How many contacts there are (the seeds' users).</summary>
internal sealed class ContactHealth : IHealthSource
{
    public Task<IReadOnlyList<HealthFact>> ReadAsync(Transaction tx, CancellationToken ct) => tx.QueryAsync<HealthFact>(Sql.Facts, [HealthFact.Most], ct);

    private static class Sql
    {
        internal const string Facts =
            "SELECT 'contacts' AS name, (SELECT count(*) FROM (SELECT FROM contacts.customer_profiles LIMIT $1) AS c) AS count, NULL::timestamptz AS oldest";
    }
}
