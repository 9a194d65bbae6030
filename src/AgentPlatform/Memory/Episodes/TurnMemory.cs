using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Memory.Episodes;

/// <summary>
/// A finished turn of an agent that remembers. Notes: what the contact told about themselves that no field of the profile is for, by name.
/// </summary>
public sealed record KeptTurn(Guid TurnId, Guid ConversationId, Guid SessionId, Guid AgentId, Guid ContactId, IReadOnlyDictionary<string, string> Notes);

/// <summary>Takes turns to be remembered. The turn itself only leaves a line in the queue; what it is remembered as is written afterwards.</summary>
public sealed class TurnMemory(WorkQueue work)
{
    internal const string Kind = "memory.turn";

    public void Keep(Transaction tx, KeptTurn turn) => work.Enqueue(tx, new NewWork(Kind, turn.TurnId.ToString(), turn) { Priority = 80 });
}
