using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Campaigns;

/// <summary>
/// A campaign. Type: <c>product_launch</c>, <c>diwali</c>, <c>leadgen</c> or <c>awareness</c>. Status: <c>draft</c>, <c>active</c>, <c>paused</c> or
/// <c>completed</c>, see <see cref="CampaignStep"/>. Dates are days in UTC.
/// </summary>
public sealed record Campaign
{
    public Guid Id { get; init; }
    public Guid? UserId { get; init; }
    public string Name { get; init; } = "";
    public string? Description { get; init; }
    public string Type { get; init; } = "";
    public string Status { get; init; } = "";

    /// <summary>Outreach waits for it.</summary>
    public DateOnly? StartDate { get; init; }

    /// <summary>The last day; the campaign is completed when it is over.</summary>
    public DateOnly? EndDate { get; init; }

    /// <summary>Whose contacts it writes to.</summary>
    public Guid[] TargetIcps { get; init; } = [];
    public JsonElement FocusAreas { get; init; }

    /// <summary>1 (careful) to 10 (bold): decides how often people are written to, and whether a member looks at the words first.</summary>
    public int RiskLevel { get; init; }

    /// <summary><c>{"source", "summary", "key_messages"}</c>; source: the model's name, or <c>template</c>.</summary>
    public JsonElement Strategy { get; init; }

    /// <summary><c>[{"name", "goal", "start_date", "end_date", "moves"}]</c>.</summary>
    public JsonElement Phases { get; init; }

    /// <summary>What has become of its moves and of their messages.</summary>
    public JsonElement Metrics { get; init; }

    /// <summary><c>none</c>, <c>queued</c>, <c>generated</c> or <c>failed</c> (why: <see cref="GenerationError"/>).</summary>
    public string GenerationStatus { get; init; } = "";
    public Guid? GenerationId { get; init; }
    public string? GenerationError { get; init; }

    /// <summary>The last change by a member or a generation (metrics are none); the ETag.</summary>
    public DateTimeOffset ChangedAt { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal static readonly string[] Types = ["product_launch", "diwali", "leadgen", "awareness"];
    internal static readonly string[] Statuses = ["draft", "active", "paused", "completed"];
    internal const int DefaultRisk = 5;
}

/// <summary>A campaign as its author writes it: all of it, every time.</summary>
internal sealed record CampaignInput
{
    private const int MostIcps = 20;

    public string? Name { get; init; }
    public string? Description { get; init; }
    public string? Type { get; init; }
    public DateOnly? StartDate { get; init; }
    public DateOnly? EndDate { get; init; }
    public Guid[]? TargetIcps { get; init; }
    public string[]? FocusAreas { get; init; }
    public int? RiskLevel { get; init; }

    internal Guid[] Icps => [.. (TargetIcps ?? []).Distinct()];

    internal Problem? Problem => new Validation()
        .Text("name", Name, 255, required: true).Text("description", Description, 10_000).OneOf("type", Type, required: true, Campaign.Types)
        .Check("end_date", EndDate is null || StartDate is null || EndDate >= StartDate, "Must not be before start_date.")
        .Check("target_icps", Icps.Length <= MostIcps, $"Names at most {MostIcps} profiles.")
        .Texts("focus_areas", FocusAreas)
        .Check("risk_level", RiskLevel is null or (>= 1 and <= 10), "Must be between 1 and 10.").Problem;
}

/// <summary>A step in the life of a campaign, and whence it is allowed: there are no others.</summary>
internal sealed record CampaignStep(string Name, string[] From, string To, string Happened)
{
    internal static readonly CampaignStep Start = new("started", ["draft"], "active", "campaign.started");
    internal static readonly CampaignStep Pause = new("paused", ["active"], "paused", "campaign.paused");
    internal static readonly CampaignStep Resume = new("resumed", ["paused"], "active", "campaign.resumed");

    /// <summary>Also of a paused one: to be completed it need not write to anybody again.</summary>
    internal static readonly CampaignStep Complete = new("completed", ["active", "paused"], "completed", "campaign.completed");
}
