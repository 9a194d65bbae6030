using System.Globalization;
using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Billing.Invoices;

/// <summary>
/// An invoice, or a credit note that corrects one. It is never changed, and stays when its workspace goes. Money is in minor units; what it was made out of,
/// lines, seller and payment, is its data.
/// </summary>
public sealed record Invoice
{
    public Guid Id { get; init; }
    public string Kind { get; init; } = "";
    public Guid PaymentId { get; init; }
    public Guid? CorrectsId { get; init; }
    public string InvoiceNumber { get; init; } = "";
    public string FiscalYear { get; init; } = "";
    public DateTimeOffset InvoiceDate { get; init; }
    public string BuyerName { get; init; } = "";
    public string? BuyerGstin { get; init; }
    public string? BuyerAddress { get; init; }
    public string? BuyerState { get; init; }
    public string Currency { get; init; } = "";
    public int Subtotal { get; init; }
    public int Cgst { get; init; }
    public int Sgst { get; init; }
    public int Igst { get; init; }
    public int TotalGst { get; init; }
    public int GrandTotal { get; init; }
    public JsonElement Data { get; init; }
    public string PdfUrl { get; init; } = "";
    public DateTimeOffset CreatedAt { get; init; }
}

internal static class FiscalYears
{
    /// <summary>Pure. The year that begins with April where the seller is: <c>26-27</c>.</summary>
    internal static string Of(DateTimeOffset at, string timeZone)
    {
        var local = TimeZoneInfo.ConvertTime(at, TimeZoneInfo.FindSystemTimeZoneById(timeZone));
        var begun = local.Month >= 4 ? local.Year : local.Year - 1;
        return string.Create(CultureInfo.InvariantCulture, $"{begun % 100:00}-{(begun + 1) % 100:00}");
    }
}

/// <summary>Reads invoices, also those of workspaces that are gone.</summary>
public sealed class InvoiceArchive(Database database)
{
    /// <summary>All of a workspace, which need not exist any more, oldest first.</summary>
    public async Task<IReadOnlyList<Invoice>> OfAsync(Guid tenantId, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(tenantId));
        return [.. (await tx.QueryAsync<Invoice>(Sql.List, [tenantId, null, int.MaxValue], ct)).Reverse()];
    }

    internal async Task<Page<Invoice>> ListAsync(Transaction tx, PageRequest page, CancellationToken ct) =>
        Page<Invoice>.Cut(await tx.QueryAsync<Invoice>(Sql.List, [tx.TenantId, page.Before, page.Fetch], ct), page, i => i.Id);

    internal Task<Invoice?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Invoice>(Sql.Find, [tx.TenantId, id], ct);

    private static class Sql
    {
        internal const string List = "SELECT * FROM billing.invoices WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3";

        internal const string Find = "SELECT * FROM billing.invoices WHERE tenant_id = $1 AND id = $2";
    }
}
