using AgentPlatform.Events.Live;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Conversations.Drafts;

/// <summary>
/// What an agent is about to say, as far as it is written: the whole text so far, so that a lost draft is made good by the next. TurnId: the first
/// message that is answered. A greater attempt replaces a smaller one.
/// </summary>
public sealed record ReplyDraft(Guid TurnId, int Attempt, string Text);

/// <summary>Shows drafts of replies to those who follow a conversation, best effort: nothing of it is stored, and the reply itself replaces them.</summary>
public sealed class ReplyDrafts
{
    /// <summary>The types of the notes.</summary>
    public const string Draft = "reply.draft", Withdrawn = "reply.withdrawn";

    private readonly LiveNotes _notes;
    private readonly ConversationFollowers _followers;

    internal ReplyDrafts(LiveNotes notes, ConversationFollowers followers) => (_notes, _followers) = (notes, followers);

    /// <summary>Whether drafts of a conversation would be seen by anybody.</summary>
    public Task<bool> AreSeenAsync(Actor actor, Guid conversationId, CancellationToken ct) => _followers.AnyAsync(actor, conversationId, ct);

    public Task ShowAsync(Actor actor, Guid conversationId, ReplyDraft draft, CancellationToken ct) =>
        _notes.SendAsync(actor, conversationId, new LiveNote(Draft, draft.TurnId, Json.Of(draft)), ct);

    /// <summary>What was shown of an attempt will not be said.</summary>
    public Task WithdrawAsync(Actor actor, Guid conversationId, Guid turnId, int attempt, CancellationToken ct) =>
        _notes.SendAsync(actor, conversationId, new LiveNote(Withdrawn, turnId, Json.Of(new { turn_id = turnId, attempt })), ct);
}
