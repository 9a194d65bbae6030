using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace AgentPlatform.Tests.Sandbox;

/// <summary>A mail the fake server has taken: its envelope, its headers by name, and its decoded text.</summary>
public sealed record FakeMail(string From, string To, string Raw)
{
    public string? Header(string name) =>
        Raw[..Raw.IndexOf("\r\n\r\n", StringComparison.Ordinal)].Replace("\r\n ", " ", StringComparison.Ordinal).Split("\r\n")
            .FirstOrDefault(line => line.StartsWith($"{name}:", StringComparison.OrdinalIgnoreCase))?[(name.Length + 1)..].Trim();

    public int Headers(string name) =>
        Raw[..Raw.IndexOf("\r\n\r\n", StringComparison.Ordinal)].Split("\r\n").Count(line => line.StartsWith($"{name}:", StringComparison.OrdinalIgnoreCase));

    public string Text => Encoding.UTF8.GetString(Convert.FromBase64String(Raw[(Raw.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..].Replace("\r\n", "", StringComparison.Ordinal)));
}

/// <summary>A small mail server on loopback that can refuse at any step, or hang up after it has taken a mail.</summary>
public sealed class FakeSmtp : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _accepting;

    public FakeSmtp()
    {
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public string Address => $"127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";

    public ConcurrentQueue<FakeMail> Mails { get; } = new();

    /// <summary>Answers this command (MAIL, RCPT, DATA, or "." for the end of the mail) with this line, once.</summary>
    public (string Command, string Answer)? Refusal { get; set; }

    /// <summary>Takes the next mail, and hangs up instead of saying so.</summary>
    public bool DropAfterData { get; set; }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _listener.Stop();
        await _accepting;
    }

    private async Task AcceptAsync()
    {
        var sessions = new List<Task>();
        try
        {
            while (!_stopping.IsCancellationRequested)
            {
                sessions.Add(ServeAsync(await _listener.AcceptTcpClientAsync(_stopping.Token)));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over.
        }

        await Task.WhenAll(sessions);
    }

    private async Task ServeAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                await using var stream = client.GetStream();
                using var reader = new StreamReader(stream, Encoding.UTF8);
                await using var writer = new StreamWriter(stream, new UTF8Encoding(false)) { NewLine = "\r\n", AutoFlush = true };
                await TalkAsync(reader, writer);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                // Either side may hang up.
            }
        }
    }

    private async Task TalkAsync(StreamReader reader, StreamWriter writer)
    {
        var (from, to) = ("", "");
        await writer.WriteLineAsync("220 fake ESMTP");
        while (await reader.ReadLineAsync(_stopping.Token) is { } line)
        {
            var verb = line.Split(' ', ':')[0].ToUpperInvariant();
            if (Refusal is var (command, answer) && command == verb)
            {
                Refusal = null;
                await writer.WriteLineAsync(answer);
                continue;
            }

            switch (verb)
            {
                case "EHLO":
                    await writer.WriteLineAsync("250-fake\r\n250 8BITMIME");
                    break;
                case "MAIL":
                    from = Between(line);
                    await writer.WriteLineAsync("250 ok");
                    break;
                case "RCPT":
                    to = Between(line);
                    await writer.WriteLineAsync("250 ok");
                    break;
                case "DATA":
                    await writer.WriteLineAsync("354 go on");
                    if (!await TakeAsync(reader, writer, from, to))
                    {
                        return;
                    }

                    break;
                case "QUIT":
                    await writer.WriteLineAsync("221 bye");
                    return;
                default:
                    await writer.WriteLineAsync("502 what");
                    break;
            }
        }
    }

    private async Task<bool> TakeAsync(StreamReader reader, StreamWriter writer, string from, string to)
    {
        var mail = new StringBuilder();
        while (await reader.ReadLineAsync(_stopping.Token) is { } line && line != ".")
        {
            mail.Append(line.StartsWith('.') ? line[1..] : line).Append("\r\n");
        }

        if (Refusal is var (command, answer) && command == ".")
        {
            Refusal = null;
            await writer.WriteLineAsync(answer);
            return true;
        }

        Mails.Enqueue(new FakeMail(from, to, mail.ToString()));
        if (DropAfterData)
        {
            DropAfterData = false;
            return false;
        }

        await writer.WriteLineAsync("250 queued as 1");
        return true;
    }

    private static string Between(string line) => line[(line.IndexOf('<', StringComparison.Ordinal) + 1)..line.IndexOf('>', StringComparison.Ordinal)];
}
