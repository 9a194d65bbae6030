using System.Text.Json;

namespace AgentPlatform.Tenancy;

/// <summary>A tenant (a brand, a workspace) as one of its members sees it; <paramref name="Role"/> is that member's.</summary>
public sealed record Tenant(
    Guid Id, string Name, string Slug, Guid OwnerId, JsonElement Settings, string? Role, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);

/// <summary>A user's membership in a tenant. Roles: owner, admin, member, viewer. While it is suspended nothing of theirs serves there.</summary>
public sealed record Member(
    Guid Id, Guid UserId, string Email, string? FullName, string? AvatarUrl, string Role, DateTimeOffset? SuspendedAt, string? SuspensionReason, DateTimeOffset JoinedAt,
    DateTimeOffset UpdatedAt);
