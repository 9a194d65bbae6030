using AgentPlatform.Brain.Verification;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Postgres;

namespace AgentPlatform.Brain.Applying;

/// <summary>Keeps what a turn has learned, each thing where it belongs.</summary>
internal sealed class KeepMemories(ContactDirectory contacts, ConversationLog conversations, EmailProofs proofs, VerifyEmail verify)
{
    /// <summary>The contact as it is then, and the address that could not be written to for a proof.</summary>
    internal async Task<(Contact Contact, string? Unproved)> KeepAsync(Transaction tx, TurnScene scene, IReadOnlyList<Memory> memories, CancellationToken ct)
    {
        var (id, unproved) = (scene.Input.Contact.Id, (string?)null);
        foreach (var memory in memories)
        {
            switch (memory)
            {
                case Memory.Field field:
                    await contacts.SetFieldAsync(tx, id, new FieldWrite(field.Name, field.Value, FieldWrite.UserProvided) { ConversationId = scene.Conversation.Id }, ct);
                    break;
                case Memory.Consent consent:
                    await contacts.SetConsentAsync(tx, id, scene.Conversation.Channel, consent.OptedOut, consent.Source, ct);
                    break;
                case Memory.Verified:
                    await contacts.MarkVerifiedAsync(tx, id, scene.Conversation.Id, ct);
                    break;
                case Memory.ProveEmail prove:
                    unproved = await verify.SendAsync(tx, scene, prove.Email, ct) ? null : prove.Email;
                    break;
                case Memory.CodeMissed missed:
                    proofs.Miss(tx, missed.ProofId);
                    break;
                case Memory.EmailProved proved:
                    await proofs.ConfirmAsync(tx, proved.Proof, ct);
                    break;
                case Memory.Presented presented:
                    contacts.MarkPresented(tx, id, [.. presented.Priorities]);
                    break;
                case Memory.Note note:
                    // Turns are numbered in their session, and a conversation has many.
                    conversations.Remember(tx, scene.Conversation.Id, $"{note.Name}@{scene.Session.SessionId}", note.Value);
                    break;
            }
        }

        var changed = memories.Any(m => m is Memory.Field or Memory.Verified or Memory.EmailProved);
        return (changed ? (await contacts.FindAsync(tx, id, ct))! : scene.Input.Contact, unproved);
    }
}
