using System.Security.Cryptography;
using System.Text;
using AgentPlatform.Api;
using AgentPlatform.Identity.Login;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Http;

namespace AgentPlatform.Identity.Idempotency;

/// <summary>
/// A POST with an Idempotency-Key is carried out once per API key: a repetition gets the first answer again, the same key with
/// another request 422. While the first is being carried out the repetition waits for its answer, and gets 409 if that takes too long.
/// </summary>
internal sealed class IdempotentRequests(RequestDelegate next, IdempotencyStore store, TimeProvider clock)
{
    /// <summary>How long a repetition waits for the answer of the request that is being carried out.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    private const string ReplayedHeader = "Idempotent-Replayed";
    private const int MaxKeyLength = 255;
    private static readonly string[] KeptHeaders = ["Content-Type", "Location", "ETag"];

    public async Task InvokeAsync(HttpContext http)
    {
        if (!HttpMethods.IsPost(http.Request.Method) || http.IdempotencyKey() is not { } key || http.Features.Get<Caller>() is not { } caller)
        {
            await next(http);
            return;
        }

        if (key.Length is 0 or > MaxKeyLength || key.Any(c => c is < ' ' or > '~'))
        {
            await ProblemWriter.WriteAsync(http, Problem.BadRequest("invalid_idempotency_key", "Idempotency-Key must be 1 to 255 printable ASCII characters."));
            return;
        }

        var secret = SessionTokens.LastingPartOf(KeyAuthentication.SecretOf(http));
        switch (await BeginAsync(caller, secret, key, HashOf(http, secret), http.RequestAborted))
        {
            case IdempotentStart.Begun begun:
                await CarryOutAsync(http, caller, secret, key, begun.Attempt);
                break;
            case IdempotentStart.Replay replay:
                await ReplayAsync(http, replay.Answer);
                break;
            case IdempotentStart.Busy:
                await ProblemWriter.WriteAsync(http, Problem.Conflict("idempotency_in_progress", "A request with this Idempotency-Key is being carried out."));
                break;
            default:
                await ProblemWriter.WriteAsync(http, Problem.Unprocessable("idempotency_key_reused", "This Idempotency-Key was used for another request."));
                break;
        }
    }

    private async Task<IdempotentStart> BeginAsync(Caller caller, string secret, string key, byte[] requestHash, CancellationToken ct)
    {
        var since = clock.GetTimestamp();
        while (true)
        {
            var start = await store.BeginAsync(caller, secret, key, requestHash, ct);
            if (start is not IdempotentStart.Busy || clock.GetElapsedTime(since) >= Patience)
            {
                return start;
            }

            // Whichever host carries the other one out, its row tells when it is over.
            await Task.Delay(Look, clock, ct);
        }
    }

    private async Task CarryOutAsync(HttpContext http, Caller caller, string secret, string key, Guid attempt)
    {
        var client = http.Response.Body;
        using var buffer = new MemoryStream();
        http.Response.Body = buffer;
        var kept = false;
        try
        {
            await next(http);
            kept = http.Response.StatusCode is < 500 and not StatusCodes.Status429TooManyRequests;
            if (kept)
            {
                await store.CompleteAsync(caller, secret, key, attempt, AnswerOf(http, buffer), CancellationToken.None);
            }
        }
        finally
        {
            http.Response.Body = client;
            if (!kept)
            {
                // It failed or was given up: the client may try again with the same key.
                await store.ReleaseAsync(caller, key, attempt, CancellationToken.None);
            }
        }

        buffer.Position = 0;
        await buffer.CopyToAsync(client, http.RequestAborted);
    }

    private static async Task ReplayAsync(HttpContext http, StoredAnswer answer)
    {
        http.Response.StatusCode = answer.Status;
        http.Response.Headers[ReplayedHeader] = "true";
        foreach (var (name, value) in answer.Headers)
        {
            http.Response.Headers[name] = value;
        }

        await http.Response.Body.WriteAsync(answer.Body, http.RequestAborted);
    }

    private static StoredAnswer AnswerOf(HttpContext http, MemoryStream body) =>
        new(
            http.Response.StatusCode,
            KeptHeaders.Where(http.Response.Headers.ContainsKey).ToDictionary(name => name, name => http.Response.Headers[name].ToString(), StringComparer.Ordinal),
            body.ToArray());

    /// <summary>Keyed like the answer is sealed: a body may hold a password, which could be guessed by a plain hash of it.</summary>
    private static byte[] HashOf(HttpContext http, string secret)
    {
        using var hash = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, IdempotencyStore.KeyOf(secret, "idempotent request"u8));
        hash.AppendData(Encoding.UTF8.GetBytes($"{http.Request.Method} {http.Request.Path}{http.Request.QueryString}\n"));
        hash.AppendData(http.Features.Get<RequestBody>()?.Bytes ?? []);
        return hash.GetHashAndReset();
    }
}
