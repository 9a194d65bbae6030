using AgentPlatform.Contacts;
using AgentPlatform.Memory.Chunks;
using AgentPlatform.Memory.Episodes;
using AgentPlatform.Memory.Graph;
using AgentPlatform.Postgres;

namespace AgentPlatform.Memory;

/// <summary>When a contact turns out to be another one, what is remembered of it is remembered of the other one.</summary>
internal sealed class MergedContacts : IContactMergeParticipant
{
    public Task MoveAsync(Transaction tx, Guid from, Guid into, CancellationToken ct)
    {
        EpisodeStore.Move(tx, from, into);
        ChunkStore.Move(tx, from, into);
        Forgettings.Move(tx, from, into);
        EntityStore.Merge(tx, from, into);
        return Task.CompletedTask;
    }
}
