using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Channels.Custom;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Execution;

/// <summary>An answer, or why there is none.</summary>
internal sealed record EndpointAnswer(int Status, JsonElement Body)
{
    /// <summary>The body is JSON; any other is <c>{"text": …}</c>.</summary>
    internal bool IsJson { get; init; } = true;

    internal ActionFailure? Failure { get; init; }

    internal static EndpointAnswer Failed(ActionFailure failure) => new(0, Parameters.None) { Failure = failure };
}

/// <summary>Makes one request to an address that a tenant has configured: to public addresses only, in its time, and reading only so much of the answer.</summary>
internal sealed partial class EndpointClient(IHttpClientFactory clients)
{
    internal const string ClientName = "AgentPlatform.Actions";

    /// <summary>More of a response than this is not read: results are shown to people and stored in a row.</summary>
    private const int MaxResponseBytes = 256 * 1024;

    private static readonly string[] Forbidden = ["host", "content-length", "transfer-encoding", "connection", "idempotency-key"];

    internal async Task<EndpointAnswer> SendAsync(Func<HttpRequestMessage> make, int timeoutSeconds, CancellationToken ct)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(timeoutSeconds));
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, timeout.Token);
        try
        {
            using var request = make();
            using var client = clients.CreateClient(ClientName);
            client.Timeout = Timeout.InfiniteTimeSpan;
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, both.Token);
            return await ReadAsync(response, both.Token);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            return EndpointAnswer.Failed(new(ErrorKind.Timeout, $"No answer within {timeoutSeconds} s."));
        }
        catch (OperationCanceledException e) when (e.InnerException is TimeoutException && !both.IsCancellationRequested)
        {
            // The handler's own limit on making a connection: no request has left.
            return EndpointAnswer.Failed(new(ErrorKind.NetworkError, e.InnerException.Message) { Code = nameof(HttpRequestError.ConnectionError), StackTrace = e.StackTrace });
        }
        catch (Exception e) when (e is TemplateException or SecretException)
        {
            return EndpointAnswer.Failed(new(ErrorKind.Configuration, e.Message) { StackTrace = e.StackTrace });
        }
        catch (HttpRequestException e) when (e.InnerException is ForbiddenTargetException)
        {
            return EndpointAnswer.Failed(new(ErrorKind.Configuration, e.InnerException.Message));
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return EndpointAnswer.Failed(new(ErrorKind.NetworkError, e.Message) { Code = (e as HttpRequestException)?.HttpRequestError.ToString(), StackTrace = e.StackTrace });
        }
    }

    /// <summary>The tenant's own headers, but those that are the connection's.</summary>
    internal static void AddHeaders(HttpRequestMessage request, JsonElement headers, JsonElement data)
    {
        foreach (var header in Json.Read<Dictionary<string, string>>(headers))
        {
            if (!Forbidden.Contains(header.Key, StringComparer.OrdinalIgnoreCase))
            {
                request.Headers.TryAddWithoutValidation(header.Key, Templates.Header(header.Value, data));
            }
        }
    }

    /// <summary>An address with a hole in it would ask about somebody else, or about everybody: what of it is not known. Null when all is.</summary>
    internal static string? Unknown(string endpoint, JsonElement data) => Expression().Matches(endpoint)
        .Select(match => match.Groups["path"].Value)
        .FirstOrDefault(path => JsonPath.Find(data, path) is not { ValueKind: not JsonValueKind.Null } value || value.ToString().Length == 0);

    [GeneratedRegex(@"\{\{\s*(?<path>[A-Za-z_][\w.]*)\s*\}\}", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Expression();

    /// <summary>What a status outside 2xx is: an error that may pass, or a refusal.</summary>
    internal static string KindOf(int status) => status is 408 or 425 or 429 or >= 500 ? ErrorKind.ApiError : ErrorKind.ApiRejected;

    private static async Task<EndpointAnswer> ReadAsync(HttpResponseMessage response, CancellationToken ct)
    {
        var status = (int)response.StatusCode;
        await using var stream = await response.Content.ReadAsStreamAsync(ct);
        var buffer = new byte[MaxResponseBytes];
        var read = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, ct);
        try
        {
            return new(status, JsonSerializer.Deserialize<JsonElement>(buffer.AsSpan(0, read)));
        }
        catch (JsonException)
        {
            return new(status, Json.Of(new { text = Encoding.UTF8.GetString(buffer, 0, read) })) { IsJson = false };
        }
    }
}
