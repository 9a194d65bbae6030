using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Memory.Chunks;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Memory.Episodes;

/// <summary>Remembers a turn: what was said in it as an episode, and what the contact told about themselves as facts that fade unless they are needed.</summary>
internal sealed class KeepTurn(Database database, TurnLog turns, ContactDirectory contacts, EpisodeStore episodes, ChunkStore chunks) : IWorkHandler
{
    /// <summary>Of each of the two who speak: what comes after hardly changes what it is about.</summary>
    private const int Longest = 2000;

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var kept = item.Read<KeptTurn>();
        await using var tx = database.Begin(Actor.System(item.TenantId));
        // Since the turn it may have been merged into another, erased, or forgotten.
        if (await turns.FindAsync(tx, kept.TurnId, ct) is { } turn && await contacts.HoldAsync(tx, kept.ContactId, ct) is { } contact
            && !await Forgettings.CoversAsync(tx, contact.Id, turn.CreatedAt, ct))
        {
            Keep(tx, kept with { ContactId = contact.Id }, turn);
        }

        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private void Keep(Transaction tx, KeptTurn kept, StoredTurn turn)
    {
        episodes.AddTurn(tx, kept.TurnId, kept, Words(turn), turn.CreatedAt, turn.TurnNumber);
        foreach (var (name, value) in kept.Notes.Where(note => !string.IsNullOrWhiteSpace(note.Value)))
        {
            var note = new NewChunk(value.Clip(MemoryChunkInput.Longest), "fact", $"turn:{kept.TurnId}/{name}");
            chunks.Put(tx, note with { AgentId = kept.AgentId, ContactId = kept.ContactId, ConversationId = kept.ConversationId });
        }
    }

    private static string Words(StoredTurn turn)
    {
        var said = $"Contact: {turn.UserMessage.Clip(Longest)}";
        return turn.AssistantResponse is { Length: > 0 } answer ? $"{said}\nAgent: {answer.Clip(Longest)}" : said;
    }
}
