using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Contacts.Privacy;

/// <summary>
/// Everything that is kept about a contact, and about those that were merged into it, as one document: <c>contact</c>, <c>merged_contact_ids</c>,
/// <c>exported_at</c>, and <c>kept</c>, the rows by table. It is written while it is read, a page a transaction: neither memory nor a snapshot is held for as
/// long as the client takes.
/// </summary>
internal sealed class ExportContact(Database database, ContactDirectory contacts, IEnumerable<IKeepsPersonalData> modules, TimeProvider clock)
{
    /// <summary>What the document begins with; the caller writes it with <see cref="WriteAsync"/>.</summary>
    internal sealed record Head(Guid TenantId, Contact Contact, Guid[] MergedContactIds);

    internal async Task<Result<Head>> FindAsync(Actor actor, Guid id, CancellationToken ct)
    {
        if (RequestErasure.Decide(actor) is { } refused)
        {
            return refused;
        }

        await using var tx = database.Begin(actor);
        return await contacts.FindAsync(tx, id, ct) is { } contact
            ? new Head(actor.TenantId, contact, [.. await tx.QueryAsync<Guid>(Sql.MergedInto, [contact.Id], ct)])
            : Problem.NotFound("contact");
    }

    internal async Task WriteAsync(Head head, Stream body, CancellationToken ct)
    {
        await using var json = new Utf8JsonWriter(body, new JsonWriterOptions { Encoder = Json.Options.Encoder });
        json.WriteStartObject();
        json.WriteString("exported_at", clock.GetUtcNow());
        json.WritePropertyName("contact");
        Json.Of(head.Contact).WriteTo(json);
        json.WritePropertyName("merged_contact_ids");
        Json.Of(head.MergedContactIds).WriteTo(json);
        json.WriteStartObject("kept");
        foreach (var kept in modules.SelectMany(m => m.Kept))
        {
            json.WriteStartArray(kept.Table);
            await WriteRowsAsync(json, kept, head, ct);
            json.WriteEndArray();
        }

        json.WriteEndObject();
        json.WriteEndObject();
        await json.FlushAsync(ct);
    }

    private async Task WriteRowsAsync(Utf8JsonWriter json, Kept kept, Head head, CancellationToken ct)
    {
        Guid[] person = [head.Contact.Id, .. head.MergedContactIds];
        IReadOnlyList<string> rows;
        var written = 0;
        do
        {
            // The platform reads: what a member keeps private of a contact is the contact's nonetheless.
            await using (var tx = database.Begin(Actor.System(head.TenantId)))
            {
                rows = await tx.QueryAsync<string>(kept.Export, [person, written, kept.Page], ct);
            }

            foreach (var row in rows)
            {
                json.WriteRawValue(row, skipInputValidation: true);
                if (json.BytesPending > 64 * 1024)
                {
                    await json.FlushAsync(ct);
                }
            }

            written += rows.Count;
        }
        while (rows.Count == kept.Page);
    }

    private static class Sql
    {
        internal const string MergedInto =
            """
            WITH RECURSIVE merged AS (
                SELECT id FROM contacts.customer_profiles WHERE merged_into_id = $1
                UNION ALL
                SELECT p.id FROM contacts.customer_profiles p JOIN merged m ON p.merged_into_id = m.id
            )
            SELECT id FROM merged ORDER BY id
            """;
    }
}
