using System.Text.RegularExpressions;
using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Identity;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Tenancy;

/// <summary>A tenant to be set up. The slug is lower-case letters, digits and dashes, and unique on the platform.</summary>
public sealed record NewTenant(string Name, string Slug, string OwnerEmail)
{
    public string? OwnerName { get; init; }

    public string AgentName { get; init; } = "Assistant";

    public string KeyName { get; init; } = "First key";
}

/// <summary>What was set up. <see cref="ApiKey"/> is the secret of an owner's key with all scopes, shown this once.</summary>
public sealed record ProvisionedTenant(Guid TenantId, Guid OwnerId, Guid AgentId, Guid ApiKeyId, string ApiKey);

/// <summary>Sets up a tenant with everything it needs to be used: its owner, the owner's membership, one agent, one API key.</summary>
public sealed partial class TenantProvisioning(Database database, UserDirectory users, KeyRing keys, EventStore events, TimeProvider clock)
{
    public async Task<Result<ProvisionedTenant>> CreateAsync(NewTenant tenant, CancellationToken ct)
    {
        if (Check(tenant) is { } problem)
        {
            return problem;
        }

        try
        {
            return await CreateCheckedAsync(tenant, ct);
        }
        catch (PostgresException e) when (e.ConstraintName == "tenants_slug_key")
        {
            return Problem.Conflict("slug_taken", "Another tenant has this slug.");
        }
    }

    internal const string SlugRule = "Must be 1 to 100 lower-case letters, digits and dashes, with a letter or digit at both ends.";

    internal static bool IsSlug(string? text) => text is not null && Slug().IsMatch(text);

    private async Task<Result<ProvisionedTenant>> CreateCheckedAsync(NewTenant tenant, CancellationToken ct)
    {
        var (tenantId, agentId) = (clock.NewId(), clock.NewId());
        await using var tx = database.Begin(Actor.System(tenantId));
        var ownerId = await users.EnsureAsync(tx, tenant.OwnerEmail.Trim(), tenant.OwnerName, ct);
        tx.Post(Sql.Tenant, tenantId, tenant.Name.Trim(), tenant.Slug, ownerId);
        tx.Post(Sql.Owner, tenantId, clock.NewId(), ownerId);
        tx.Post(Sql.Agent, tenantId, agentId, tenant.AgentName.Trim());
        var issued = await keys.IssueAsync(tx, ownerId, new NewApiKey(tenant.KeyName, "owner"), ct);
        events.Append(tx, new NewEvent("tenant.created", "tenant", tenantId, new { name = tenant.Name.Trim(), slug = tenant.Slug, owner_id = ownerId }));
        await tx.CommitAsync(ct);
        return new ProvisionedTenant(tenantId, ownerId, agentId, issued.Key.Id, issued.Secret);
    }

    private static Problem? Check(NewTenant tenant) =>
        new Validation()
            .Text("name", tenant.Name, 255, required: true)
            .Check("slug", IsSlug(tenant.Slug), SlugRule)
            .Check("owner_email", UserDirectory.IsEmail(tenant.OwnerEmail?.Trim()), "Is not an e-mail address.")
            .Text("agent_name", tenant.AgentName, 255, required: true)
            .Problem;

    [GeneratedRegex(@"^[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Slug();

    private static class Sql
    {
        internal const string Tenant = "INSERT INTO tenancy.tenants (id, name, slug, owner_id) VALUES ($1, $2, $3, $4)";

        internal const string Owner = "INSERT INTO tenancy.workspace_members (tenant_id, id, user_id, role) VALUES ($1, $2, $3, 'owner')";

        internal const string Agent = "INSERT INTO tenancy.agents (tenant_id, id, name) VALUES ($1, $2, $3)";
    }
}
