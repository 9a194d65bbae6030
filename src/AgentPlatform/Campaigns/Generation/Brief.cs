using AgentPlatform.Campaigns.Foundations;
using AgentPlatform.Campaigns.Icps;
using AgentPlatform.Kernel;
using AgentPlatform.Models;

namespace AgentPlatform.Campaigns.Generation;

/// <summary>Pure: what whoever writes for a campaign, a model or a template, gets to know.</summary>
internal sealed record Brief(Foundation? Foundation, Campaign? Campaign, IReadOnlyList<IcpProfile> Icps)
{
    internal BriefWords Words => new(
        Foundation?.CompanyName ?? "We",
        (Foundation?.UniqueValueProposition ?? Foundation?.Positioning ?? Campaign?.Description ?? Campaign?.Name ?? "what we do").TrimEnd('.', ' '),
        Campaign?.Name ?? Foundation?.CompanyName ?? "this",
        First(icp => icp.PainPoints) ?? "what costs you time today",
        First(icp => icp.Goals) ?? "what you want to reach",
        Campaign is null ? [] : Json.Read<string[]>(Campaign.FocusAreas));

    internal ModelPrompt Prompt(string task, AnswerForm form) => new(
        string.Join("\n\n", new[]
        {
            "You plan and write the marketing of a company. Be plain and truthful; promise nothing that you were not told.",
            Foundation is null ? "" : $"The company:\n{string.Join('\n', Foundation.Lines())}",
            Campaign is null ? "" : $"The campaign:\n{Told(Campaign)}\nRisk level: 1 is careful, 10 is bold.",
            Icps.Count == 0 ? "" : $"Whom it is for:\n{string.Join('\n', Icps.Select(Told))}",
            $"Answer by filling in the form `{form.Name}`.",
        }.Where(part => part.Length > 0)),
        [new PromptMessage(FromContact: true, task)], form);

    private static string Told(Campaign campaign) => Json.Text(new
    {
        campaign.Name,
        campaign.Description,
        campaign.Type,
        campaign.StartDate,
        campaign.EndDate,
        campaign.FocusAreas,
        campaign.RiskLevel,
    });

    private static string Told(IcpProfile icp) => Json.Text(new
    {
        icp.Name,
        icp.Title,
        icp.Industry,
        icp.CompanySize,
        icp.PainPoints,
        icp.Goals,
        icp.Objections,
        icp.PreferredChannels,
    });

    private string? First(Func<IcpProfile, System.Text.Json.JsonElement> list) => Icps.SelectMany(icp => icp.Texts(list)).FirstOrDefault();
}

/// <summary>The words that templates put into their places.</summary>
internal sealed record BriefWords(string Company, string Offer, string Campaign, string Pain, string Goal, IReadOnlyList<string> Focus);
