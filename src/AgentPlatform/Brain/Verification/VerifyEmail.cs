using AgentPlatform.Channels;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Brain.Verification;

/// <summary>Sends the code and the link that prove an e-mail address, and takes the answer of the link.</summary>
public sealed class VerifyEmail
{
    private readonly Database _database;
    private readonly EmailProofs _proofs;
    private readonly ChannelDirectory _channels;
    private readonly ConversationLog _conversations;
    private readonly Outbox _outbox;
    private readonly PublicAddress _address;
    private readonly TimeProvider _clock;

    internal VerifyEmail(Database database, EmailProofs proofs, ChannelDirectory channels, ConversationLog conversations, Outbox outbox, PublicAddress address, TimeProvider clock) =>
        (_database, _proofs, _channels, _conversations, _outbox, _address, _clock) = (database, proofs, channels, conversations, outbox, address, clock);

    /// <summary>False without a way to send mail, or after too many.</summary>
    internal async Task<bool> SendAsync(Transaction tx, TurnScene scene, string email, CancellationToken ct)
    {
        var (contact, agent) = (scene.Input.Contact, scene.Input.Agent);
        if (await _channels.RouteAsync(tx, null, agent.Id, ChannelAddress.Email, ct) is not { Refusal: null } route
            || await _proofs.IssueAsync(tx, contact.Id, scene.Conversation.Id, email, ct) is not { } sent)
        {
            return false;
        }

        var thread = await _conversations.OpenAsync(tx, new OpenConversation(contact.Id, agent.Id, ChannelAddress.Email, email, route.Channel.Id), ct);
        _outbox.Queue(tx, new OutgoingMessage(contact.Id, thread.Id, "system", Mail(agent, sent, _address.BaseUrl))
        {
            Subject = $"{agent.Name}: your code is {sent.Code}",
            Priority = "urgent",
            IdempotencyKey = $"prove:{sent.Id:n}",
        });
        return true;
    }

    /// <summary>What a link would confirm; null when it is unknown, used or over. Looking at it decides nothing: mail scanners follow links too.</summary>
    public async Task<EmailProof?> ShowAsync(string token, CancellationToken ct)
    {
        await using var tx = _database.BeginGateway(EmailProofs.HashOf(token));
        return await _proofs.OfLinkAsync(tx, ct) is { } proof && proof.IsOpen(_clock.GetUtcNow()) ? proof : null;
    }

    /// <summary>Confirms the address, once, and says so in the conversation where it was asked for.</summary>
    public async Task<bool> ConfirmAsync(string token, CancellationToken ct)
    {
        await using var tx = _database.BeginGateway(EmailProofs.HashOf(token));
        if (await _proofs.OfLinkAsync(tx, ct) is not { } proof)
        {
            return false;
        }

        tx.Enter(Actor.System(proof.TenantId));
        if (!proof.IsOpen(_clock.GetUtcNow()) || !await _proofs.ConfirmAsync(tx, proof, ct))
        {
            return false;
        }

        _outbox.Queue(tx, new OutgoingMessage(proof.ContactId, proof.ConversationId, Persona.Bouncer, $"Thank you, {proof.Email} is confirmed. You are all set!") { IdempotencyKey = $"proved:{proof.Id:n}" });
        await tx.CommitAsync(ct);
        return true;
    }

    /// <summary>Pure: the mail.</summary>
    private static string Mail(Agent agent, ProofSent sent, string? baseUrl) =>
        $"""
        Your code for {agent.Name} is {sent.Code}. Send it back in our conversation{(baseUrl is null ? "." : $", or open {baseUrl}/verify/{sent.Token}")}
        It is valid for 30 minutes. If you did not ask for it, there is nothing to do.
        """;
}
