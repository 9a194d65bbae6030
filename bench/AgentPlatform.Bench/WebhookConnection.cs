using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace AgentPlatform.Bench;

/// <summary>
/// One connection of a sender under load, kept alive. It sends requests that were signed and put together before, because what a provider spends on that
/// is not ours to measure, and reads each answer to its end.
/// </summary>
internal sealed class WebhookConnection : IDisposable
{
    private readonly Socket _socket;
    private readonly byte[] _answer = new byte[16 * 1024];

    private WebhookConnection(Socket socket) => _socket = socket;

    internal static async Task<WebhookConnection> OpenAsync(Uri address)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(address.Host, address.Port);
        return new WebhookConnection(socket);
    }

    /// <summary>How long the answer took; anything but 200 is a failure of the run.</summary>
    internal async Task<TimeSpan> SendAsync(ReadOnlyMemory<byte> request)
    {
        var start = Stopwatch.GetTimestamp();
        await _socket.SendAsync(request);
        var length = 0;
        while (!IsWhole(_answer.AsSpan(0, length)))
        {
            var read = await _socket.ReceiveAsync(_answer.AsMemory(length));
            length += read > 0 ? read : throw new InvalidOperationException("The host has closed a connection that waited for its answer.");
        }

        var took = Stopwatch.GetElapsedTime(start);
        return _answer.AsSpan().StartsWith("HTTP/1.1 200 "u8) ? took
            : throw new InvalidOperationException($"The webhook was answered with {Encoding.UTF8.GetString(_answer, 0, length)}");
    }

    public void Dispose() => _socket.Dispose();

    private static bool IsWhole(ReadOnlySpan<byte> answer)
    {
        var end = answer.IndexOf("\r\n\r\n"u8);
        if (end < 0)
        {
            return false;
        }

        var name = "Content-Length: "u8;
        var field = answer[..(end + 2)].IndexOf(name);
        var value = field < 0 ? throw new InvalidOperationException("The answer does not say its length.") : answer[(field + name.Length)..];
        return answer.Length == end + 4 + int.Parse(value[..value.IndexOf("\r\n"u8)], NumberStyles.None, CultureInfo.InvariantCulture);
    }
}
