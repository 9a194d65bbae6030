using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Prompts;
using AgentPlatform.Campaigns.Foundations;
using AgentPlatform.Contacts.Segments;
using AgentPlatform.Kernel;

namespace AgentPlatform.Campaigns.Moves;

/// <summary>
/// Pure: what an outreach says: a text and, for e-mail, a subject, which may use <c>{{contact.first_name}}</c> and the like, <c>#if</c> and <c>#unless</c>. A name
/// that nothing will fill is an error and not an empty place.
/// </summary>
internal static partial class OutreachText
{
    /// <summary>As many as a long text message may have.</summary>
    private const int LongestText = 1600;
    private const int LongestSubject = 200;

    private static readonly string[] Variables =
    [
        "contact.first_name", "contact.last_name", "contact.display_name", "contact.company", "contact.title", "contact.email", "contact.phone_number",
        "contact.status_level", "foundation.company_name", "foundation.website", "foundation.unique_value_proposition", "campaign.name", "campaign.description",
    ];

    /// <summary>Null when this can be said; nothing may still be missing.</summary>
    internal static string? Error(JsonElement content) =>
        Member(content, "text") is { } text && (text.Length > LongestText ? $"text: Must have at most {LongestText} characters." : TemplateError(text)) is { } wrongText ? wrongText
        : Member(content, "subject") is { } subject && (subject.Length > LongestSubject ? $"subject: Must have at most {LongestSubject} characters." : TemplateError(subject)) is { } wrongSubject ? wrongSubject
        : Member(content, "channel") is { } channel && !Icps.IcpProfile.Channels.Contains(channel) ? $"channel: Must be one of {string.Join(", ", Icps.IcpProfile.Channels)}."
        : content.EnumerateObject().FirstOrDefault(m => m.Name is "text" or "subject" or "channel" && m.Value.ValueKind is not (JsonValueKind.String or JsonValueKind.Null)).Name is { } name ? $"{name}: Must be a text."
        : null;

    internal static string Fill(string template, SegmentContact contact, Foundation? foundation, Campaign campaign) => Templates.Text(template, Json.Of(new
    {
        contact = contact.Facts,
        foundation = new { foundation?.CompanyName, foundation?.Website, foundation?.UniqueValueProposition },
        campaign = new { campaign.Name, campaign.Description },
    })).Trim();

    private static string? TemplateError(string template) =>
        PromptWriting.Error(template, [.. Variables, .. Field().Matches(template).Select(match => match.Value)]);

    private static string? Member(JsonElement content, string name) =>
        content.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    [GeneratedRegex(@"contact\.fields\.[A-Za-z_]\w*", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Field();
}
