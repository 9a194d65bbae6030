using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Identity;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Tenancy;

public sealed record CreateTenant(string? Name, string? Slug, string? AgentName);

/// <summary>What to change; null leaves a field as it is.</summary>
public sealed record ChangeTenant(string? Name, string? Slug, Guid? OwnerId, JsonElement? Settings);

/// <summary>
/// The tenants a user works in and is not suspended in. All are listed, but only the one the key belongs to can be changed. Creating one makes its creator
/// the owner and answers an API key for it, which may do everything: so must the key it is asked with.
/// </summary>
public sealed class ManageTenants(Database database, TenantProvisioning provisioning, UserDirectory users, EventStore events)
{
    internal async Task<Result<ProvisionedTenant>> CreateAsync(Caller caller, CreateTenant request, CancellationToken ct)
    {
        if (!Scopes.AreAll(caller.Scopes))
        {
            return Problem.Forbidden("scope_too_wide", "The first key of a tenant has all scopes: a key that lacks one cannot ask for it.");
        }

        await using var tx = database.Begin(caller.Actor);
        var owner = await users.FindAsync(tx, caller.Actor.UserId, ct);
        return owner is null
            ? Problem.Forbidden()
            : await provisioning.CreateAsync(
                new NewTenant(request.Name ?? "", request.Slug ?? "", owner.Email) { AgentName = request.AgentName ?? "Assistant" }, ct);
    }

    internal async Task<Page<Tenant>> ListAsync(Actor actor, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return Page<Tenant>.Cut(await tx.QueryAsync<Tenant>(Sql.Mine, [actor.UserId, page.Before, page.Fetch], ct), page, tenant => tenant.Id);
    }

    public async Task<Result<Tenant>> FindAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return (await tx.FindAsync<Tenant>(Sql.Find, [id, actor.UserId, actor.TenantId], ct)).OrNotFound("tenant");
    }

    internal async Task<Result<Tenant>> ChangeAsync(Actor actor, Guid id, ChangeTenant change, IfMatch ifMatch, CancellationToken ct)
    {
        if (Check(actor, change) is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        if (id != actor.TenantId || await tx.FindAsync<Tenant>(Sql.Lock, [id, actor.UserId], ct) is not { } before)
        {
            return Problem.NotFound("tenant");
        }

        if (ifMatch.Check(before.UpdatedAt) is { } stale)
        {
            return stale;
        }

        if (change.OwnerId is { } owner && !await tx.SingleAsync<bool>(Sql.IsOwner, [id, owner], ct))
        {
            return Problem.Invalid("owner_id", "Must be a member whose role is owner.");
        }

        return await SaveAsync(tx, id, change, ct);
    }

    internal async Task<Result<Guid>> DeleteAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        if (!Roles.AtLeast(actor.Role, "owner"))
        {
            return Problem.Forbidden("owner_only", "Only an owner may delete the tenant.");
        }

        await using var tx = database.Begin(actor);
        if (id != actor.TenantId || await tx.FindAsync<Tenant>(Sql.Lock, [id, actor.UserId], ct) is not { } before)
        {
            return Problem.NotFound("tenant");
        }

        if (ifMatch.Check(before.UpdatedAt) is { } stale)
        {
            return stale;
        }

        await tx.ExecuteAsync(Sql.Delete, [id], ct);
        await tx.CommitAsync(ct);
        return id;
    }

    private async Task<Result<Tenant>> SaveAsync(Transaction tx, Guid id, ChangeTenant change, CancellationToken ct)
    {
        try
        {
            await tx.ExecuteAsync(Sql.Change, [id, change.Name?.Trim(), change.Slug, change.OwnerId, Json.Param(change.Settings)], ct);
        }
        catch (PostgresException e) when (e.ConstraintName == "tenants_slug_key")
        {
            return Problem.Conflict("slug_taken", "Another tenant has this slug.");
        }

        events.Append(tx, new NewEvent("tenant.updated", "tenant", id, change));
        var after = await tx.SingleAsync<Tenant>(Sql.Find, [id, tx.Actor!.UserId, tx.TenantId], ct);
        await tx.CommitAsync(ct);
        return after;
    }

    private static Problem? Check(Actor actor, ChangeTenant change) =>
        !Roles.AtLeast(actor.Role, change.OwnerId is null ? "admin" : "owner")
            ? Problem.Forbidden("managers_only", "Only owners and admins may change the tenant, and only an owner may hand it over.")
            : new Validation()
                .Text("name", change.Name, 255, required: change.Name is not null)
                .Check("slug", change.Slug is null || TenantProvisioning.IsSlug(change.Slug), TenantProvisioning.SlugRule)
                .MustBeObject("settings", change.Settings)
                .Problem;

    private static class Sql
    {
        internal const string Mine =
            """
            SELECT t.id, t.name, t.slug, t.owner_id, t.settings, m.role, t.created_at, t.updated_at
            FROM tenancy.workspace_members m JOIN tenancy.tenants t ON t.id = m.tenant_id
            WHERE m.user_id = $1 AND m.suspended_at IS NULL AND ($2::uuid IS NULL OR t.id < $2)
            ORDER BY t.id DESC LIMIT $3
            """;

        internal const string Find =
            """
            SELECT t.id, t.name, t.slug, t.owner_id, t.settings, m.role, t.created_at, t.updated_at
            FROM tenancy.tenants t LEFT JOIN tenancy.workspace_members m ON m.tenant_id = t.id AND m.user_id = $2 AND m.suspended_at IS NULL
            WHERE t.id = $1 AND (t.id = $3 OR m.id IS NOT NULL)
            """;

        internal const string Lock =
            """
            SELECT t.id, t.name, t.slug, t.owner_id, t.settings, m.role, t.created_at, t.updated_at
            FROM tenancy.tenants t LEFT JOIN tenancy.workspace_members m ON m.tenant_id = t.id AND m.user_id = $2
            WHERE t.id = $1
            FOR UPDATE OF t
            """;

        internal const string IsOwner =
            "SELECT EXISTS (SELECT FROM tenancy.workspace_members WHERE tenant_id = $1 AND user_id = $2 AND role = 'owner' AND suspended_at IS NULL)";

        internal const string Change =
            """
            UPDATE tenancy.tenants
            SET name = coalesce($2, name), slug = coalesce($3, slug), owner_id = coalesce($4, owner_id), settings = coalesce($5, settings)
            WHERE id = $1
            """;

        internal const string Delete = "DELETE FROM tenancy.tenants WHERE id = $1";
    }
}
