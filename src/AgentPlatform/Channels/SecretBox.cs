using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Channels;

/// <summary>
/// Seals the secrets of channels with AES-256-GCM. The channel's id is authenticated with the ciphertext, so that a sealed secret
/// copied to another row does not open. The first key of the settings seals; every key of the settings opens, so keys can be rotated.
/// </summary>
public sealed class SecretBox
{
    private const int NonceSize = 12;
    private const int TagSize = 16;

    // Only for a machine without settings; its rows are recognisable by the key id, and the start-up log says so.
    private static readonly byte[] DevelopmentKey = SHA256.HashData("agentplatform development key"u8);

    private readonly IReadOnlyList<(string Id, byte[] Key)> _keys;

    public SecretBox(IOptions<ChannelsOptions> options)
    {
        var keys = options.Value.EncryptionKeys.Select(Convert.FromBase64String).ToList();
        UsesDevelopmentKey = keys.Count == 0;
        _keys = UsesDevelopmentKey ? [("development", DevelopmentKey)] : [.. keys.Select(key => (KeyId(key), key))];
    }

    /// <summary>True when no key is configured: fine on a laptop, not where real credentials are kept.</summary>
    public bool UsesDevelopmentKey { get; }

    /// <summary><c>key id . base64(nonce, tag, ciphertext)</c>.</summary>
    public string Seal(string secret, Guid channelId)
    {
        var (id, key) = _keys[0];
        var plain = Encoding.UTF8.GetBytes(secret);
        var box = new byte[NonceSize + TagSize + plain.Length];
        RandomNumberGenerator.Fill(box.AsSpan(0, NonceSize));
        using var aes = new AesGcm(key, TagSize);
        aes.Encrypt(box.AsSpan(0, NonceSize), plain, box.AsSpan(NonceSize + TagSize), box.AsSpan(NonceSize, TagSize), channelId.ToByteArray());
        return $"{id}.{Convert.ToBase64String(box)}";
    }

    /// <summary>The secret, or null when its key is no longer configured or the box was tampered with.</summary>
    public string? Open(string sealedSecret, Guid channelId)
    {
        var dot = sealedSecret.IndexOf('.', StringComparison.Ordinal);
        var key = dot < 0 ? null : _keys.FirstOrDefault(k => k.Id == sealedSecret[..dot]).Key;
        if (key is null)
        {
            return null;
        }

        var box = Convert.FromBase64String(sealedSecret[(dot + 1)..]);
        var plain = new byte[box.Length - NonceSize - TagSize];
        using var aes = new AesGcm(key, TagSize);
        try
        {
            aes.Decrypt(box.AsSpan(0, NonceSize), box.AsSpan(NonceSize + TagSize), box.AsSpan(NonceSize, TagSize), plain, channelId.ToByteArray());
        }
        catch (AuthenticationTagMismatchException)
        {
            return null;
        }

        return Encoding.UTF8.GetString(plain);
    }

    private static string KeyId(byte[] key) => Convert.ToHexStringLower(SHA256.HashData(key))[..8];
}
