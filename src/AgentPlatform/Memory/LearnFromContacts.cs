using AgentPlatform.Contacts;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Memory.Episodes;
using AgentPlatform.Memory.Graph;
using AgentPlatform.Postgres;

namespace AgentPlatform.Memory;

/// <summary>
/// What is certain of a contact: each value of a field of the profile is a fact for as long as it held, the contact is a person, and where the profile names a
/// company, works there. It is read from the profile as it is, so that an event which comes twice or late does no harm.
/// </summary>
internal sealed class LearnFromContacts(ContactDirectory contacts, EpisodeStore episodes, EntityStore entities) : IEventConsumer
{
    internal const string Consumer = "memory.contacts";
    internal const string WorksAt = "WORKS_AT";

    internal static readonly string[] Types = ["contact.field_set", "contact.merged"];

    private static readonly string[] OfGraph = ["first_name", "last_name", "company", "title"];

    public async Task HandleAsync(StoredEvent e, Transaction tx, CancellationToken ct)
    {
        var told = Json.Read<Told>(e.Payload);
        // Since the event it may have been merged into another.
        if (await contacts.FindAsync(tx, told.ContactId, ct) is not { } contact)
        {
            return;
        }

        episodes.KeepFacts(tx, contact.Id, await contacts.FieldHistoryAsync(tx, contact.Id, told.FieldName, ct));
        if (told.FieldName is null || OfGraph.Contains(told.FieldName))
        {
            await PlaceAsync(tx, contact, ct);
        }
    }

    private async Task PlaceAsync(Transaction tx, Contact contact, CancellationToken ct)
    {
        var person = await entities.UpsertAsync(tx, new EntityInput(NameOf(contact), "PERSON", ContactId: contact.Id, Attributes: Json.Of(new { title = contact.Title })), ct);
        var companies = new Dictionary<string, Guid>(StringComparer.Ordinal);
        var jobs = new List<(ProfileField, Guid)>();
        foreach (var field in (await contacts.FieldHistoryAsync(tx, contact.Id, "company", ct)).Where(f => !string.IsNullOrWhiteSpace(f.FieldValue)).Reverse())
        {
            var name = GraphEntity.Canonical(field.FieldValue!);
            if (!companies.TryGetValue(name, out var company))
            {
                companies[name] = company = (await entities.UpsertAsync(tx, new EntityInput(field.FieldValue, "COMPANY"), ct)).Id;
            }

            jobs.Add((field, company));
        }

        RelationshipStore.KeepEmployments(tx, person.Id, WorksAt, jobs);
    }

    private static string NameOf(Contact contact)
    {
        var name = string.Join(' ', new[] { contact.FirstName, contact.LastName }.Where(part => !string.IsNullOrWhiteSpace(part)));
        return name.Length > 0 ? name : string.IsNullOrWhiteSpace(contact.DisplayName) ? "Contact" : contact.DisplayName;
    }

    private sealed record Told(Guid ContactId, string? FieldName = null);
}
