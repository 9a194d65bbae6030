using AgentPlatform.Console.Shell;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace AgentPlatform.Console.Sessions;

/// <summary>No form is read without the token this console put into it: every method that changes something is checked here, at one place.</summary>
internal sealed class FormGuard(RequestDelegate next, IAntiforgery antiforgery)
{
    private const long MaxFormBytes = 64 * 1024;

    public async Task InvokeAsync(HttpContext http)
    {
        var method = http.Request.Method;
        if (HttpMethods.IsGet(method) || HttpMethods.IsHead(method))
        {
            await next(http);
            return;
        }

        await (await RefuseAsync(http) is { } refusal ? refusal.ExecuteAsync(http) : next(http));
    }

    private async Task<IResult?> RefuseAsync(HttpContext http)
    {
        if (http.Request.ContentLength > MaxFormBytes)
        {
            return Pages.Problem(413, "Too long", "This form holds more than 64 KiB.");
        }

        // For a body that does not tell its length. Above, the server still reads what it refuses, so that its sender sees the answer.
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = MaxFormBytes;
        }

        try
        {
            await antiforgery.ValidateRequestAsync(http);
            return null;
        }
        catch (AntiforgeryValidationException)
        {
            return Pages.Problem(400, "This form has expired", "It was not opened in this session of yours. Go back, reload the page, and send it again.");
        }
        catch (InvalidDataException)
        {
            return Pages.Problem(400, "Not a form", "The request could not be read as a form.");
        }
    }
}
