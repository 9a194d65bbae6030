using AgentPlatform.Channels.Intake;
using AgentPlatform.Api;
using AgentPlatform.Channels.Custom;
using AgentPlatform.Channels.Email;
using AgentPlatform.Channels.Twilio;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Http;

namespace AgentPlatform.Channels;

/// <summary>What the webhook triggers call: one method an endpoint, from the raw request to the answer.</summary>
public sealed class WebhookEndpoints
{
    private readonly InboundIntake _intake;
    private readonly DeliveryReports _reports;
    private readonly PublicAddress _address;
    private readonly TwilioInbound _twilio;
    private readonly EmailInbound _email;
    private readonly CustomInbound _custom;
    private readonly ForegroundLoad _load;

    internal WebhookEndpoints(
        InboundIntake intake, DeliveryReports reports, PublicAddress address, TwilioInbound twilio, EmailInbound email, CustomInbound custom, ForegroundLoad load) =>
        (_intake, _reports, _address, _twilio, _email, _custom, _load) = (intake, reports, address, twilio, email, custom, load);

    /// <summary><c>POST /webhooks/twilio/{token}/sms</c></summary>
    public Task<IResult> TwilioSmsAsync(HttpRequest request, string token, CancellationToken ct) => ReceiveAsync(_twilio, request, token, ct);

    /// <summary><c>POST /webhooks/email/{token}</c></summary>
    public Task<IResult> EmailAsync(HttpRequest request, string token, CancellationToken ct) => ReceiveAsync(_email, request, token, ct);

    /// <summary><c>POST /webhooks/custom/{token}</c></summary>
    public Task<IResult> CustomAsync(HttpRequest request, string token, CancellationToken ct) => ReceiveAsync(_custom, request, token, ct);

    /// <summary><c>POST /webhooks/twilio/{token}/status</c></summary>
    public async Task<IResult> TwilioStatusAsync(HttpRequest request, string token, CancellationToken ct)
    {
        var call = await ReadAsync(_twilio, request, ct);
        if (!call.IsOk)
        {
            return call.Problem.ToHttp();
        }

        return Guid.TryParse(token, out var parsed)
            ? (await _reports.ReceiveTwilioAsync(parsed, call.Value, ct)).Match(_ => Results.NoContent(), problem => problem.ToHttp())
            : Problem.NotFound("channel").ToHttp();
    }

    private async Task<IResult> ReceiveAsync(IInboundAdapter adapter, HttpRequest request, string token, CancellationToken ct)
    {
        if (!Guid.TryParse(token, out var parsed))
        {
            return Problem.NotFound("channel").ToHttp();
        }

        var call = await ReadAsync(adapter, request, ct);
        if (!call.IsOk)
        {
            return call.Problem.ToHttp();
        }

        // One whose body trickles in waits for itself: it must not hold work back.
        using var caller = _load.Enter();
        return (await _intake.ReceiveAsync(adapter, parsed, call.Value, ct)).Match(adapter.Answer, problem => problem.ToHttp());
    }

    private async Task<Result<WebhookCall>> ReadAsync(IInboundAdapter adapter, HttpRequest request, CancellationToken ct)
    {
        var call = new WebhookCall(_address.UrlOf(request), request.Headers, request.Query, request.ContentType, []) { Peer = request.HttpContext.Connection.RemoteIpAddress };
        if (!adapter.Accepts(call))
        {
            return Problem.UnsupportedMediaType($"This endpoint does not take {request.ContentType ?? "a body without a content type"}.");
        }

        if (request.ContentLength > adapter.MaxBytes)
        {
            return Problem.TooLarge();
        }

        // The declared length may be missing or untrue, so what arrives is counted.
        var body = new MemoryStream();
        var buffer = new byte[16 * 1024];
        int read;
        while ((read = await request.Body.ReadAsync(buffer, ct)) > 0)
        {
            if (body.Length + read > adapter.MaxBytes)
            {
                return Problem.TooLarge();
            }

            body.Write(buffer, 0, read);
        }

        return call with { Body = body.ToArray() };
    }
}
