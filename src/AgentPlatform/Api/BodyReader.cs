using System.Text.Unicode;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace AgentPlatform.Api;

/// <summary>
/// Reads the body of a request once, within its limit, and refuses what no endpoint takes: other content types (415), too much
/// (413), bytes that are not UTF-8 (400).
/// </summary>
internal sealed class BodyReader(RequestDelegate next, IOptions<ApiOptions> options)
{
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

        http.Request.Body = new MemoryStream(body!, writable: false);
        http.Request.ContentLength = body!.Length;
        http.Features.Set(new RequestBody(body));
        await next(http);
    }

    private static Problem? Refuse(HttpRequest request, byte[]? body) => body switch
    {
        null => Problem.TooLarge(),
        { Length: 0 } => null,
        _ when !IsJson(request) => Problem.UnsupportedMediaType("Send application/json, in UTF-8."),
        _ when !Utf8.IsValid(body) => Problem.BadRequest("invalid_utf8", "The body is not valid UTF-8."),
        _ => null,
    };

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
