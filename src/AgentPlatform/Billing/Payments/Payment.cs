using System.Text.Json;
using AgentPlatform.Billing.Subscriptions;
using AgentPlatform.Kernel;

namespace AgentPlatform.Billing.Payments;

/// <summary>
/// A payment: amount without tax, GST and total, in minor units. Status: pending, success, failed, refunded. Call status: idle (not with its provider),
/// calling (perhaps there), open (there). While it is pending and has a <see cref="PayUrl"/>, somebody may pay there until <see cref="ExpiresAt"/>.
/// </summary>
public sealed record Payment
{
    public Guid Id { get; init; }
    public Guid? SubscriptionId { get; init; }
    public string Purpose { get; init; } = "";
    public string Description { get; init; } = "";
    public JsonElement Item { get; init; }
    public string Provider { get; init; } = "";
    public string MerchantTransactionId { get; init; } = "";
    public string? TransactionId { get; init; }
    public string Currency { get; init; } = "";
    public int Amount { get; init; }
    public int GstPercent { get; init; }
    public int Cgst { get; init; }
    public int Sgst { get; init; }
    public int Igst { get; init; }
    public int GstAmount { get; init; }
    public int Total { get; init; }
    public string Status { get; init; } = "";
    public string CallStatus { get; init; } = "";
    public int Attempts { get; init; }
    public string? PayUrl { get; init; }
    public DateTimeOffset? ExpiresAt { get; init; }
    public string? PaymentMethod { get; init; }
    public string? FailureCode { get; init; }
    public string? FailureReason { get; init; }

    /// <summary>Why it is not settled yet, when its provider cannot be asked.</summary>
    public string? LastError { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? CompletedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal string? ProviderRef { get; init; }
    internal string? CustomerId { get; init; }
    internal string? MethodId { get; init; }
    internal DateTimeOffset? CalledAt { get; init; }

    internal PaymentItem What => Json.Read<PaymentItem>(Item);
}

/// <summary>What a payment is for: lines for the invoice, and the terms by which it is fulfilled.</summary>
internal sealed record PaymentItem(IReadOnlyList<PaymentLine> Lines)
{
    /// <summary>Of a first payment.</summary>
    public SubscriptionTerms? Terms { get; init; }

    /// <summary>The end of the period that was current when it was ordered.</summary>
    public DateTimeOffset? PeriodEnd { get; init; }

    public SoldPack? Pack { get; init; }

    public SoldAddOn? AddOn { get; init; }

    public SoldOverage? Overage { get; init; }
}

internal sealed record PaymentLine(string Description, int Amount);

/// <summary>Valid for so many days from its payment, or until the period's end.</summary>
internal sealed record SoldPack(Guid Id, int? Executions, int? ValidForDays);

/// <summary>Price and slots of one.</summary>
internal sealed record SoldAddOn(Guid Id, int Quantity, int AdditionalAgents, int PriceCents);

internal sealed record SoldOverage(Guid UsageRecordId, int Executions, int Cents);
