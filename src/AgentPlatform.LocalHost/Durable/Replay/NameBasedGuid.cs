using System.Security.Cryptography;
using System.Text;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>UUIDs of version 5 (RFC 9562): the same name gives the same id.</summary>
internal static class NameBasedGuid
{
    // The name space that Durable Functions uses: the same instance gets the same ids on both runtimes.
    private static readonly Guid Space = Guid.Parse("9e952958-5e33-4daf-827f-2fa12937b875");

    internal static Guid Of(string name)
    {
        Span<byte> hash = stackalloc byte[SHA1.HashSizeInBytes];
        byte[] input = [.. Space.ToByteArray(bigEndian: true), .. Encoding.UTF8.GetBytes(name)];
#pragma warning disable CA5350 // The standard says SHA-1; nothing secret depends on it.
        SHA1.HashData(input, hash);
#pragma warning restore CA5350
        hash[6] = (byte)((hash[6] & 0x0F) | 0x50);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash[..16], bigEndian: true);
    }
}
