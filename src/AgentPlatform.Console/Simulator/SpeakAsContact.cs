using AgentPlatform.Brain;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Console.Simulator;

/// <summary>The contact's side of a conversation without a provider, through the contract that the API uses too.</summary>
internal sealed class SpeakAsContact(Database database, Chat chat, ConversationLog conversations)
{
    /// <summary>Characters of a message: as many as a long text message may have.</summary>
    internal const int MaxText = 1600;

    /// <summary>A new contact says its first words to an agent.</summary>
    internal async Task<Result<Guid>> BeginAsync(Actor actor, Guid agentId, string text, CancellationToken ct)
    {
        if (Check(text) is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        var taken = await chat.StartAsync(tx, agentId, new StartChat(null, null, text), ct);
        return await CommitAsync(tx, taken, ct);
    }

    internal async Task<Result<Guid>> SayAsync(Actor actor, Guid conversationId, string text, CancellationToken ct)
    {
        if (Check(text) is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        // Words of a person who has a phone are that person's to say.
        if (await conversations.FindAsync(tx, conversationId, ct) is { Channel: not ChannelAddress.Web } other)
        {
            return Problem.Conflict("not_a_web_conversation", $"This conversation runs over {other.Channel}.");
        }

        var taken = await chat.SayAsync(tx, conversationId, new ChatText(text), ct);
        return await CommitAsync(tx, taken, ct);
    }

    private static async Task<Result<Guid>> CommitAsync(Transaction tx, Result<ChatTaken> taken, CancellationToken ct)
    {
        if (taken.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return taken.Map(t => t.ConversationId);
    }

    private static Problem? Check(string text) => string.IsNullOrWhiteSpace(text) || text.Length > MaxText
        ? Problem.Invalid("text", $"Must be 1 to {MaxText} characters.")
        : null;
}
