using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Http;

namespace AgentPlatform.Api;

/// <summary>Lists as the API answers them.</summary>
internal static class Paging
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
}
