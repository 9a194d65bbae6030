using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace AgentPlatform.Api;

/// <summary>
/// Reads the body of a request once, within its limit, and refuses what no endpoint takes: other content types (415), too much
/// (413), bytes that are not UTF-8, and JSON that no database holds (400).
/// </summary>
internal sealed class BodyReader(RequestDelegate next, IOptions<ApiOptions> options)
{
    private const int MostDigits = 400;

    public async Task InvokeAsync(HttpContext http)
    {
        if (http.GetEndpoint() is null || HttpMethods.IsGet(http.Request.Method) || HttpMethods.IsHead(http.Request.Method))
        {
            await next(http);
            return;
        }

        var body = http.Request.ContentLength > options.Value.MaxBodyBytes ? null : await ReadAsync(http, options.Value.MaxBodyBytes);
        if (Refuse(http.Request, body) is { } problem)
        {
            await ProblemWriter.WriteAsync(http, problem);
            return;
        }

        body = WithoutNul(body!);
        http.Request.Body = new MemoryStream(body, writable: false);
        http.Request.ContentLength = body.Length;
        http.Features.Set(new RequestBody(body));
        await next(http);
    }

    private static Problem? Refuse(HttpRequest request, byte[]? body) => body switch
    {
        null => Problem.TooLarge(),
        { Length: 0 } => null,
        _ when !IsJson(request) => Problem.UnsupportedMediaType("Send application/json, in UTF-8."),
        _ when !Utf8.IsValid(body) => Problem.BadRequest("invalid_utf8", "The body is not valid UTF-8."),
        _ => Unstorable(body) is { } what ? Problem.BadRequest("invalid_json", "The body is not JSON that can be kept.", what) : null,
    };

    /// <summary>What RFC 8259 lets JSON say though neither text nor a number is meant by it; null when there is none.</summary>
    private static string? Unstorable(byte[] body)
    {
        var reader = new Utf8JsonReader(body);
        try
        {
            while (reader.Read())
            {
                if (reader.TokenType == JsonTokenType.Number && !IsInRange(reader))
                {
                    return $"The number at byte {reader.TokenStartIndex} is out of range.";
                }

                if (reader.ValueIsEscaped)
                {
                    _ = reader.GetString();
                }
            }
        }
        catch (JsonException)
        {
            // The endpoint says where.
        }
        catch (InvalidOperationException)
        {
            return $"The text at byte {reader.TokenStartIndex} has half of a surrogate pair.";
        }

        return null;
    }

    /// <summary>Nothing keeps U+0000: dropped here, it does not make up the length of a text that must not be empty.</summary>
    private static byte[] WithoutNul(byte[] body) =>
        body.AsSpan().IndexOf("\\u0000"u8) < 0 ? body : Encoding.UTF8.GetBytes(Kernel.Json.WithoutNul(Encoding.UTF8.GetString(body)));

    private static bool IsInRange(Utf8JsonReader number)
    {
        var text = number.ValueSpan;
        var exponent = text.IndexOfAny("eE"u8);
        return text.Length <= MostDigits && number.TryGetDouble(out var value) && double.IsFinite(value)
            && (exponent < 0 || (int.TryParse(text[(exponent + 1)..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var power) && Math.Abs((long)power) <= MostDigits));
    }

    private static bool IsJson(HttpRequest request) =>
        MediaTypeHeaderValue.TryParse(request.ContentType, out var type)
        && (type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase) || type.Suffix.Equals("json", StringComparison.OrdinalIgnoreCase))
        && (!type.Charset.HasValue || type.Charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase) || type.Charset.Equals("\"utf-8\"", StringComparison.OrdinalIgnoreCase));

    private static async Task<byte[]?> ReadAsync(HttpContext http, int limit)
    {
        using var buffer = new MemoryStream();
        var chunk = new byte[16 * 1024];
        int read;
        while ((read = await http.Request.Body.ReadAsync(chunk, http.RequestAborted)) > 0)
        {
            if (buffer.Length + read > limit)
            {
                return null;
            }

            buffer.Write(chunk, 0, read);
        }

        return buffer.ToArray();
    }
}

/// <summary>The bytes of a request's body, already read.</summary>
internal sealed record RequestBody(byte[] Bytes);
