using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Contacts.Segments;
using AgentPlatform.Kernel;

namespace AgentPlatform.Campaigns.Icps;

/// <summary>
/// An ideal customer: how they think, and, by <see cref="Rule"/>, which contacts they are. Preferred channels: <c>sms</c>, <c>email</c>, <c>webhook</c>, the
/// first on which a contact can be written to counts.
/// </summary>
public sealed record IcpProfile
{
    public Guid Id { get; init; }
    public Guid? UserId { get; init; }
    public string Name { get; init; } = "";
    public string? Title { get; init; }
    public string? Industry { get; init; }
    public string? CompanySize { get; init; }
    public JsonElement PainPoints { get; init; }
    public JsonElement Goals { get; init; }
    public JsonElement Objections { get; init; }
    public JsonElement PreferredChannels { get; init; }
    public JsonElement Psychographics { get; init; }
    public JsonElement Firmographics { get; init; }
    public JsonElement Data { get; init; }

    /// <summary>A condition over contacts, see <see cref="ContactRule"/>; false selects nobody.</summary>
    public JsonElement Rule { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal static readonly string[] Channels = ["sms", "email", "webhook"];

    internal IReadOnlyList<string> Texts(Func<IcpProfile, JsonElement> list) => Json.Read<string[]>(list(this));
}

/// <summary>A profile as its author writes it: all of it, every time.</summary>
internal sealed record IcpInput
{
    public string? Name { get; init; }
    public string? Title { get; init; }
    public string? Industry { get; init; }
    public string? CompanySize { get; init; }
    public string[]? PainPoints { get; init; }
    public string[]? Goals { get; init; }
    public string[]? Objections { get; init; }
    public string[]? PreferredChannels { get; init; }
    public JsonElement? Psychographics { get; init; }
    public JsonElement? Firmographics { get; init; }
    public JsonElement? Data { get; init; }
    public JsonElement? Rule { get; init; }

    internal Problem? Problem => new Validation()
        .Text("name", Name, 255, required: true).Text("title", Title, 255).Text("industry", Industry, 100).Text("company_size", CompanySize, 50)
        .Texts("pain_points", PainPoints).Texts("goals", Goals).Texts("objections", Objections)
        .Check("preferred_channels", PreferredChannels?.All(IcpProfile.Channels.Contains) != false, $"Holds only {string.Join(", ", IcpProfile.Channels)}.")
        .MustBeObject("psychographics", Psychographics).MustBeObject("firmographics", Firmographics).MustBeObject("data", Data)
        .Check("rule", RuleError is null, RuleError ?? "").Problem;

    private string? RuleError => Rule is { } rule ? ContactRule.Error(rule) : null;
}

/// <summary>Which contacts a profile is for, and where they can be written to.</summary>
public sealed record IcpAudience(Guid IcpId, long Contacts, long Sms, long Email, long Webhook, long Unreachable);
