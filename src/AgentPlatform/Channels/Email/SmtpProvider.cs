using System.Globalization;
using System.Net.Mail;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using AgentPlatform.Kernel;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Channels.Email;

/// <summary>
/// Mail by SMTP. A mail server cannot be asked about a mail afterwards, so an answer lost after the text was handed over stays unknown and
/// is not sent again: better one mail an operator looks after than one a person gets twice.
/// </summary>
internal sealed class SmtpProvider(IOptions<EmailOptions> options, TimeProvider clock, ILogger<SmtpProvider> log) : IMessageProvider
{
    public string Name => "smtp";

    public TimeSpan Patience => TimeSpan.FromSeconds(options.Value.TimeoutSeconds * 3);

    public bool CanBeAsked => false;

    public bool Serves(OutboundChannel channel) => channel.ChannelType == ChannelTypes.Email && options.Value.Smtp is { Length: > 0 } && From(channel) is not null;

    public Task<SendOutcome> ProbeAsync(OutboundMessage message, CancellationToken ct) =>
        Task.FromResult<SendOutcome>(new SendOutcome.Unknown("A mail server cannot be asked about a mail."));

    public async Task<SendOutcome> SendAsync(OutboundMessage message, CancellationToken ct)
    {
        if (From(message.Channel) is not { } from || Server() is not var (host, port))
        {
            return new SendOutcome.Rejected("not_configured", "There is no mail server or no sender.");
        }

        if (!MailAddress.TryCreate(message.To, out var to) || !IsPlain(to.Address))
        {
            return new SendOutcome.Rejected("bad_address", "The recipient is not an e-mail address.");
        }

        var mail = MailText.Compose(message, from, to, clock.GetUtcNow());
        var handedOver = false;
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(ct);
        timeout.CancelAfter(Patience);
        try
        {
            await using var session = await SmtpSession.OpenAsync(host, port, options.Value, timeout.Token);
            await session.EnvelopeAsync(from.Address, to.Address, timeout.Token);
            handedOver = true;
            var answer = await session.DataAsync(mail.Text, timeout.Token);
            return new SendOutcome.Accepted(mail.MessageId, Json.Of(new { smtp = answer.Text }));
        }
        catch (SmtpRefusalException e)
        {
            // 5yz is for ever, 4yz for now (RFC 5321 4.2.1); either way the server has not taken the mail.
            return e.Code >= 500 ? new SendOutcome.Rejected($"smtp_{e.Code}", e.Message) : new SendOutcome.NotSent($"The mail server answered {e.Code}.");
        }
        catch (Exception e) when (e is IOException or SocketException or AuthenticationException || (e is OperationCanceledException && !ct.IsCancellationRequested))
        {
            Log.Unreachable(log, Name, message.Id, e.GetType().Name);
            return handedOver
                ? new SendOutcome.Unknown("The connection was lost after the mail was handed over.")
                : new SendOutcome.NotSent($"The mail server could not be reached: {e.GetType().Name}.");
        }
    }

    private MailAddress? From(OutboundChannel channel) =>
        MailAddress.TryCreate(channel.Provider("from") ?? options.Value.From, out var from) && IsPlain(from.Address) ? from : null;

    private (string Host, int Port)? Server() =>
        options.Value.Smtp?.Split(':') switch
        {
            [{ Length: > 0 } host] => (host, 25),
            [{ Length: > 0 } host, var port] when int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) => (host, number),
            _ => null,
        };

    // Without SMTPUTF8 an address is ASCII, and nothing that ends the command may be in it.
    private static bool IsPlain(string address) => address.All(c => c is > ' ' and < (char)127 and not '<' and not '>');
}
