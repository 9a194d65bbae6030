using AgentPlatform.Api;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Memory.Episodes;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Memory.Graph;

/// <summary>What members and systems of the tenant's write into the graph.</summary>
internal sealed class ManageGraph(Database database, ContactDirectory contacts, EntityStore entities, RelationshipStore relationships)
{
    internal Task<Result<GraphEntity>> PutAsync(Actor actor, EntityInput input, CancellationToken ct) =>
        WriteAsync<GraphEntity>(actor, input.Problem, async tx =>
        {
            var contact = input.ContactId is { } named ? await contacts.HoldAsync(tx, named, ct) : null;
            return input.ContactId is not null && contact is null ? ManageEpisodes.NoContact : await entities.UpsertAsync(tx, input with { ContactId = contact?.Id }, ct);
        }, ct);

    internal Task<Result<Guid>> DeleteAsync(Actor actor, Guid id, CancellationToken ct) =>
        WriteAsync<Guid>(actor, null, async tx => await EntityStore.DeleteAsync(tx, id, ct) ? id : Problem.NotFound("entity"), ct);

    internal Task<Result<Relationship>> AssertAsync(Actor actor, RelationshipInput input, CancellationToken ct) =>
        WriteAsync(actor, input.Problem, tx => relationships.AssertAsync(tx, input, ct), ct);

    internal Task<Result<Relationship>> WeighAsync(Actor actor, Guid id, Evidence evidence, CancellationToken ct) =>
        WriteAsync(actor, new Validation().Check("supports", evidence.Supports is not null, "Is required.").Problem, async tx =>
            (await RelationshipStore.WeighAsync(tx, id, evidence.Supports!.Value, ct)).OrNotFound("relationship"), ct);

    internal Task<Result<Relationship>> EndAsync(Actor actor, Guid id, RelationshipEnd end, CancellationToken ct) =>
        WriteAsync(actor, null, tx => relationships.EndAsync(tx, id, end.ValidTo, ct), ct);

    internal async Task<Result<Page<Neighbour>>> NeighboursAsync(Actor actor, Guid id, DateTimeOffset? asOf, string? type, int? distance, CancellationToken ct)
    {
        if (distance is < 1 or > RelationshipStore.MostDistance)
        {
            return Problem.Invalid("distance", $"Must be between 1 and {RelationshipStore.MostDistance}.");
        }

        await using var tx = database.Begin(actor);
        return await EntityStore.FindAsync(tx, id, ct) is null
            ? Problem.NotFound("entity")
            : new Page<Neighbour>(await relationships.NeighboursAsync(tx, [id], new NeighbourFilter(asOf, type), distance ?? 1, PageRequest.MaxLimit, ct), null);
    }

    private async Task<Result<T>> WriteAsync<T>(Actor actor, Problem? invalid, Func<Transaction, Task<Result<T>>> write, CancellationToken ct)
    {
        if (invalid is not null)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        try
        {
            var result = await write(tx);
            if (result.IsOk)
            {
                await tx.CommitAsync(ct);
            }

            return result;
        }
        catch (PostgresException e) when (ManageEpisodes.Unknown(e) is not null)
        {
            return ManageEpisodes.Unknown(e)!;
        }
    }
}
