using System.Text.RegularExpressions;

namespace AgentPlatform.Billing;

/// <summary>The tax on a price, in whole paise: its parts add up to it exactly.</summary>
internal sealed record GstSplit(int Percent, int Cgst, int Sgst, int Igst)
{
    internal static readonly GstSplit None = new(0, 0, 0, 0);

    internal int Total => Cgst + Sgst + Igst;
}

internal static partial class Gst
{
    internal static bool IsGstin(string text) => Gstin().IsMatch(text);

    /// <summary>
    /// Pure. A registered seller taxes what is sold in rupees: CGST and SGST for a buyer in its own state, IGST for one elsewhere. A buyer whose state is
    /// not known is taken to be where the seller is, as the law does with a buyer without an address.
    /// </summary>
    internal static GstSplit Of(int amount, string currency, string? buyerState, BillingOptions seller)
    {
        if (seller.SellerGstin is null || currency != "INR")
        {
            return GstSplit.None;
        }

        var tax = (int)decimal.Round((decimal)amount * seller.GstPercent / 100, MidpointRounding.AwayFromZero);
        return buyerState is null || string.Equals(buyerState.Trim(), seller.SellerState!.Trim(), StringComparison.OrdinalIgnoreCase)
            ? new(seller.GstPercent, tax / 2, tax - (tax / 2), 0)
            : new(seller.GstPercent, 0, 0, tax);
    }

    [GeneratedRegex("^[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z]Z[0-9A-Z]$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Gstin();
}
