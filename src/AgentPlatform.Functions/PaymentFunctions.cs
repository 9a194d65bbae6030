using AgentPlatform.Billing.Payments;

namespace AgentPlatform.Functions;

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
