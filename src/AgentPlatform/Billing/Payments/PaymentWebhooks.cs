using System.Text;
using AgentPlatform.Api;
using AgentPlatform.Billing.Payments.Providers;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Http;

namespace AgentPlatform.Billing.Payments;

/// <summary>
/// What the webhook triggers call. A genuine notice makes its payment be asked about at its provider, and that is all: notices may come twice, late, and in
/// any order, and what they say is not believed.
/// </summary>
public sealed class PaymentWebhooks
{
    private const int MaxBytes = 1024 * 1024;

    private readonly PaymentProviders _providers;
    private readonly Database _database;
    private readonly WorkQueue _work;
    private readonly PaymentStore _payments;

    internal PaymentWebhooks(PaymentProviders providers, Database database, WorkQueue work, PaymentStore payments) =>
        (_providers, _database, _work, _payments) = (providers, database, work, payments);

    /// <summary><c>POST /webhooks/stripe</c></summary>
    public Task<IResult> StripeAsync(HttpRequest request, CancellationToken ct) => ReceiveAsync("stripe", request, ct);

    /// <summary><c>POST /webhooks/phonepe</c></summary>
    public Task<IResult> PhonePeAsync(HttpRequest request, CancellationToken ct) => ReceiveAsync("phonepe", request, ct);

    private async Task<IResult> ReceiveAsync(string provider, HttpRequest request, CancellationToken ct)
    {
        if (await ReadAsync(request.Body, ct) is not { } body)
        {
            return Problem.TooLarge().ToHttp();
        }

        var notice = _providers.Of(provider).ReadNotice(request.Headers, body);
        if (!notice.IsOk)
        {
            return notice.Problem.ToHttp();
        }

        return notice.Value is null || await AskAboutAsync(provider, notice.Value, ct)
            ? Results.Ok()
            : new Problem("busy", 503, "The payment is being asked about; repeat the notice.") { RetryAfter = TimeSpan.FromSeconds(10) }.ToHttp();
    }

    /// <summary>False when the payment is being asked about at this moment, perhaps from before what the notice tells of: the provider has to repeat it.</summary>
    private async Task<bool> AskAboutAsync(string provider, string merchantTransactionId, CancellationToken ct)
    {
        await using var tx = _database.BeginGateway(merchantTransactionId);
        if (await _payments.OwnerAsync(tx, provider, merchantTransactionId, ct) is not { } owner)
        {
            // Of another system at the same provider, or of a workspace that was deleted.
            return true;
        }

        tx.Enter(Actor.System(owner.TenantId));
        var asked = await _work.ReviveAsync(tx, new NewWork(PlacePayment.WorkKind, owner.Id.ToString(), new PaymentWork(owner.Id)) { Priority = 20 }, ct);
        await tx.CommitAsync(ct);
        return asked;
    }

    private static async Task<string?> ReadAsync(Stream stream, CancellationToken ct)
    {
        var body = new MemoryStream();
        var buffer = new byte[16 * 1024];
        int read;
        while ((read = await stream.ReadAsync(buffer, ct)) > 0)
        {
            if (body.Length + read > MaxBytes)
            {
                return null;
            }

            body.Write(buffer, 0, read);
        }

        return Encoding.UTF8.GetString(body.GetBuffer(), 0, (int)body.Length);
    }
}
