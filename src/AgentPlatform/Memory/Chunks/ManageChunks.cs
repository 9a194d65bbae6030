using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Memory.Episodes;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Memory.Chunks;

/// <summary>What members do with chunks.</summary>
internal sealed class ManageChunks(Database database, ContactDirectory contacts, ChunkStore chunks)
{
    internal async Task<Result<MemoryChunk>> PutAsync(Actor actor, MemoryChunkInput input, CancellationToken ct)
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
                return ManageEpisodes.NoContact;
            }

            var put = await chunks.PutAsync(
                tx, new NewChunk(input.Content!.Trim(), input.MemoryType!, input.Source?.Trim())
                {
                    AgentId = input.AgentId,
                    ContactId = contact?.Id,
                    Embedding = input.Embedding,
                    EmbeddingModel = input.EmbeddingModel,
                    Metadata = input.Metadata,
                }, ct);
            await tx.CommitAsync(ct);
            return put;
        }
        catch (PostgresException e) when (ManageEpisodes.Unknown(e) is not null)
        {
            return ManageEpisodes.Unknown(e)!;
        }
    }

    internal async Task<Result<Guid>> DeleteAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (!await ChunkStore.DeleteAsync(tx, id, ct))
        {
            return Problem.NotFound("memory_chunk");
        }

        await tx.CommitAsync(ct);
        return id;
    }
}
