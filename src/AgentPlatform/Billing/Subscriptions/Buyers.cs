using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Billing.Subscriptions;

/// <summary>Whom the workspace's invoices are made out to. An invoice keeps what was set when it was issued.</summary>
public sealed record Buyer(string Name, string? Gstin, string? Address, string? State, DateTimeOffset UpdatedAt);

public sealed record BuyerInput(string? Name, string? Gstin, string? Address, string? State);

internal sealed class Buyers(Database database)
{
    internal Task<Buyer?> FindAsync(Transaction tx, CancellationToken ct) => tx.FindAsync<Buyer>(Sql.Find, [tx.TenantId], ct);

    internal async Task<Result<Buyer>> SetAsync(Actor actor, BuyerInput input, IfMatch ifMatch, CancellationToken ct)
    {
        var invalid = Subscribe.Managers(actor) ?? new Validation().Text("name", input.Name, 255, required: true).Text("address", input.Address, 1000).Text("state", input.State, 100)
            .Check("gstin", input.Gstin is null || Gst.IsGstin(input.Gstin), "Is not a GSTIN.")
            .Check("state", input.Gstin is null || input.State is not null, "Is required with a GSTIN.").Problem;
        if (invalid is not null)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (ifMatch.Tags is { Count: > 0 } && (await tx.FindAsync<DateTimeOffset?>(Sql.Lock, [tx.TenantId], ct) is { } known ? ifMatch.Check(known) : Problem.PreconditionFailed()) is { } stale)
        {
            return stale;
        }

        var buyer = await tx.SingleAsync<Buyer>(Sql.Set, [tx.TenantId, input.Name!.Trim(), input.Gstin, input.Address?.Trim(), input.State?.Trim()], ct);
        await tx.CommitAsync(ct);
        return buyer;
    }

    private static class Sql
    {
        internal const string Find = "SELECT name, gstin, address, state, updated_at FROM billing.buyers WHERE tenant_id = $1";

        internal const string Lock = "SELECT updated_at FROM billing.buyers WHERE tenant_id = $1 FOR UPDATE";

        internal const string Set =
            """
            INSERT INTO billing.buyers (tenant_id, name, gstin, address, state) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (tenant_id) DO UPDATE SET name = excluded.name, gstin = excluded.gstin, address = excluded.address, state = excluded.state
            RETURNING name, gstin, address, state, updated_at
            """;
    }
}
