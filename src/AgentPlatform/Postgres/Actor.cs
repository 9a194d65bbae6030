namespace AgentPlatform.Postgres;

/// <summary>Who acts, for whom: what row level security sees. Roles: owner, admin, member, viewer, service, system.</summary>
public sealed record Actor(Guid TenantId, Guid UserId, string Role)
{
    /// <summary>The platform itself, at work for a tenant: turns, jobs, webhooks.</summary>
    public static Actor System(Guid tenantId) => new(tenantId, Guid.Empty, "system");
}
