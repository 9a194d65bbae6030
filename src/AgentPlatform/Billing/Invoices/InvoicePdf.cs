using System.Globalization;
using System.Text;
using System.Text.Json;

namespace AgentPlatform.Billing.Invoices;

/// <summary>
/// An invoice as one page of PDF, made anew from its row each time: the row never changes, so neither does the page. Written in the fonts every reader has,
/// which know Latin letters only; the row's data has the names as they are.
/// </summary>
internal static class InvoicePdf
{
    internal static byte[] Of(Invoice invoice)
    {
        var text = new StringBuilder("BT /F1 10 Tf 50 790 Td 14 TL\n");
        foreach (var line in Lines(invoice))
        {
            text.Append(CultureInfo.InvariantCulture, $"({Escaped(line)}) Tj T*\n");
        }

        return Document(text.Append("ET").ToString());
    }

    private static IEnumerable<string> Lines(Invoice i)
    {
        // A credit note holds the data of the invoice that it corrects.
        var data = i.Data.TryGetProperty("invoice", out var corrected) ? corrected : i.Data;
        var seller = data.GetProperty("seller");
        yield return i.Kind == "invoice" ? $"INVOICE {i.InvoiceNumber}" : $"CREDIT NOTE {i.InvoiceNumber} to invoice {i.Data.GetProperty("corrects").GetString()}";
        yield return $"Date: {i.InvoiceDate.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}";
        yield return "";
        foreach (var line in new[] { Text(seller, "name"), Text(seller, "address"), Text(seller, "state"), Text(seller, "gstin") is { } own ? $"GSTIN {own}" : null, "", "To:" }.OfType<string>())
        {
            yield return line;
        }

        foreach (var line in new[] { i.BuyerName, i.BuyerAddress, i.BuyerState, i.BuyerGstin is { } gstin ? $"GSTIN {gstin}" : null, "" }.OfType<string>().SelectMany(l => l.Split('\n')))
        {
            yield return line;
        }

        foreach (var line in data.GetProperty("lines").EnumerateArray())
        {
            yield return $"{Text(line, "description")}: {Money(line.GetProperty("amount").GetInt32(), i.Currency)}";
        }

        yield return "";
        yield return $"Subtotal: {Money(i.Subtotal, i.Currency)}";
        foreach (var (name, tax) in new[] { ("CGST", i.Cgst), ("SGST", i.Sgst), ("IGST", i.Igst) }.Where(t => t.Item2 != 0))
        {
            yield return $"{name}: {Money(tax, i.Currency)}";
        }

        yield return $"Total: {Money(i.GrandTotal, i.Currency)}";
    }

    private static string? Text(JsonElement at, string name) => at.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static string Money(int cents, string currency) => string.Create(CultureInfo.InvariantCulture, $"{currency} {cents / 100m:N2}");

    private static string Escaped(string text) => text.Replace(@"\", @"\\", StringComparison.Ordinal).Replace("(", @"\(", StringComparison.Ordinal).Replace(")", @"\)", StringComparison.Ordinal);

    private static byte[] Document(string content)
    {
        string[] objects =
        [
            "<< /Type /Catalog /Pages 2 0 R >>",
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
            $"<< /Length {Encoding.Latin1.GetByteCount(content)} >>\nstream\n{content}\nendstream",
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        ];
        var pdf = new StringBuilder("%PDF-1.4\n");
        var offsets = new List<int>();
        for (var i = 0; i < objects.Length; i++)
        {
            offsets.Add(pdf.Length);
            pdf.Append(CultureInfo.InvariantCulture, $"{i + 1} 0 obj\n{objects[i]}\nendobj\n");
        }

        var xref = pdf.Length;
        pdf.Append(CultureInfo.InvariantCulture, $"xref\n0 {objects.Length + 1}\n0000000000 65535 f \n");
        offsets.ForEach(offset => pdf.Append(CultureInfo.InvariantCulture, $"{offset:0000000000} 00000 n \n"));
        pdf.Append(CultureInfo.InvariantCulture, $"trailer\n<< /Size {objects.Length + 1} /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF\n");
        return Encoding.Latin1.GetBytes(pdf.ToString());
    }
}
