using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Memory.Graph;
using AgentPlatform.Postgres;

namespace AgentPlatform.Memory.Searching;

/// <summary>
/// The hybrid search: episodes and chunks by likeness, entities whose names are like what was asked for, and the entities around those. A neighbour scores what
/// the entity does that it was reached from, times the confidence and the strength of the relationship.
/// </summary>
internal sealed class SearchMemory(Database database, Recall recall, RelationshipStore relationships, ContactDirectory contacts)
{
    /// <summary>Likeness from which an entity is taken to be meant: part of its name, at least.</summary>
    private const double Meant = 0.25;
    private const int Roots = 5;
    private const int DefaultLimit = 10;

    internal async Task<Result<Page<MemoryHit>>> HandleAsync(Actor actor, MemoryQuery query, CancellationToken ct)
    {
        if (query.Problem is { } invalid)
        {
            return invalid;
        }

        var limit = query.Limit ?? DefaultLimit;
        await using var tx = database.Begin(actor);
        query = query with { ContactId = await contacts.LivingAsync(tx, query.ContactId, ct) };
        tx.Gather();
        // What has nothing in common with the question is not an answer.
        var nearest = recall.NearestAsync(tx, query, limit, from: 0.0001, turn: null, ct);
        var named = query.IsOfEpisodes || query.IsOfChunks ? Task.FromResult<IReadOnlyList<MemoryHit>>([]) : recall.EntitiesAsync(tx, query, Roots, ct);
        await tx.AskAsync(ct);
        MemoryHit[] roots = [.. (await named).Where(e => e.Similarity >= Meant)];
        var around = roots.Length == 0 ? [] : await AroundAsync(tx, query, roots, limit, ct);
        MemoryHit[] hits = [.. (await nearest).Concat(roots).Concat(around).OrderByDescending(hit => hit.Score).ThenByDescending(hit => hit.Id).Take(limit)];
        recall.Touch(tx, hits);
        await tx.CommitAsync(ct);
        return new Page<MemoryHit>(hits, null);
    }

    private async Task<IEnumerable<MemoryHit>> AroundAsync(Transaction tx, MemoryQuery query, MemoryHit[] roots, int limit, CancellationToken ct)
    {
        var from = roots.ToDictionary(root => root.Id);
        return (await relationships.NeighboursAsync(tx, [.. from.Keys], new NeighbourFilter(query.AsOf, AgentId: query.AgentId, ContactId: query.ContactId), distance: 1, limit, ct)).Select(neighbour =>
        {
            var root = from[neighbour.FromEntityId];
            return new MemoryHit
            {
                Kind = "entity",
                Id = neighbour.EntityId,
                Type = neighbour.EntityType,
                Content = neighbour.Name,
                AgentId = neighbour.AgentId,
                ContactId = neighbour.CustomerProfileId,
                ValidFrom = root.ValidFrom,
                Similarity = root.Similarity,
                Weight = neighbour.Score,
                Score = root.Similarity * neighbour.Score,
                Via = neighbour,
            };
        });
    }
}
