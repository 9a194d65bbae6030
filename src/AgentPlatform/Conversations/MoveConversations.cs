using AgentPlatform.Contacts;
using AgentPlatform.Postgres;

namespace AgentPlatform.Conversations;

/// <summary>A merged contact's conversations, messages and sessions go to the survivor.</summary>
internal sealed class MoveConversations : IContactMergeParticipant
{
    public Task MoveAsync(Transaction tx, Guid from, Guid into, CancellationToken ct)
    {
        tx.Post(Sql.CloseDoubles, from, into);
        tx.Post(Sql.MoveThreads, from, into);
        tx.Post(Sql.MoveMessages, from, into);
        tx.Post(Sql.MoveSessions, from, into);
        return Task.CompletedTask;
    }

    private static class Sql
    {
        // One living conversation per contact, channel and address: where both have one, the survivor's goes on.
        internal const string CloseDoubles =
            """
            UPDATE conversations.conversations d SET status = 'closed', changed_at = clock_timestamp()
            WHERE d.contact_id = $1 AND d.status IN ('active', 'paused')
              AND EXISTS (SELECT FROM conversations.conversations k
                          WHERE k.contact_id = $2 AND k.tenant_id = d.tenant_id AND k.channel = d.channel
                              AND k.participant_identifier = d.participant_identifier
                            AND k.agent_id = d.agent_id AND k.status IN ('active', 'paused'))
            """;

        internal const string MoveThreads = "UPDATE conversations.conversations SET contact_id = $2 WHERE contact_id = $1";

        internal const string MoveMessages = "UPDATE conversations.messages SET contact_id = $2 WHERE contact_id = $1";

        internal const string MoveSessions = "UPDATE conversations.sessions SET contact_id = $2 WHERE contact_id = $1";
    }
}
