using AgentPlatform.Billing.Payments;
using AgentPlatform.Channels;

namespace AgentPlatform.Functions;

/// <summary>What providers call. The channel's token in the path says whose message it is; its signature says that it is genuine.</summary>
public sealed class WebhookFunctions(WebhookEndpoints webhooks)
{
    [Function("TwilioSms")]
    public Task<IResult> TwilioSmsAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "webhooks/twilio/{token}/sms")] HttpRequest request, string token, CancellationToken ct) =>
        webhooks.TwilioSmsAsync(request, token, ct);

    [Function("TwilioStatus")]
    public Task<IResult> TwilioStatusAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "webhooks/twilio/{token}/status")] HttpRequest request, string token, CancellationToken ct) =>
        webhooks.TwilioStatusAsync(request, token, ct);

    [Function("Email")]
    public Task<IResult> EmailAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "webhooks/email/{token}")] HttpRequest request, string token, CancellationToken ct) =>
        webhooks.EmailAsync(request, token, ct);

    [Function("Custom")]
    public Task<IResult> CustomAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "webhooks/custom/{token}")] HttpRequest request, string token, CancellationToken ct) =>
        webhooks.CustomAsync(request, token, ct);
}

/// <summary>What payment providers call when something has become of a payment; the signature says that it is they.</summary>
public sealed class PaymentFunctions(PaymentWebhooks webhooks)
{
    [Function("StripeEvent")]
    public Task<IResult> StripeAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "webhooks/stripe")] HttpRequest request, CancellationToken ct) =>
        webhooks.StripeAsync(request, ct);

    [Function("PhonePeCallback")]
    public Task<IResult> PhonePeAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "webhooks/phonepe")] HttpRequest request, CancellationToken ct) =>
        webhooks.PhonePeAsync(request, ct);
}
