using System.Buffers.Text;
using System.Text;

namespace AgentPlatform.Kernel;

/// <summary>A page of rows, newest first, and where the next one begins (null on the last page).</summary>
public sealed record Page<T>(IReadOnlyList<T> Items, string? NextCursor)
{
    /// <summary>Cuts a page from rows fetched with one more than the limit.</summary>
    public static Page<T> Cut(IReadOnlyList<T> rows, PageRequest request, Func<T, Guid> id) =>
        rows.Count > request.Limit
            ? new([.. rows.Take(request.Limit)], Cursor.Encode(id(rows[request.Limit - 1])))
            : new(rows, null);
}

/// <summary>Which page: at most <see cref="Limit"/> rows (1 to 200, 50 unless told) older than <see cref="Before"/>.</summary>
public sealed record PageRequest(int Limit, Guid? Before)
{
    public const int DefaultLimit = 50;
    public const int MaxLimit = 200;

    /// <summary>One row more than the page holds tells whether another page follows.</summary>
    public int Fetch => Limit + 1;

    public static Result<PageRequest> Parse(int? limit, string? cursor)
    {
        if (limit is < 1 or > MaxLimit)
        {
            return Problem.Invalid("limit", $"Must be between 1 and {MaxLimit}.");
        }

        if (cursor is null)
        {
            return new PageRequest(limit ?? DefaultLimit, null);
        }

        return Cursor.TryDecode(cursor, out var before)
            ? new PageRequest(limit ?? DefaultLimit, before)
            : Problem.Invalid("cursor", "Is not a cursor this API gave out.");
    }
}

/// <summary>An opaque cursor over UUIDv7 ids, or over names.</summary>
public static class Cursor
{
    public static string Encode(Guid id) => Base64Url.EncodeToString(id.ToByteArray(bigEndian: true));

    public static string EncodeName(string name) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(name));

    /// <summary>No cursor is the beginning.</summary>
    public static bool TryDecodeName(string? text, out string? name)
    {
        var isOne = text is not null && Base64Url.IsValid(text);
        name = isOne ? Encoding.UTF8.GetString(Base64Url.DecodeFromChars(text)) : null;
        return isOne || text is null;
    }

    public static bool TryDecode(string text, out Guid id)
    {
        Span<byte> bytes = stackalloc byte[16];
        var ok = text.Length == 22 && Base64Url.TryDecodeFromChars(text, bytes, out var written) && written == 16;
        id = ok ? new Guid(bytes, bigEndian: true) : Guid.Empty;
        return ok;
    }
}
