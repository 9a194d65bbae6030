using AgentPlatform.Channels;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Messaging;

internal sealed record ReplyBody(string? Text);

/// <summary>What was taken; the conversation's time line tells how it fared.</summary>
internal sealed record Reply(Guid ConversationId, string Text, string Status);

/// <summary>An operator writes to the contact: by the same way, under the same limits, as an agent.</summary>
internal sealed class ReplyAsHuman(Database database, ConversationLog conversations, Outbox outbox)
{
    private const int Longest = 10_000;

    internal async Task<Result<Reply>> HandleAsync(Actor actor, Guid conversationId, ReplyBody body, string? idempotencyKey, CancellationToken ct)
    {
        if (string.IsNullOrWhiteSpace(body.Text) || body.Text.Length > Longest)
        {
            return Problem.Invalid("text", $"Must be 1 to {Longest} characters.");
        }

        await using var tx = database.Begin(actor);
        if (await conversations.FindAsync(tx, conversationId, ct) is not { } conversation)
        {
            return Problem.NotFound("conversation");
        }

        if (conversation is not { ContactId: { } contactId, Status: "active" or "paused" })
        {
            return Problem.Conflict("conversation_state", "Nobody listens in this conversation any more.", $"It is {conversation.Status} and {(conversation.ContactId is null ? "has no contact" : "over")}.");
        }

        if (conversation.Channel == ChannelTypes.Sms && body.Text.Length > ChannelTypes.LongestSms)
        {
            return Problem.Invalid("text", $"Must have at most {ChannelTypes.LongestSms} characters, as a text message.");
        }

        outbox.Queue(tx, new OutgoingMessage(contactId, conversationId, "human", body.Text)
        {
            AuthorUserId = actor.UserId == Guid.Empty ? null : actor.UserId,
            Priority = "high",
            IdempotencyKey = idempotencyKey is null ? null : $"reply:{conversationId}:{idempotencyKey}",
        });
        await tx.CommitAsync(ct);
        return new Reply(conversationId, body.Text, "queued");
    }
}
