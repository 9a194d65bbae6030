using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Http;

namespace AgentPlatform.Api;

/// <summary>What the API answers to a question: one thing, or a page of them, read as the caller.</summary>
internal static class Reading
{
    /// <summary>The page that the caller asks for, read as the caller; or what is wrong with the question.</summary>
    internal static async Task<IResult> PageAsync<T>(
        this HttpContext http, Database database, int? limit, string? cursor, Func<Transaction, PageRequest, Task<Page<T>>> read, Problem? invalid = null)
    {
        var page = PageRequest.Parse(limit, cursor);
        if ((page.Problem ?? invalid) is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        return ((Result<Page<T>>)await read(tx, page.Value)).ToHttp();
    }

    /// <summary>What there is under an id, with its ETag where it has a time of change; else 404 <c>{what}_not_found</c>.</summary>
    internal static async Task<IResult> OneAsync<T>(
        this HttpContext http, Database database, Func<Transaction, Task<T?>> read, string what, Func<T, DateTimeOffset>? updatedAt = null)
        where T : class
    {
        await using var tx = database.Begin(http.Actor());
        var found = (await read(tx)).OrNotFound(what);
        return updatedAt is null ? found.ToHttp() : found.ToHttp(updatedAt);
    }
}
