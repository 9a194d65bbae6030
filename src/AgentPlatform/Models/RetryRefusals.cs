using System.Net;

namespace AgentPlatform.Models;

/// <summary>
/// Asks again, twice at most, when a provider refuses for the moment (429, 500, 502, 503, 504, 529): a refused call costs nothing. It waits
/// as long as the provider says, or a second and then two; a call whose connection broke may have been paid for, and is not repeated.
/// </summary>
internal sealed class RetryRefusals(TimeProvider clock) : DelegatingHandler
{
    private const int Tries = 3;

    /// <summary>Longer than this nobody who waits for an answer is kept: the next model of the chain may be free.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken ct)
    {
        if (request.Content is { } content)
        {
            await content.LoadIntoBufferAsync(ct);
        }

        for (var attempt = 1; ; attempt++)
        {
            var response = await base.SendAsync(request, ct);
            var wait = Wait(response, attempt);
            if (attempt == Tries || !IsMomentary(response.StatusCode) || wait > Patience)
            {
                return response;
            }

            response.Dispose();
            await Task.Delay(wait, clock, ct);
        }
    }

    internal static bool IsMomentary(HttpStatusCode status) => (int)status is 429 or 500 or 502 or 503 or 504 or 529;

    private TimeSpan Wait(HttpResponseMessage response, int attempt) => response.Headers.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } => date > clock.GetUtcNow() ? date - clock.GetUtcNow() : TimeSpan.Zero,
        _ => TimeSpan.FromSeconds(attempt),
    };
}
