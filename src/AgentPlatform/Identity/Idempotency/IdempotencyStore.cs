using System.Security.Cryptography;
using System.Text;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Identity.Idempotency;

/// <summary>An answer to be given again, byte for byte.</summary>
public sealed record StoredAnswer(int Status, IReadOnlyDictionary<string, string> Headers, byte[] Body);

/// <summary>What became of the attempt to begin a request under an idempotency key: a closed set.</summary>
public abstract record IdempotentStart
{
    private IdempotentStart()
    {
    }

    /// <summary>This request is the one to be carried out; say how it ended with <see cref="Attempt"/>.</summary>
    public sealed record Begun(Guid Attempt) : IdempotentStart;

    /// <summary>It was carried out before.</summary>
    public sealed record Replay(StoredAnswer Answer) : IdempotentStart;

    /// <summary>Another request with this key is being carried out.</summary>
    public sealed record Busy : IdempotentStart;

    /// <summary>The key was used for another request.</summary>
    public sealed record Mismatch : IdempotentStart;
}

/// <summary>
/// Remembers the answers to requests that carry an Idempotency-Key, for a day. Answers are sealed with a key derived from the
/// caller's secret, because some of them hold secrets that are shown once.
/// </summary>
public sealed class IdempotencyStore(Database database, TimeProvider clock)
{
    /// <summary>How long an answer is remembered.</summary>
    public static readonly TimeSpan Retention = TimeSpan.FromHours(24);

    /// <summary>A request whose process died may be tried again after this.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromMinutes(2);

    private const int NonceSize = 12;
    private const int TagSize = 16;

    public async Task<IdempotentStart> BeginAsync(Caller caller, string secret, string key, byte[] requestHash, CancellationToken ct)
    {
        var (now, attempt) = (clock.GetUtcNow(), clock.NewId());
        await using var tx = database.Begin(caller.Actor);
        var begun = await tx.ExecuteAsync(
            Sql.Begin, [tx.TenantId, caller.KeyId, key, requestHash, attempt, now + Lease, now + Retention, now], ct);
        if (begun == 1)
        {
            await tx.CommitAsync(ct);
            return new IdempotentStart.Begun(attempt);
        }

        var earlier = await tx.FindAsync<Earlier>(Sql.Find, [tx.TenantId, caller.KeyId, key], ct);
        return earlier switch
        {
            // Given back between the two statements.
            null => new IdempotentStart.Busy(),
            _ when !CryptographicOperations.FixedTimeEquals(earlier.RequestHash, requestHash) => new IdempotentStart.Mismatch(),
            { Response: null } => new IdempotentStart.Busy(),
            _ => new IdempotentStart.Replay(Open(earlier.Response, secret, key)),
        };
    }

    public async Task CompleteAsync(Caller caller, string secret, string key, Guid attempt, StoredAnswer answer, CancellationToken ct)
    {
        await using var tx = database.Begin(caller.Actor);
        tx.Post(Sql.Complete, tx.TenantId, caller.KeyId, key, attempt, (short)answer.Status, Seal(answer, secret, key), clock.GetUtcNow());
        await tx.CommitAsync(ct);
    }

    /// <summary>The request was not carried out, so the key may be used again.</summary>
    public async Task ReleaseAsync(Caller caller, string key, Guid attempt, CancellationToken ct)
    {
        await using var tx = database.Begin(caller.Actor);
        tx.Post(Sql.Release, tx.TenantId, caller.KeyId, key, attempt);
        await tx.CommitAsync(ct);
    }

    private static byte[] Seal(StoredAnswer answer, string secret, string key)
    {
        var text = Encoding.UTF8.GetBytes(Json.Text(answer));
        var sealedText = new byte[NonceSize + TagSize + text.Length];
        var span = sealedText.AsSpan();
        RandomNumberGenerator.Fill(span[..NonceSize]);
        using var aes = new AesGcm(SealingKey(secret), TagSize);
        aes.Encrypt(span[..NonceSize], text, span[(NonceSize + TagSize)..], span[NonceSize..(NonceSize + TagSize)], Encoding.UTF8.GetBytes(key));
        return sealedText;
    }

    private static StoredAnswer Open(byte[] sealedText, string secret, string key)
    {
        var span = sealedText.AsSpan();
        var text = new byte[span.Length - NonceSize - TagSize];
        using var aes = new AesGcm(SealingKey(secret), TagSize);
        aes.Decrypt(span[..NonceSize], span[(NonceSize + TagSize)..], span[NonceSize..(NonceSize + TagSize)], text, Encoding.UTF8.GetBytes(key));
        return System.Text.Json.JsonSerializer.Deserialize<StoredAnswer>(text, Json.Options)!;
    }

    /// <summary>A key for one use that only the caller's secret yields.</summary>
    internal static byte[] KeyOf(string secret, ReadOnlySpan<byte> use) =>
        HKDF.DeriveKey(HashAlgorithmName.SHA256, Encoding.UTF8.GetBytes(secret), 32, info: use.ToArray());

    private static byte[] SealingKey(string secret) => KeyOf(secret, "idempotency"u8);

    private sealed record Earlier(byte[] RequestHash, byte[]? Response);

    private static class Sql
    {
        // Takes over the key of a request that never ended, and a key whose answer is too old to count.
        internal const string Begin =
            """
            INSERT INTO identity.idempotency_keys AS k (tenant_id, api_key_id, key, request_hash, attempt, locked_until, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (tenant_id, api_key_id, key) DO UPDATE
            SET request_hash = excluded.request_hash, attempt = excluded.attempt, locked_until = excluded.locked_until,
                expires_at = excluded.expires_at, status_code = NULL, response = NULL, completed_at = NULL
            WHERE k.expires_at <= $8 OR (k.completed_at IS NULL AND k.locked_until <= $8 AND k.request_hash = excluded.request_hash)
            """;

        internal const string Find = "SELECT request_hash, response FROM identity.idempotency_keys WHERE tenant_id = $1 AND api_key_id = $2 AND key = $3";

        internal const string Complete =
            """
            UPDATE identity.idempotency_keys SET status_code = $5, response = $6, completed_at = $7
            WHERE tenant_id = $1 AND api_key_id = $2 AND key = $3 AND attempt = $4
            """;

        internal const string Release =
            "DELETE FROM identity.idempotency_keys WHERE tenant_id = $1 AND api_key_id = $2 AND key = $3 AND attempt = $4 AND completed_at IS NULL";
    }
}
