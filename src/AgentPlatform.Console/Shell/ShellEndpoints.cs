using AgentPlatform.Console.Sessions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Console.Shell;

internal static class ShellEndpoints
{
    internal static void MapShell(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapGet("/console", ShowAsync).WithMetadata(new NeedsScope("conversations:read"));

    private static async Task<IResult> ShowAsync(HttpContext http, ReadOverview overview, string? cursor, CancellationToken ct)
    {
        var read = await overview.ReadAsync(OperatorSession.Of(http).Actor, cursor, ct);
        return read.IsOk ? new RazorComponentResult<OverviewPage>(new { Overview = read.Value }) : Pages.NotFound;
    }
}
