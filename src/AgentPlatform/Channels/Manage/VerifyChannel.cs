using System.Security.Cryptography;
using System.Text;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Channels.Manage;

/// <summary>To whom a verification code or a test message goes: a number, an address, or an id the custom endpoint knows.</summary>
public sealed record ProbeRecipient(string? To)
{
    /// <summary>The text of a test message.</summary>
    public string? Text { get; init; }
}

/// <summary>How the provider took a verification code or a test message.</summary>
public sealed record ProbeResult(Guid OutboundMessageId, string Provider, string DeliveryStatus, string? ExternalMessageId, string? Error);

public sealed record VerificationCode(string? Code);

/// <summary>
/// Proves that a channel works: a code goes out over it and comes back from whoever received it. It is the one thing an unverified
/// channel sends.
/// </summary>
public sealed class VerifyChannel(Database database, ChannelDirectory directory, OutboundLog outbound, EventStore events, TimeProvider clock, IOptions<ChannelsOptions> options)
{
    private const int Digits = 6;
    private const int MaxGuesses = 5;

    internal Task<Result<ProbeResult>> SendCodeAsync(Actor actor, Guid id, ProbeRecipient recipient, CancellationToken ct)
    {
        var code = RandomNumberGenerator.GetString("0123456789", Digits);
        return SendAsync(actor, id, recipient, "verification", $"{code} is the code that verifies this channel.", tx =>
            tx.Post(Sql.SetCode, actor.TenantId, id, code, clock.GetUtcNow() + TimeSpan.FromMinutes(options.Value.VerificationMinutes)), ct);
    }

    internal Task<Result<ProbeResult>> TestAsync(Actor actor, Guid id, ProbeRecipient recipient, CancellationToken ct) =>
        SendAsync(actor, id, recipient, "test", string.IsNullOrWhiteSpace(recipient.Text) ? "This is a test." : recipient.Text, _ => { }, ct);

    internal async Task<Result<ChannelView>> ConfirmAsync(Actor actor, Guid id, VerificationCode given, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.FindAsync<Pending>(Sql.Lock, [actor.TenantId, id], ct) is not { } pending)
        {
            return Problem.NotFound("channel");
        }

        if (Refuse(pending, given.Code, clock.GetUtcNow()) is { } problem)
        {
            // A wrong guess counts even though nothing else changes.
            tx.Post(Sql.CountGuess, actor.TenantId, id);
            await tx.CommitAsync(ct);
            return problem;
        }

        tx.Post(Sql.Verify, actor.TenantId, id, clock.GetUtcNow());
        events.Append(tx, new NewEvent("channel.verified", "channel", id, new { }));
        var view = await ManageChannels.FindAsync(tx, id, ct);
        await tx.CommitAsync(ct);
        return view!;
    }

    /// <summary>Marks a channel verified without a code: for the demo tenant, and for channels whose operator is the platform's own.</summary>
    public async Task TrustAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        tx.Post(Sql.Verify, actor.TenantId, id, clock.GetUtcNow());
        events.Append(tx, new NewEvent("channel.verified", "channel", id, new { trusted = true }));
        await tx.CommitAsync(ct);
    }

    internal static Problem? Refuse(Pending pending, string? code, DateTimeOffset now) => pending switch
    {
        { VerificationCode: null } => Problem.Conflict("no_code_pending", "No verification code has been sent."),
        { VerificationCodeExpiresAt: var until } when until <= now => Problem.Unprocessable("code_expired", "The verification code has expired."),
        { VerificationAttempts: >= MaxGuesses } => Problem.Unprocessable("too_many_guesses", "Too many wrong codes: have a new one sent."),
        { VerificationCode: var right } when code is null || !CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(right), Encoding.UTF8.GetBytes(code.Trim())) =>
            Problem.Unprocessable("wrong_code", "The verification code is wrong."),
        _ => null,
    };

    private async Task<Result<ProbeResult>> SendAsync(Actor actor, Guid id, ProbeRecipient recipient, string type, string text, Action<Transaction> also, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await directory.FindAsync(tx, id, ct) is not { } route)
        {
            return Problem.NotFound("channel");
        }

        if (Address(route.Channel.ChannelType, recipient.To) is not { } to)
        {
            return Problem.Invalid("to", "Is not an address of this channel.");
        }

        var message = new OutboundMessage(clock.NewId(), route.Channel, to, null, text) { Subject = "Channel check", StatusCallback = null, FirstAttemptAt = clock.GetUtcNow() };
        outbound.Post(tx, new NewOutbound(message.Id, id, route.AgentId, route.Channel.ChannelType, to, text) { MessageType = type, Subject = message.Subject, Status = "sending" });
        also(tx);
        await tx.CommitAsync(ct);
        return await SettleAsync(actor, route, message, await route.Provider.SendAsync(message, ct), ct);
    }

    private async Task<ProbeResult> SettleAsync(Actor actor, OutboundRoute route, OutboundMessage message, SendOutcome outcome, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var result = new ProbeResult(message.Id, route.Provider.Name, "failed", null, null);
        switch (outcome)
        {
            case SendOutcome.Accepted accepted:
                var settled = await outbound.AcceptedAsync(tx, route.Channel.Id, message.Id, route.Provider.Name, accepted, ct);
                result = result with { DeliveryStatus = settled.DeliveryStatus, ExternalMessageId = accepted.ExternalId, Error = settled.DeliveryError };
                break;
            case SendOutcome.Unknown unknown:
                outbound.Waiting(tx, message.Id, "unknown", unknown.Error);
                result = result with { DeliveryStatus = "unknown", Error = unknown.Error };
                break;
            default:
                var (code, error) = outcome switch
                {
                    SendOutcome.Rejected rejected => (rejected.Code, rejected.Message),
                    SendOutcome.NotSent notSent => ("not_sent", notSent.Error),
                    _ => ("throttled", "The provider asked for a pause."),
                };
                outbound.Failed(tx, message.Id, route.Provider.Name, code, error);
                result = result with { Error = error };
                break;
        }

        if (route.Provider is not OutboxProvider)
        {
            // It has gone where only its receiver reads it; who may read our log must not be able to answer for that receiver.
            tx.Post(Sql.HideCode, actor.TenantId, message.Id);
        }

        await tx.CommitAsync(ct);
        return result;
    }

    private static string? Address(string channelType, string? to) => channelType switch
    {
        ChannelTypes.Sms => PhoneNumber.TryNormalize(to, out var e164) ? e164 : null,
        ChannelTypes.Email => System.Net.Mail.MailAddress.TryCreate(to, out var mail) ? mail.Address : null,
        _ => to is { Length: > 0 and <= 255 } ? to : null,
    };

    internal sealed record Pending(string? VerificationCode, DateTimeOffset? VerificationCodeExpiresAt, short VerificationAttempts);

    private static class Sql
    {
        internal const string SetCode =
            """
            UPDATE channels.user_webhooks SET verification_code = $3, verification_code_expires_at = $4, verification_attempts = 0
            WHERE tenant_id = $1 AND id = $2
            """;

        internal const string Lock =
            """
            SELECT verification_code, verification_code_expires_at, verification_attempts
            FROM channels.user_webhooks WHERE tenant_id = $1 AND id = $2 FOR UPDATE
            """;

        internal const string CountGuess =
            """
            UPDATE channels.user_webhooks SET verification_attempts = verification_attempts + 1
            WHERE tenant_id = $1 AND id = $2 AND verification_code IS NOT NULL AND verification_attempts < 1000
            """;

        internal const string HideCode =
            "UPDATE channels.outbound_messages SET content = '(verification code)' WHERE tenant_id = $1 AND id = $2 AND message_type = 'verification'";

        internal const string Verify =
            """
            UPDATE channels.user_webhooks
            SET is_verified = true, verified_at = coalesce(verified_at, $3), verification_code = NULL, verification_code_expires_at = NULL, verification_attempts = 0
            WHERE tenant_id = $1 AND id = $2
            """;
    }
}
