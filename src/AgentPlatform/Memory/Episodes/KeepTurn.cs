using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Memory.Chunks;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Memory.Episodes;

/// <summary>Remembers a turn: what was said in it as an episode, and what the contact told about themselves as facts that fade unless they are needed.</summary>
internal sealed class KeepTurn(Database database, TurnLog turns, EpisodeStore episodes, ChunkStore chunks) : IWorkHandler
{
    /// <summary>Of each of the two who speak: what comes after hardly changes what it is about.</summary>
    private const int Longest = 2000;

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var kept = item.Read<KeptTurn>();
        await using var tx = database.Begin(Actor.System(item.TenantId));
        if (await turns.FindAsync(tx, kept.TurnId, ct) is { } turn)
        {
            episodes.AddTurn(tx, kept.TurnId, kept, Words(turn), turn.CreatedAt, turn.TurnNumber);
            foreach (var (name, value) in kept.Notes)
            {
                chunks.Put(tx, new NewChunk(value, "fact", $"conversation:{kept.ConversationId}/{name}") { AgentId = kept.AgentId, ContactId = kept.ContactId, ConversationId = kept.ConversationId });
            }
        }

        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private static string Words(StoredTurn turn)
    {
        var said = $"Contact: {turn.UserMessage.Clip(Longest)}";
        return turn.AssistantResponse is { Length: > 0 } answer ? $"{said}\nAgent: {answer.Clip(Longest)}" : said;
    }
}
