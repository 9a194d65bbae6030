using AgentPlatform.Contacts;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Memory.Chunks;
using AgentPlatform.Memory.Graph;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Memory.Episodes;

/// <summary>How much of a contact was forgotten.</summary>
public sealed record Forgotten(int Episodes, int Chunks, int Entities);

/// <summary>What members do with episodes, and with all that is remembered of a contact.</summary>
internal sealed class ManageEpisodes(Database database, ContactDirectory contacts, EpisodeStore episodes, EventStore events, TimeProvider clock)
{
    internal async Task<Result<Episode>> AddAsync(Actor actor, EpisodeInput input, CancellationToken ct)
    {
        if (input.Problem is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        try
        {
            var contact = input.ContactId is { } named ? await contacts.HoldAsync(tx, named, ct) : null;
            if (input.ContactId is not null && contact is null)
            {
                return NoContact;
            }

            var added = await episodes.AddAsync(tx, input with { ContactId = contact?.Id }, ct);
            await tx.CommitAsync(ct);
            return added;
        }
        catch (PostgresException e) when (Unknown(e) is not null)
        {
            return Unknown(e)!;
        }
    }

    internal async Task<Result<Guid>> DeleteAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (!await EpisodeStore.DeleteAsync(tx, id, ct))
        {
            return Problem.NotFound("episode");
        }

        await tx.CommitAsync(ct);
        return id;
    }

    /// <summary>A person asks to be forgotten: nothing stays but what the profile itself says.</summary>
    internal async Task<Result<Forgotten>> ForgetAsync(Actor actor, Guid contactId, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await contacts.HoldAsync(tx, contactId, ct) is not { } contact)
        {
            return Problem.NotFound("contact");
        }

        await Forgettings.BeginAsync(tx, contact.Id, clock.GetUtcNow(), ct);
        // As the platform: what the member may not see is forgotten, too.
        tx.Enter(Actor.System(actor.TenantId) with { Origin = actor.Origin });
        var forgotten = new Forgotten(await EpisodeStore.ForgetAsync(tx, contact.Id, ct), await ChunkStore.ForgetAsync(tx, contact.Id, ct), await EntityStore.ForgetAsync(tx, contact.Id, ct));
        tx.Enter(actor);
        events.Append(tx, new NewEvent("memory.forgotten", "contact", contact.Id, forgotten));
        await tx.CommitAsync(ct);
        return forgotten;
    }

    internal static Problem NoContact => Problem.Invalid("contact_id", "There is no such contact.");

    /// <summary>What was named and is not there; null for another failure.</summary>
    internal static Problem? Unknown(PostgresException e) => e.ConstraintName switch
    {
        "episode_agent" or "memory_chunk_agent" or "entity_agent" => Problem.Invalid("agent_id", "There is no such agent."),
        "episode_contact" or "memory_chunk_contact" or "entity_contact" => NoContact,
        _ => null,
    };
}
