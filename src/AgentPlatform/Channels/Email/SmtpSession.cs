using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace AgentPlatform.Channels.Email;

/// <summary>The server refused a command.</summary>
public sealed class SmtpRefusalException(int code, string text) : Exception(text)
{
    public int Code { get; } = code;
}

internal sealed record SmtpAnswer(int Code, string Text);

/// <summary>
/// One conversation with a mail server (RFC 5321). The framework's SmtpClient does not tell whether a mail was handed over when the
/// connection broke, and that difference decides whether it may be sent again.
/// </summary>
internal sealed class SmtpSession : IAsyncDisposable
{
    private const int MaxLine = 4096;

    private readonly TcpClient _client;
    private readonly TimeSpan _timeout;
    private readonly byte[] _buffer = new byte[MaxLine];
    private Stream _stream;
    private int _start;
    private int _end;

    private SmtpSession(TcpClient client, TimeSpan timeout)
    {
        _client = client;
        _timeout = timeout;
        _stream = client.GetStream();
    }

    internal static async Task<SmtpSession> OpenAsync(string host, int port, EmailOptions options, CancellationToken ct)
    {
        var client = new TcpClient { NoDelay = true };
        try
        {
            await client.ConnectAsync(host, port, ct);
            var session = new SmtpSession(client, TimeSpan.FromSeconds(options.TimeoutSeconds));
            await session.GreetAsync(host, port, options, ct);
            return session;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    internal async Task EnvelopeAsync(string from, string to, CancellationToken ct)
    {
        await CommandAsync($"MAIL FROM:<{from}>", 250, ct);
        await CommandAsync($"RCPT TO:<{to}>", 250, ct);
        await CommandAsync("DATA", 354, ct);
    }

    /// <summary>Hands the mail over. Once this has begun, a lost connection leaves it open whether the server took it.</summary>
    internal async Task<SmtpAnswer> DataAsync(string mail, CancellationToken ct)
    {
        // A line that begins with a dot gets a second one, or it would end the mail.
        var stuffed = mail.Replace("\r\n.", "\r\n..", StringComparison.Ordinal);
        await WriteAsync($"{(stuffed.StartsWith('.') ? "." : "")}{stuffed}\r\n.\r\n", ct);
        return await AnswerAsync(250, ct);
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(2));
            await WriteAsync("QUIT\r\n", soon.Token);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The mail's fate is settled; how the server takes our leave does not matter.
        }

        await _stream.DisposeAsync();
        _client.Dispose();
    }

    private async Task GreetAsync(string host, int port, EmailOptions options, CancellationToken ct)
    {
        var secure = port == 465;
        if (secure)
        {
            await SecureAsync(host, ct);
        }

        await AnswerAsync(220, ct);
        var abilities = await HelloAsync(ct);
        if (!secure && abilities.Contains("STARTTLS", StringComparison.OrdinalIgnoreCase))
        {
            await CommandAsync("STARTTLS", 220, ct);
            await SecureAsync(host, ct);
            secure = true;
            await HelloAsync(ct);
        }

        if (!secure && (options.RequireTls || (options.SmtpUser is not null && !IsLoopback())))
        {
            throw new IOException("The mail server offers no TLS.");
        }

        if (options is { SmtpUser: { Length: > 0 } user, SmtpPassword: var password })
        {
            await CommandAsync($"AUTH PLAIN {Convert.ToBase64String(Encoding.UTF8.GetBytes($"\0{user}\0{password}"))}", 235, ct);
        }
    }

    private async Task<string> HelloAsync(CancellationToken ct) => (await CommandAsync("EHLO [127.0.0.1]", 250, ct)).Text;

    private bool IsLoopback() => _client.Client.RemoteEndPoint is IPEndPoint { Address: var address } && IPAddress.IsLoopback(address);

    private async Task SecureAsync(string host, CancellationToken ct)
    {
        // What came in the clear before TLS is not believed after it.
        (_start, _end) = (0, 0);
        var tls = new SslStream(_stream);
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = host }, ct);
        _stream = tls;
    }

    private async Task<SmtpAnswer> CommandAsync(string command, int expected, CancellationToken ct)
    {
        await WriteAsync($"{command}\r\n", ct);
        return await AnswerAsync(expected, ct);
    }

    private async Task WriteAsync(string text, CancellationToken ct)
    {
        await _stream.WriteAsync(Encoding.UTF8.GetBytes(text), ct);
        await _stream.FlushAsync(ct);
    }

    private async Task<SmtpAnswer> AnswerAsync(int expected, CancellationToken ct)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(ct);
        timeout.CancelAfter(_timeout);
        var text = new StringBuilder();
        string line;
        do
        {
            line = await LineAsync(timeout.Token);
            if (line.Length < 3 || !int.TryParse(line.AsSpan(0, 3), out _) || text.Length > MaxLine)
            {
                throw new IOException("The mail server does not speak SMTP.");
            }

            text.AppendLine(line.Length > 4 ? line[4..] : "");
        }
        while (line.Length > 3 && line[3] == '-');
        var code = int.Parse(line.AsSpan(0, 3), System.Globalization.CultureInfo.InvariantCulture);
        return code == expected || (expected == 250 && code == 251) ? new SmtpAnswer(code, text.ToString().Trim()) : throw new SmtpRefusalException(code, text.ToString().Trim());
    }

    private async Task<string> LineAsync(CancellationToken ct)
    {
        var line = new StringBuilder();
        while (true)
        {
            for (var i = _start; i < _end; i++)
            {
                if (_buffer[i] == '\n')
                {
                    line.Append(Encoding.UTF8.GetString(_buffer, _start, i - _start));
                    _start = i + 1;
                    return line.ToString().TrimEnd('\r');
                }
            }

            line.Append(Encoding.UTF8.GetString(_buffer, _start, _end - _start));
            _start = 0;
            _end = await _stream.ReadAsync(_buffer, ct);
            if (_end == 0 || line.Length > MaxLine)
            {
                throw new IOException("The mail server closed the connection.");
            }
        }
    }
}
