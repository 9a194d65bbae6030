using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Campaigns.Foundations;

/// <summary>
/// The foundation of the transaction's tenant. A change raises the guidance of all its agents, by a trigger: what is kept in memory of them, the foundation
/// with it, is read anew by their next turn.
/// </summary>
public sealed class FoundationStore
{
    private readonly EventStore _events;
    private readonly TimeProvider _clock;

    internal FoundationStore(EventStore events, TimeProvider clock) => (_events, _clock) = (events, clock);

    /// <summary>Null where none was written. Gather it with other questions.</summary>
    public Task<Foundation?> FindAsync(Transaction tx, CancellationToken ct) => tx.FindAsync<Foundation>(Sql.Find, [], ct);

    /// <summary>Writes the first one, or another in its place.</summary>
    internal async Task<Result<Foundation>> PutAsync(Transaction tx, FoundationInput input, IfMatch ifMatch, CancellationToken ct)
    {
        if ((input.Problem ?? await StaleAsync(tx, ifMatch, ct)) is { } problem)
        {
            return problem;
        }

        var stored = await tx.SingleAsync<Foundation>(
            Sql.Put,
            [
                _clock.NewId(), tx.Actor!.Author(), input.CompanyName!.Trim(), input.BusinessDescription, input.Industry, input.Location, input.Website, input.Positioning,
                input.UniqueValueProposition, Inputs.ListParam(input.KeyDifferentiators), input.BrandVoice, Inputs.ListParam(input.ToneKeywords),
                Inputs.ListParam(input.MessagingPillars), Inputs.ListParam(input.Products), input.PricingInfo, Inputs.ListParam(input.Competitors), Inputs.ObjectParam(input.Data),
            ],
            ct);
        _events.Append(tx, new NewEvent("foundation.written", "foundation", stored.Id, input));
        await tx.CommitAsync(ct);
        return stored;
    }

    internal async Task<Result<Guid>> DeleteAsync(Transaction tx, IfMatch ifMatch, CancellationToken ct)
    {
        if (await StaleAsync(tx, ifMatch, ct) is { } stale)
        {
            return stale;
        }

        if (await tx.FindAsync<Guid?>(Sql.Delete, [], ct) is not { } id)
        {
            return Problem.NotFound("foundation");
        }

        _events.Append(tx, new NewEvent("foundation.deleted", "foundation", id, new { }));
        await tx.CommitAsync(ct);
        return id;
    }

    /// <summary>Who names a version means one that is there.</summary>
    private static async Task<Problem?> StaleAsync(Transaction tx, IfMatch ifMatch, CancellationToken ct) =>
        ifMatch.Tags is not { Count: > 0 } ? null
        : await tx.FindAsync<Foundation>(Sql.Lock, [], ct) is { } known ? ifMatch.Check(known.UpdatedAt)
        : Problem.PreconditionFailed();

    private static class Sql
    {
        internal const string Find = "SELECT * FROM campaigns.foundations WHERE tenant_id = kernel.current_tenant_id()";

        internal const string Lock = "SELECT * FROM campaigns.foundations WHERE tenant_id = kernel.current_tenant_id() FOR NO KEY UPDATE";

        // Of two first ones the second replaces the other.
        internal const string Put =
            """
            INSERT INTO campaigns.foundations (tenant_id, id, user_id, company_name, business_description, industry, location, website, positioning, unique_value_proposition,
                key_differentiators, brand_voice, tone_keywords, messaging_pillars, products, pricing_info, competitors, data)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
            ON CONFLICT ON CONSTRAINT foundation_is_one DO UPDATE SET
                company_name = excluded.company_name, business_description = excluded.business_description, industry = excluded.industry, location = excluded.location,
                website = excluded.website, positioning = excluded.positioning, unique_value_proposition = excluded.unique_value_proposition,
                key_differentiators = excluded.key_differentiators, brand_voice = excluded.brand_voice, tone_keywords = excluded.tone_keywords,
                messaging_pillars = excluded.messaging_pillars, products = excluded.products, pricing_info = excluded.pricing_info, competitors = excluded.competitors,
                data = excluded.data
            RETURNING *
            """;

        internal const string Delete = "DELETE FROM campaigns.foundations WHERE tenant_id = kernel.current_tenant_id() RETURNING id";
    }
}
