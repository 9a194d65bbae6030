using System.Text;

namespace AgentPlatform.LocalHost.Queues;

/// <summary>The <c>messageEncoding</c> of host.json.</summary>
internal static class MessageText
{
    internal static bool TryDecode(string text, bool base64, out BinaryData body)
    {
        if (!base64)
        {
            body = new BinaryData(Encoding.UTF8.GetBytes(text));
            return true;
        }

        var bytes = new byte[(text.Length * 3 / 4) + 3];
        var valid = Convert.TryFromBase64String(text, bytes, out var written);
        body = new BinaryData(new ReadOnlyMemory<byte>(bytes, 0, written));
        return valid;
    }
}
