namespace AgentPlatform.Tenancy;

/// <summary>A tenant's agent (a brand's instance) and its configuration.</summary>
public sealed record Agent(
    Guid Id,
    string Name,
    string? Description,
    string? SystemPrompt,
    string? DefaultModel,
    bool Enabled,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt,
    string[] PopularActions,
    bool AutoCreateTasks);
