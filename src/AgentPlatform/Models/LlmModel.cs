using System.Text.Json.Serialization;
using AgentPlatform.Costs;

namespace AgentPlatform.Models;

/// <summary>
/// A language model that the tenant's agents may ask, and what it costs. Provider: <c>anthropic</c>, or <c>openai</c> for everything that speaks
/// OpenAI's API. Prices are US dollars for a million tokens. The key is sealed, and never shown.
/// </summary>
public sealed record LlmModel(
    Guid Id, string Name, string Provider, string Model, string? BaseUrl, [property: JsonIgnore] string? ApiKeySealed, decimal InputPrice, decimal OutputPrice,
    decimal CacheWritePrice, decimal CacheReadPrice, int MaxOutputTokens, int TimeoutSeconds, bool IsActive, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    private const decimal Million = 1_000_000m;

    /// <summary>What every call adds around what it is told: the provider's own words about tools.</summary>
    private const int Overhead = 1_000;

    public bool HasApiKey => ApiKeySealed is not null;

    internal TokenCosts CostOf(TokenCounts tokens) => new(
        Round(tokens.Input * InputPrice), Round(tokens.Output * OutputPrice), Round((tokens.CacheCreation * CacheWritePrice) + (tokens.CacheRead * CacheReadPrice)));

    /// <summary>A token is a byte at least, so a call that tells so many bytes cannot cost more.</summary>
    internal decimal WorstCase(int bytes) =>
        Math.Round((((bytes + Overhead) * Math.Max(InputPrice, Math.Max(CacheWritePrice, CacheReadPrice))) + (MaxOutputTokens * OutputPrice)) / Million, 6, MidpointRounding.ToPositiveInfinity);

    private static decimal Round(decimal millionths) => Math.Round(millionths / Million, 6, MidpointRounding.AwayFromZero);
}

/// <summary>A model to add, or what to change of one: then null leaves a field as it is, and an empty <see cref="ApiKey"/> or <see cref="BaseUrl"/> removes it.</summary>
public sealed record LlmModelInput(
    string? Name = null, string? Provider = null, string? Model = null, string? BaseUrl = null, string? ApiKey = null, decimal? InputPrice = null,
    decimal? OutputPrice = null, decimal? CacheWritePrice = null, decimal? CacheReadPrice = null, int? MaxOutputTokens = null, int? TimeoutSeconds = null, bool? IsActive = null);
