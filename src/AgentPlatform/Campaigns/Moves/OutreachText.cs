using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Prompts;
using AgentPlatform.Campaigns.Foundations;
using AgentPlatform.Campaigns.Icps;
using AgentPlatform.Channels;
using AgentPlatform.Contacts.Segments;
using AgentPlatform.Kernel;

namespace AgentPlatform.Campaigns.Moves;

/// <summary>
/// Pure: what an outreach says: a text and, for e-mail, a subject, which may use <c>{{contact.first_name}}</c> and the like, <c>#if</c> and <c>#unless</c>. A name
/// that nothing will fill is an error and not an empty place.
/// </summary>
internal static partial class OutreachText
{
    private const int LongestText = ChannelTypes.LongestSms;
    private const int LongestSubject = 200;

    private static readonly string[] Variables =
    [
        "contact.first_name", "contact.last_name", "contact.display_name", "contact.company", "contact.title", "contact.email", "contact.phone_number",
        "contact.status_level", "foundation.company_name", "foundation.website", "foundation.unique_value_proposition", "campaign.name", "campaign.description",
    ];

    /// <summary>Null when this can be said; nothing may still be missing.</summary>
    internal static string? Error(JsonElement content) => Errors(content).FirstOrDefault();

    internal static string Fill(string template, SegmentContact contact, Foundation? foundation, Campaign campaign) => Templates.Text(template, Json.Of(new
    {
        contact = contact.Facts,
        foundation = new { foundation?.CompanyName, foundation?.Website, foundation?.UniqueValueProposition },
        campaign = new { campaign.Name, campaign.Description },
    })).Trim();

    private static IEnumerable<string> Errors(JsonElement content)
    {
        foreach (var member in content.EnumerateObject().Where(m => m.Name is ("text" or "subject" or "channel") && m.Value.ValueKind != JsonValueKind.Null))
        {
            var wrong = member switch
            {
                { Value.ValueKind: not JsonValueKind.String } => "Must be a text.",
                { Name: "text" } => TemplateError(member.Value.GetString()!, LongestText),
                { Name: "subject" } => TemplateError(member.Value.GetString()!, LongestSubject),
                _ => IcpProfile.Channels.Contains(member.Value.GetString()) ? null : $"Must be one of {string.Join(", ", IcpProfile.Channels)}.",
            };
            if (wrong is not null)
            {
                yield return $"{member.Name}: {wrong}";
            }
        }
    }

    private static string? TemplateError(string template, int longest) => template.Length > longest
        ? $"Must have at most {longest} characters."
        : PromptWriting.Error(template, [.. Variables, .. Field().Matches(template).Select(match => match.Value)]);

    [GeneratedRegex(@"contact\.fields\.[A-Za-z_]\w*", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Field();
}
