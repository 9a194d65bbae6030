namespace AgentPlatform.Tenancy;

/// <summary>
/// A tenant's agent (a brand's instance) and its configuration. Model use: <c>unsure</c>, <c>always</c> or <c>never</c>: when the default model, and
/// after it the fallbacks in their order, are asked. Verify e-mail: the onboarding ends with a proof of the address. Memory:
/// what happens is remembered, and recalled in later turns.
/// </summary>
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
    bool AutoCreateTasks,
    string ModelUse,
    string[] FallbackModels,
    bool VerifyEmail,
    bool Memory)
{
    /// <summary>The models to ask, in their order; none when the agent answers without.</summary>
    public IReadOnlyList<string> Models => ModelUse == "never" || DefaultModel is null ? [] : [DefaultModel, .. FallbackModels.Where(name => name != DefaultModel)];
}
