using System.Text;

namespace AgentPlatform.LocalHost.Queues;

/// <summary>The <c>messageEncoding</c> of host.json.</summary>
internal static class MessageText
{
    /// <summary>The message's content; of text that is not base64 though it should be, the text itself.</summary>
    internal static bool TryDecode(string text, bool base64, out BinaryData body)
    {
        var bytes = new byte[(text.Length * 3 / 4) + 3];
        var written = 0;
        var isWhole = !base64 || Convert.TryFromBase64String(text, bytes, out written);
        body = base64 && isWhole ? new BinaryData(new ReadOnlyMemory<byte>(bytes, 0, written)) : new BinaryData(Encoding.UTF8.GetBytes(text));
        return isWhole;
    }
}
