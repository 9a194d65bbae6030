using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Contacts;

/// <summary>A proof that is waited for, or was given: that <see cref="Email"/> is the contact's address.</summary>
public sealed record EmailProof(
    Guid TenantId, Guid Id, Guid ContactId, Guid ConversationId, string Email, string CodeHash, int Attempts, DateTimeOffset ExpiresAt, DateTimeOffset? VerifiedAt, DateTimeOffset CreatedAt)
{
    /// <summary>A code of six digits must not be found by trying.</summary>
    public const int MostAttempts = 5;

    public bool IsOpen(DateTimeOffset now) => VerifiedAt is null && ExpiresAt > now && Attempts < MostAttempts;

    public bool Accepts(string code) =>
        CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(CodeHash), Encoding.ASCII.GetBytes(EmailProofs.HashOf(Id, code)));
}

/// <summary>A proof as the API shows it: when it was asked for, and whether it was given.</summary>
public sealed record EmailVerification(Guid Id, Guid ConversationId, string Email, int Attempts, DateTimeOffset ExpiresAt, DateTimeOffset? VerifiedAt, DateTimeOffset CreatedAt);

/// <summary>What is sent to the address: a code to reply with, and the token of a link. Neither is kept.</summary>
public sealed record ProofSent(Guid Id, string Code, string Token);

/// <summary>Proofs of e-mail addresses: issued one at a time for a contact, used once.</summary>
public sealed class EmailProofs
{
    private const int MostInAnHour = 5;

    private static readonly TimeSpan Life = TimeSpan.FromMinutes(30);

    private readonly ContactDirectory _contacts;
    private readonly TimeProvider _clock;

    internal EmailProofs(ContactDirectory contacts, TimeProvider clock) => (_contacts, _clock) = (contacts, clock);

    /// <summary>Those before it are void. Null when the contact had too many in the last hour.</summary>
    public async Task<ProofSent?> IssueAsync(Transaction tx, Guid contactId, Guid conversationId, string email, CancellationToken ct)
    {
        var now = _clock.GetUtcNow();
        var sent = new ProofSent(
            _clock.NewId(), RandomNumberGenerator.GetInt32(1_000_000).ToString("D6", CultureInfo.InvariantCulture), Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)));
        tx.Post(Sql.Forget, contactId, now.AddHours(-1));
        tx.Post(Sql.Void, contactId, now);
        return await tx.ExecuteAsync(
            Sql.Issue, [sent.Id, contactId, conversationId, email, HashOf(sent.Token), HashOf(sent.Id, sent.Code), now + Life, now, now.AddHours(-1), MostInAnHour], ct) == 1
            ? sent
            : null;
    }

    /// <summary>The latest; null when none was asked for. Gather it with other questions.</summary>
    public Task<EmailProof?> LatestAsync(Transaction tx, Guid contactId, CancellationToken ct) => tx.FindAsync<EmailProof>(Sql.Latest, [contactId], ct);

    /// <summary>Newest first.</summary>
    internal Task<IReadOnlyList<EmailVerification>> ListAsync(Transaction tx, Guid contactId, CancellationToken ct) =>
        tx.QueryAsync<EmailVerification>(Sql.List, [contactId], ct);

    /// <summary>In a gateway that was begun with <see cref="HashOf(string)"/> of a link's token.</summary>
    public Task<EmailProof?> OfLinkAsync(Transaction tx, CancellationToken ct) => tx.FindAsync<EmailProof>(Sql.OfLink, [], ct);

    public void Miss(Transaction tx, Guid id) => tx.Post(Sql.Miss, id);

    /// <summary>The address is the contact's: a way in, verified, and the contact with it. False when the proof was used or is over.</summary>
    public async Task<bool> ConfirmAsync(Transaction tx, EmailProof proof, CancellationToken ct)
    {
        if (await tx.ExecuteAsync(Sql.Confirm, [proof.Id, _clock.GetUtcNow()], ct) == 0 || await _contacts.FindAsync(tx, proof.ContactId, ct) is not { } contact)
        {
            return false;
        }

        var write = new FieldWrite("email", proof.Email, FieldWrite.UserProvided) { Verified = true, ConversationId = proof.ConversationId };
        await _contacts.SetFieldAsync(tx, contact.Id, write, ct);
        tx.Post(Sql.VerifyIdentity, contact.Id, ChannelAddress.Email, proof.Email);
        await _contacts.MarkVerifiedAsync(tx, contact.Id, proof.ConversationId, ct);
        return true;
    }

    public static string HashOf(string token) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    internal static string HashOf(Guid id, string code) => HashOf($"{id:n}:{code}");

    private static class Sql
    {
        // What counts against another mail is kept, and what was proved.
        internal const string Forget =
            "DELETE FROM contacts.email_verification_tokens WHERE tenant_id = kernel.current_tenant_id() AND contact_id = $1 AND verified_at IS NULL AND created_at < $2";

        internal const string Void =
            "UPDATE contacts.email_verification_tokens SET expires_at = $2 WHERE tenant_id = kernel.current_tenant_id() AND contact_id = $1 AND verified_at IS NULL AND expires_at > $2";

        internal const string Issue =
            """
            INSERT INTO contacts.email_verification_tokens (tenant_id, id, contact_id, conversation_id, email, token_hash, code_hash, expires_at, created_at)
            SELECT kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8
            WHERE (SELECT count(*) FROM contacts.email_verification_tokens WHERE tenant_id = kernel.current_tenant_id() AND contact_id = $2 AND created_at > $9) < $10
            """;

        internal const string Latest =
            """
            SELECT tenant_id, id, contact_id, conversation_id, email, code_hash, attempts, expires_at, verified_at, created_at
            FROM contacts.email_verification_tokens
            WHERE tenant_id = kernel.current_tenant_id() AND contact_id = $1 ORDER BY id DESC LIMIT 1
            """;

        internal const string List =
            """
            SELECT id, conversation_id, email, attempts, expires_at, verified_at, created_at
            FROM contacts.email_verification_tokens
            WHERE tenant_id = kernel.current_tenant_id() AND contact_id = $1 ORDER BY id DESC
            """;

        internal const string OfLink =
            """
            SELECT tenant_id, id, contact_id, conversation_id, email, code_hash, attempts, expires_at, verified_at, created_at
            FROM contacts.email_verification_tokens WHERE token_hash = kernel.current_bearer()
            """;

        internal const string Miss = "UPDATE contacts.email_verification_tokens SET attempts = attempts + 1 WHERE tenant_id = kernel.current_tenant_id() AND id = $1";

        internal const string Confirm =
            """
            UPDATE contacts.email_verification_tokens SET verified_at = $2
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND verified_at IS NULL AND expires_at > $2
            """;

        internal const string VerifyIdentity =
            """
            UPDATE contacts.channel_identities SET verified = true
            WHERE tenant_id = kernel.current_tenant_id() AND profile_id = $1 AND channel = $2 AND channel_user_id = $3
            """;
    }
}
