using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Knowledge.Patterns;

/// <summary>How an element of a page is found: a row of <c>element_selectors</c>.</summary>
public sealed record ElementSelector : ILearnedRow
{
    public Guid Id { get; init; }

    /// <summary>The member who alone sees and changes it; null when the tenant shares it.</summary>
    public Guid? UserId { get; init; }
    public string PagePath { get; init; } = "";
    public string ElementName { get; init; } = "";
    public string PrimarySelector { get; init; } = "";
    public string[] FallbackSelectors { get; init; } = [];

    /// <summary>The order in which to try them: the primary one, then the fallbacks.</summary>
    public IReadOnlyList<string> Selectors => [PrimarySelector, .. FallbackSelectors];

    /// <summary>How each selector did lately: <c>{"selector": {"successes", "failures"}}</c>. At twenty attempts the earlier ones count half.</summary>
    public JsonElement Attempts { get; init; }

    /// <summary>Of all attempts, 0 to 1; 1 before the first.</summary>
    public float SuccessRate { get; init; }
    public int TotalAttempts { get; init; }
    public DateTimeOffset? LastVerified { get; init; }
    public string? ScreenshotRef { get; init; }
    public JsonElement Metadata { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }
}

/// <summary>An element to register, or what to change of one: then what is absent stays.</summary>
internal sealed record ElementSelectorBody(
    string? PagePath, string? ElementName, string? PrimarySelector, string[]? FallbackSelectors, string? ScreenshotRef, JsonElement? Metadata, bool? Shared)
{
    private const int MaxFallbacks = 20;

    internal Problem? ProblemAsNew => Rules(new Validation().Text("page_path", PagePath, 500, required: true).Text("element_name", ElementName, 255, required: true)
        .Check("page_path", PagePath is null || PagePath.All(char.IsAscii), "Must be written as in a URL.")
        .Text("primary_selector", PrimarySelector, 2000, required: true).Check("fallback_selectors", Distinct(PrimarySelector, FallbackSelectors), Twice)).Problem;

    internal Problem? ProblemAsChange => Rules(new Validation().Check("page_path", PagePath is null, "Cannot be changed: register another element.")
        .Check("element_name", ElementName is null, "Cannot be changed: register another element.").Check("shared", Shared is null, "Cannot be changed: register another element.")
        .Text("primary_selector", PrimarySelector, 2000, required: PrimarySelector is not null)).Problem;

    /// <summary>The selectors as a change leaves them.</summary>
    internal Problem? ProblemOn(ElementSelector row) =>
        new Validation().Check("fallback_selectors", Distinct(PrimarySelector ?? row.PrimarySelector, FallbackSelectors ?? row.FallbackSelectors), Twice).Problem;

    private const string Twice = "Must not name a selector twice.";

    private Validation Rules(Validation rules) => rules
        .Check("fallback_selectors", FallbackSelectors is not { Length: > MaxFallbacks } && FallbackSelectors?.All(s => s is { Length: >= 1 and <= 2000 }) != false, $"Are at most {MaxFallbacks}, of 1 to 2000 characters.")
        .Text("screenshot_ref", ScreenshotRef, 2000).MustBeObject("metadata", Metadata);

    private static bool Distinct(string? primary, string[]? fallbacks) =>
        (fallbacks ?? []).Append(primary).GroupBy(selector => selector, StringComparer.Ordinal).All(same => same.Count() == 1);
}

/// <summary>One selector was tried.</summary>
internal sealed record AttemptBody(string? Selector, bool? Succeeded, string? ScreenshotRef)
{
    internal Problem? Problem => new Validation().Text("selector", Selector, 2000, required: true).Check("succeeded", Succeeded is not null, "Is required.")
        .Text("screenshot_ref", ScreenshotRef, 2000).Problem;
}
