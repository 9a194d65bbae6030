namespace AgentPlatform.Postgres;

/// <summary>Who acts, for whom: what row level security sees. Roles: owner, admin, member, viewer, service, system.</summary>
public sealed record Actor(Guid TenantId, Guid UserId, string Role)
{
    /// <summary>Where a person's request came from: what they change is logged with it. Null when no request is behind it.</summary>
    public Origin? Origin { get; init; }

    /// <summary>The platform itself, at work for a tenant: turns, jobs, webhooks.</summary>
    public static Actor System(Guid tenantId) => new(tenantId, Guid.Empty, "system");
}

/// <summary>Where a request came from. Location is what the proxy before us tells of it, such as <c>country</c>; null when it tells nothing.</summary>
public sealed record Origin(string? IpAddress, string? UserAgent)
{
    public IReadOnlyDictionary<string, string>? Location { get; init; }

    public Guid? ApiKeyId { get; init; }

    /// <summary>The session of a person who signed in.</summary>
    public Guid? SessionId { get; init; }

    public string? TraceId { get; init; }
}
