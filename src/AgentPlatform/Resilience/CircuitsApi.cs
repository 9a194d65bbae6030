using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Resilience;

internal static class CircuitsApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var circuits = v1.MapGroup("/circuits").WithTags("Circuits");
        circuits.MapGet("", ListAsync).RequireScope("circuits:read").Describe("listCircuits", "Services that ever failed, and whether they are called.").Produces<Page<Circuit>>();
        circuits.MapGet("/{id:guid}", (Guid id, HttpContext http, Database database, CancellationToken ct) => http.OneAsync(database, tx => CircuitBreaker.FindAsync(tx, id, ct), "circuit"))
            .RequireScope("circuits:read").Describe("getCircuit", "One service, and whether it is called.").Produces<Circuit>();
        circuits.MapPost("/{id:guid}/reset", ResetAsync).RequireScope("circuits:write").Describe("resetCircuit", "Let calls through again; work that was put off comes when its time is up.").Produces<Circuit>();
    }

    private static async Task<IResult> ListAsync(
        HttpContext http, Database database, CircuitBreaker circuits, CancellationToken ct, string? state = null, int? limit = null, string? cursor = null)
    {
        var page = PageRequest.Parse(limit, cursor);
        var invalid = new Validation().OneOf("state", state, required: false, "CLOSED", "OPEN", "HALF_OPEN").Problem ?? (page.IsOk ? null : page.Problem);
        if (invalid is not null)
        {
            return invalid.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        return ((Result<Page<Circuit>>)await circuits.ListAsync(tx, state, page.Value, ct)).ToHttp();
    }

    private static async Task<IResult> ResetAsync(Guid id, HttpContext http, Database database, CircuitBreaker circuits, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        var reset = await circuits.ResetAsync(tx, id, ct);
        if (reset.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return reset.ToHttp();
    }
}
