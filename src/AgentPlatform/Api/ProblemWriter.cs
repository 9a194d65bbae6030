using System.ComponentModel;
using System.Globalization;
using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Api;

/// <summary>Gives every refusal and every failure of the API one form: RFC 9457 problem details with a stable code.</summary>
internal sealed class ProblemWriter(RequestDelegate next, ILogger<ProblemWriter> log)
{
    public async Task InvokeAsync(HttpContext http)
    {
        try
        {
            await next(http);
            if (!http.Response.HasStarted && ForBareStatus(http) is { } problem)
            {
                await WriteAsync(http, problem);
            }
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // Nobody is there to read an answer; the log keeps the status that proxies use for it.
            http.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
        }
        catch (Exception e) when (!http.Response.HasStarted)
        {
            // The boundary of the API: a bug or a dead dependency becomes a problem without its inner detail.
            await WriteAsync(http, For(e, log));
        }
    }

    internal static Task WriteAsync(HttpContext http, Problem problem)
    {
        http.Features.Set(problem);
        var response = http.Response;
        response.StatusCode = problem.Status;
        response.ContentType = "application/problem+json";
        response.Headers.CacheControl = "no-store";
        if (problem.RetryAfter is { } wait)
        {
            response.Headers.RetryAfter = Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        }

        if (problem.Status == StatusCodes.Status401Unauthorized)
        {
            response.Headers.WWWAuthenticate = "Bearer";
        }

        var body = new ProblemBody(
            $"urn:agentplatform:problem:{problem.Code}", problem.Title, problem.Status, problem.Code, problem.Detail, http.Request.Path, RequestTrace.IdOf(http), problem.Errors);
        return JsonSerializer.SerializeAsync(response.Body, body, ProblemBody.Json, http.RequestAborted);
    }

    private static Problem? ForBareStatus(HttpContext http) => http.Response.StatusCode switch
    {
        StatusCodes.Status404NotFound when http.GetEndpoint() is null => new("route_not_found", 404, "There is no such address in this API."),
        StatusCodes.Status405MethodNotAllowed => new("method_not_allowed", 405, "The address does not support this method."),
        StatusCodes.Status415UnsupportedMediaType => Problem.UnsupportedMediaType("Send application/json."),
        // An optional parameter of the wrong form is refused by its binding without a word.
        StatusCodes.Status400BadRequest when http.GetEndpoint() is { } endpoint => Misshapen(Unreadable(endpoint, http.Request.Query)),
        _ => null,
    };

    private static Problem Misshapen(string? what) => Problem.BadRequest("invalid_request", "A part of the request is missing or has the wrong form.", what);

    /// <summary>Null when none is to be seen in the query.</summary>
    private static string? Unreadable(Endpoint endpoint, IQueryCollection query)
    {
        var unreadable =
            from parameter in endpoint.Metadata.GetOrderedMetadata<IParameterBindingMetadata>()
            where parameter.HasTryParse && query.ContainsKey(parameter.Name)
                && !TypeDescriptor.GetConverter(parameter.ParameterInfo.ParameterType).IsValid(query[parameter.Name].ToString())
            select $"\"{query[parameter.Name]}\" cannot be read as {parameter.Name}.";
        return string.Join(' ', unreadable) is { Length: > 0 } what ? what : null;
    }

    private static Problem For(Exception e, ILogger log)
    {
        switch (e)
        {
            case BadHttpRequestException { InnerException: JsonException json }:
                return Problem.BadRequest("invalid_json", "The body is not the JSON this endpoint takes.", Where(json));
            case BadHttpRequestException { StatusCode: StatusCodes.Status415UnsupportedMediaType }:
                return Problem.UnsupportedMediaType("Send application/json.");
            case BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge }:
                return Problem.TooLarge();
            case BadHttpRequestException bad:
                return Misshapen(bad.Message);
        }

        if (DatabaseProblem.Of(e) is { } problem)
        {
            if (problem.Code == "unavailable")
            {
                log.DependencyFailed(e);
            }

            return problem;
        }

        log.RequestFailed(e);
        return new Problem("internal_error", 500, "Something went wrong on our side.");
    }

    private static string? Where(JsonException e) =>
        e.Path is { Length: > 0 } path ? $"At {path}, line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}." : null;

    private sealed record ProblemBody(
        string Type, string Title, int Status, string Code, string? Detail, string Instance, string RequestId, IReadOnlyDictionary<string, string[]>? Errors)
    {
        internal static readonly JsonSerializerOptions Json = new(Kernel.Json.Options)
        {
            DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull,
        };
    }
}
