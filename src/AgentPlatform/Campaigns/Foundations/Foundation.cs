using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Campaigns.Foundations;

/// <summary>
/// What a company is and how it speaks: one a tenant. The lists hold texts or flat objects (<c>{"name": "Widget", "price": 10}</c>); <see cref="Data"/> is the
/// tenant's own and told to nobody.
/// </summary>
public sealed record Foundation
{
    public Guid Id { get; init; }

    /// <summary>Who wrote it first; null when the platform did, or they are gone.</summary>
    public Guid? UserId { get; init; }
    public string? CompanyName { get; init; }
    public string? BusinessDescription { get; init; }
    public string? Industry { get; init; }
    public string? Location { get; init; }
    public string? Website { get; init; }
    public string? Positioning { get; init; }
    public string? UniqueValueProposition { get; init; }
    public JsonElement KeyDifferentiators { get; init; }
    public string? BrandVoice { get; init; }
    public JsonElement ToneKeywords { get; init; }
    public JsonElement MessagingPillars { get; init; }
    public JsonElement Products { get; init; }
    public string? PricingInfo { get; init; }
    public JsonElement Competitors { get; init; }
    public JsonElement Data { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    /// <summary>All of it that a language model is told, one fact a line; what is not given is left out.</summary>
    public IReadOnlyList<string> Lines() =>
    [
        .. new (string Name, string? Value)[]
        {
            ("Company", CompanyName), ("What it does", BusinessDescription), ("Industry", Industry), ("Location", Location), ("Website", Website),
            ("Positioning", Positioning), ("What it alone offers", UniqueValueProposition), ("What sets it apart", List(KeyDifferentiators)), ("Brand voice", BrandVoice),
            ("Tone", List(ToneKeywords)), ("What its messages rest on", List(MessagingPillars)), ("Products", List(Products)), ("Prices", PricingInfo),
            ("Competitors", List(Competitors)),
        }.Where(fact => !string.IsNullOrWhiteSpace(fact.Value)).Select(fact => $"{fact.Name}: {fact.Value}"),
    ];

    private static string List(JsonElement list) => string.Join("; ", list.EnumerateArray().Select(Item));

    private static string Item(JsonElement item) => item.ValueKind == JsonValueKind.Object
        ? string.Join(", ", item.EnumerateObject().Select(member => $"{member.Name.Replace('_', ' ')}: {member.Value}"))
        : item.ToString();
}

/// <summary>A foundation as its author writes it: all of it, every time.</summary>
internal sealed record FoundationInput
{
    public string? CompanyName { get; init; }
    public string? BusinessDescription { get; init; }
    public string? Industry { get; init; }
    public string? Location { get; init; }
    public string? Website { get; init; }
    public string? Positioning { get; init; }
    public string? UniqueValueProposition { get; init; }
    public JsonElement? KeyDifferentiators { get; init; }
    public string? BrandVoice { get; init; }
    public JsonElement? ToneKeywords { get; init; }
    public JsonElement? MessagingPillars { get; init; }
    public JsonElement? Products { get; init; }
    public string? PricingInfo { get; init; }
    public JsonElement? Competitors { get; init; }
    public JsonElement? Data { get; init; }

    internal Problem? Problem => new Validation()
        .Text("company_name", CompanyName, 255, required: true).Text("business_description", BusinessDescription, 10_000).Text("industry", Industry, 100)
        .Text("location", Location, 255).Text("website", Website, 500)
        .Check("website", Website is null || (Uri.TryCreate(Website, UriKind.Absolute, out var url) && url.Scheme is "http" or "https"), "Must be an http(s) address.")
        .Text("positioning", Positioning, 10_000).Text("unique_value_proposition", UniqueValueProposition, 10_000).Text("brand_voice", BrandVoice, 100)
        .Text("pricing_info", PricingInfo, 10_000)
        .Items("key_differentiators", KeyDifferentiators).Items("tone_keywords", ToneKeywords).Items("messaging_pillars", MessagingPillars).Items("products", Products)
        .Items("competitors", Competitors).MustBeObject("data", Data).Problem;
}
