using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace AgentPlatform.Api;

/// <summary>The one place where outcomes become HTTP.</summary>
public static class ApiResults
{
    /// <summary>200 with the value, or the problem.</summary>
    public static IResult ToHttp<T>(this Result<T> result) => result.Match<IResult>(value => TypedResults.Json(value, Json.Options), ToHttp);

    /// <summary>200 with the value and its ETag (304 when the client has that version), or the problem.</summary>
    public static IResult ToHttp<T>(this Result<T> result, Func<T, DateTimeOffset> updatedAt) =>
        result.Match<IResult>(value => new Versioned(TypedResults.Json(value, Json.Options), Etag.Of(updatedAt(value))), ToHttp);

    /// <summary>201 with the value, its address and, when it can be changed, its ETag; or the problem.</summary>
    public static IResult ToCreated<T>(this Result<T> result, Func<T, string> location, Func<T, DateTimeOffset>? updatedAt = null) =>
        result.Match<IResult>(
            value =>
            {
                IResult created = new Located(TypedResults.Json(value, Json.Options, statusCode: StatusCodes.Status201Created), location(value));
                return updatedAt is null ? created : new Versioned(created, Etag.Of(updatedAt(value)));
            },
            ToHttp);

    /// <summary>202 with the value: accepted, to be carried out, and where to look how it goes; or the problem.</summary>
    public static IResult ToAccepted<T>(this Result<T> result, Func<T, string>? location = null) =>
        result.Match<IResult>(
            value =>
            {
                IResult accepted = TypedResults.Json(value, Json.Options, statusCode: StatusCodes.Status202Accepted);
                return location is null ? accepted : new Located(accepted, location(value));
            },
            ToHttp);

    /// <summary>204, or the problem.</summary>
    public static IResult ToNoContent<T>(this Result<T> result) => result.Match<IResult>(_ => TypedResults.NoContent(), ToHttp);

    /// <summary>Goes on with the value of an outcome, if it has one.</summary>
    public static async Task<Result<TOut>> ThenAsync<T, TOut>(this Result<T> result, Func<T, Task<TOut>> next) =>
        result.IsOk ? await next(result.Value) : result.Problem;

    /// <summary><see cref="ToHttp{T}(Result{T})"/> of an outcome to come.</summary>
    public static async Task<IResult> ToHttpAsync<T>(this Task<Result<T>> result) => (await result).ToHttp();

    /// <summary>RFC 9457: <c>application/problem+json</c> with a stable <c>code</c>.</summary>
    public static IResult ToHttp(this Problem problem) => new ProblemResult(problem);

    private sealed class Versioned(IResult inner, EntityTagHeaderValue etag) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext)
        {
            httpContext.Response.Headers.ETag = etag.ToString();
            if (HttpMethods.IsGet(httpContext.Request.Method) && Etag.ClientHas(httpContext.Request, etag))
            {
                httpContext.Response.StatusCode = StatusCodes.Status304NotModified;
                return Task.CompletedTask;
            }

            return inner.ExecuteAsync(httpContext);
        }
    }

    private sealed class Located(IResult inner, string location) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext)
        {
            httpContext.Response.Headers.Location = new StringValues(location);
            return inner.ExecuteAsync(httpContext);
        }
    }

    private sealed class ProblemResult(Problem problem) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext) => ProblemWriter.WriteAsync(httpContext, problem);
    }
}
