using AgentPlatform.Api;
using AgentPlatform.Contacts.Segments;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Campaigns.Icps;

/// <summary>Ideal customer profiles, and the contacts that they are for.</summary>
internal sealed class ManageIcps(Database database, ContactSegments segments, EventStore events, TimeProvider clock)
{
    internal async Task<Result<IcpProfile>> CreateAsync(Actor actor, IcpInput input, CancellationToken ct)
    {
        if (input.Problem is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        return await StoreAsync(tx, Sql.Create, [clock.NewId(), .. Values(input), actor.Author()], "icp_profile.created", ct);
    }

    internal async Task<Result<IcpProfile>> ReplaceAsync(Actor actor, Guid id, IcpInput input, IfMatch ifMatch, CancellationToken ct)
    {
        if (input.Problem is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        return await RefusalAsync(tx, id, ifMatch, ct) is { } refused
            ? refused
            : await StoreAsync(tx, Sql.Replace, [id, .. Values(input)], "icp_profile.changed", ct);
    }

    /// <summary>Refused while a campaign that is not over wants it.</summary>
    internal async Task<Result<Guid>> DeleteAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await RefusalAsync(tx, id, ifMatch, ct) is { } refused)
        {
            return refused;
        }

        if (await tx.FindAsync<string>(Sql.WantedBy, [id], ct) is { } campaign)
        {
            return Problem.Conflict("icp_in_use", $"Campaign '{campaign}' is for this profile.");
        }

        tx.Post(Sql.Delete, id);
        events.Append(tx, new NewEvent("icp_profile.deleted", "icp_profile", id, new { }));
        await tx.CommitAsync(ct);
        return id;
    }

    internal static Task<IcpProfile?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<IcpProfile>(Sql.Find, [id], ct);

    internal static async Task<Page<IcpProfile>> ListAsync(Transaction tx, PageRequest page, CancellationToken ct) =>
        Page<IcpProfile>.Cut(await tx.QueryAsync<IcpProfile>(Sql.List, [page.Before, page.Fetch], ct), page, icp => icp.Id);

    internal static Task<IReadOnlyList<IcpProfile>> OfAsync(Transaction tx, Guid[] ids, CancellationToken ct) => tx.QueryAsync<IcpProfile>(Sql.Of, [ids], ct);

    /// <summary>Keeps the profiles from being deleted until the transaction ends; null when all are there.</summary>
    internal static async Task<Problem?> HoldAsync(Transaction tx, Guid[] ids, CancellationToken ct)
    {
        var missing = ids.Except(await tx.QueryAsync<Guid>(Sql.Hold, [ids], ct)).ToList();
        return missing.Count == 0 ? null : Problem.Invalid("target_icps", $"There is no ICP profile {string.Join(", ", missing)} in this workspace.");
    }

    internal async Task<Result<IcpAudience>> AudienceAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await FindAsync(tx, id, ct) is { } icp ? (await AudiencesAsync(tx, [icp], ct))[0] : Problem.NotFound("icp_profile");
    }

    /// <summary>Of all of them, in one statement.</summary>
    internal async Task<IReadOnlyList<IcpAudience>> AudiencesAsync(Transaction tx, IReadOnlyList<IcpProfile> icps, CancellationToken ct) =>
        [.. (await segments.SizesAsync(tx, icps.Select(icp => icp.Rule), ct)).Zip(icps, (size, icp) =>
            new IcpAudience(icp.Id, size.Contacts, size.Sms, size.Email, size.Webhook, size.Unreachable))];

    private static async Task<Problem?> RefusalAsync(Transaction tx, Guid id, IfMatch ifMatch, CancellationToken ct) =>
        await tx.FindAsync<IcpProfile>(Sql.Lock, [id], ct) is { } icp ? ifMatch.Check(icp.UpdatedAt) : Problem.NotFound("icp_profile");

    private async Task<Result<IcpProfile>> StoreAsync(Transaction tx, string sql, object?[] args, string happened, CancellationToken ct)
    {
        var stored = await tx.SingleAsync<IcpProfile>(sql, args, ct);
        events.Append(tx, new NewEvent(happened, "icp_profile", stored.Id, new { name = stored.Name, rule = stored.Rule }));
        await tx.CommitAsync(ct);
        return stored;
    }

    private static object?[] Values(IcpInput input) =>
    [
        input.Name!.Trim(), input.Title, input.Industry, input.CompanySize, Inputs.ListParam(input.PainPoints), Inputs.ListParam(input.Goals),
        Inputs.ListParam(input.Objections), Inputs.ListParam(input.PreferredChannels?.Distinct()), Inputs.ObjectParam(input.Psychographics),
        Inputs.ObjectParam(input.Firmographics), Inputs.ObjectParam(input.Data), Json.Param(input.Rule ?? Json.Of(false)),
    ];

    private static class Sql
    {
        internal const string Create =
            """
            INSERT INTO campaigns.icp_profiles (tenant_id, id, name, title, industry, company_size, pain_points, goals, objections, preferred_channels,
                psychographics, firmographics, data, rule, user_id)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
            RETURNING *
            """;

        internal const string Replace =
            """
            UPDATE campaigns.icp_profiles
            SET name = $2, title = $3, industry = $4, company_size = $5, pain_points = $6, goals = $7, objections = $8, preferred_channels = $9,
                psychographics = $10, firmographics = $11, data = $12, rule = $13
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            RETURNING *
            """;

        internal const string Delete = "DELETE FROM campaigns.icp_profiles WHERE tenant_id = kernel.current_tenant_id() AND id = $1";

        internal const string Find = "SELECT * FROM campaigns.icp_profiles WHERE tenant_id = kernel.current_tenant_id() AND id = $1";

        // A campaign that names the profile holds it by its key: neither goes on before the other has ended.
        internal const string Lock = "SELECT * FROM campaigns.icp_profiles WHERE tenant_id = kernel.current_tenant_id() AND id = $1 FOR UPDATE";

        internal const string Hold =
            "SELECT id FROM campaigns.icp_profiles WHERE tenant_id = kernel.current_tenant_id() AND id = ANY ($1) ORDER BY id FOR KEY SHARE";

        internal const string Of = "SELECT * FROM campaigns.icp_profiles WHERE tenant_id = kernel.current_tenant_id() AND id = ANY ($1) ORDER BY array_position($1, id)";

        internal const string WantedBy =
            "SELECT name FROM campaigns.campaigns WHERE tenant_id = kernel.current_tenant_id() AND target_icps @> ARRAY[$1::uuid] AND status <> 'completed' LIMIT 1";

        internal const string List =
            """
            SELECT * FROM campaigns.icp_profiles WHERE tenant_id = kernel.current_tenant_id() AND ($1::uuid IS NULL OR id < $1)
            ORDER BY id DESC LIMIT $2
            """;
    }
}
