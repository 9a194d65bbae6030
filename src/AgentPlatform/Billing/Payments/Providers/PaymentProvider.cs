using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Http;

namespace AgentPlatform.Billing.Payments.Providers;

/// <summary>What a provider says of a payment: a closed set.</summary>
internal abstract record PaymentAnswer
{
    private PaymentAnswer()
    {
    }

    /// <summary>It is there, and neither paid nor lost. <paramref name="Processing"/>: it was paid, and the money is on its way.</summary>
    internal sealed record Open(string Ref, string? PayUrl, DateTimeOffset? ExpiresAt, bool Processing) : PaymentAnswer;

    /// <summary>What was paid, in minor units, and how much of that was given back. Customer and method: what may be asked again.</summary>
    internal sealed record Paid(string Ref, string TransactionId, long Total, string Currency, string? Method, string? CustomerId, string? MethodId, long RefundedTotal) : PaymentAnswer;

    /// <summary>For good.</summary>
    internal sealed record Refused(string Code, string Reason) : PaymentAnswer;

    /// <summary>The provider knows of no such payment.</summary>
    internal sealed record NotThere : PaymentAnswer;

    /// <summary>The provider was surely not reached, or does not let us in: nothing is known, and nothing has happened.</summary>
    internal sealed record Unavailable(string Error) : PaymentAnswer;

    /// <summary>The provider may have taken it.</summary>
    internal sealed record Unknown(string Error) : PaymentAnswer;
}

/// <summary>What a provider says of a refund: a closed set.</summary>
internal abstract record RefundAnswer
{
    private RefundAnswer()
    {
    }

    internal sealed record Done(string Ref) : RefundAnswer;

    internal sealed record Open(string Ref) : RefundAnswer;

    internal sealed record Refused(string Error) : RefundAnswer;

    internal sealed record NotThere : RefundAnswer;

    internal sealed record Unavailable(string Error) : RefundAnswer;

    internal sealed record Unknown(string Error) : RefundAnswer;
}

/// <summary>A refund as its provider is asked for it. The key is another for each attempt that surely did not happen.</summary>
internal sealed record RefundCall(Guid Id, int Attempt, string MerchantRefundId, Payment Payment);

/// <summary>Takes money. Whatever it answers is all that is believed: notices only say that there is something to ask.</summary>
internal interface IPaymentProvider
{
    string Name { get; }

    bool IsConfigured { get; }

    /// <summary>Null: any.</summary>
    string? Currency { get; }

    /// <summary>Opens a payment page, or charges the payment's saved method.</summary>
    Task<PaymentAnswer> BeginAsync(Payment payment, CancellationToken ct);

    Task<PaymentAnswer> AskAsync(Payment payment, CancellationToken ct);

    Task<RefundAnswer> RefundAsync(RefundCall refund, CancellationToken ct);

    Task<RefundAnswer> AskRefundAsync(RefundCall refund, CancellationToken ct);

    /// <summary>Verifies a notice and reads which payment it is about; null: about none of ours.</summary>
    Result<string?> ReadNotice(IHeaderDictionary headers, string body);
}

/// <summary>The providers that are set up.</summary>
internal sealed class PaymentProviders(IEnumerable<IPaymentProvider> providers)
{
    internal static readonly string[] Names = ["stripe", "phonepe"];

    private readonly Dictionary<string, IPaymentProvider> _providers = providers.ToDictionary(p => p.Name, StringComparer.Ordinal);

    internal IPaymentProvider Of(string name) => _providers[name];

    /// <summary>Null when it is set up and takes that currency.</summary>
    internal Problem? Check(string name, string currency) => Of(name) switch
    {
        { IsConfigured: false } => Problem.Conflict("provider_not_configured", $"Payments by {name} are not set up."),
        { Currency: { } only } when only != currency => Problem.Conflict("other_currency", $"{name} takes {only}, and this is sold in {currency}."),
        _ => null,
    };
}
