using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Approvals;

/// <summary>
/// What the registry says about an action that a person must allow. <see cref="RiskLevel"/>: low, medium, high or critical.
/// <see cref="Quorum"/>: members who must agree, default 1. <see cref="ExpiresInSeconds"/>: default a day. <see cref="TimeoutAction"/>:
/// <c>reject</c> (default) or <c>approve</c>. <see cref="EditableFields"/>: parameters that the approver may correct.
/// <see cref="ScreenshotUrl"/>: a template over the parameters that gives an http(s) address. <see cref="Approvers"/>: the members who are told, by text
/// message or e-mail; default the owners and admins.
/// </summary>
internal sealed record ApprovalPolicy(
    string RiskLevel, string[]? Factors, int? Quorum, int? ExpiresInSeconds, string? TimeoutAction, string[]? EditableFields, string? ScreenshotUrl, Guid[]? Approvers = null)
{
    /// <summary>The blocker reason of a request that waits for its approval.</summary>
    internal const string Awaiting = "awaiting_approval";

    private static readonly string[] RiskLevels = ["low", "medium", "high", "critical"];
    private static readonly string[] TimeoutActions = ["reject", "approve"];

    internal TimeSpan ExpiresIn => TimeSpan.FromSeconds(ExpiresInSeconds ?? 24 * 60 * 60);

    /// <summary>What is wrong with the entry's <c>approval</c>; nothing when it has none.</summary>
    internal static IEnumerable<(string Field, string Message)> Errors(ActionDefinition action)
    {
        if (action.Approval is not { } json)
        {
            yield break;
        }

        if (RegistryRules.TryRead<ApprovalPolicy>(json) is not { } policy)
        {
            yield return ("approval", "Must be an object with risk_level, factors, quorum, expires_in_seconds, timeout_action, editable_fields, screenshot_url and approvers.");
            yield break;
        }

        foreach (var (ok, message) in new[]
        {
            (RiskLevels.Contains(policy.RiskLevel, StringComparer.Ordinal), $"risk_level must be one of {string.Join(", ", RiskLevels)}."),
            (policy.Approvers is null or { Length: >= 1 and <= 20 }, "approvers must name 1 to 20 members by their user_id."),
            (policy.Quorum is null or (>= 1 and <= 20), "quorum must be between 1 and 20."),
            (policy.ExpiresInSeconds is null or (>= 1 and <= 30 * 24 * 60 * 60), "expires_in_seconds must be between 1 and 2592000."),
            (policy.TimeoutAction is null || TimeoutActions.Contains(policy.TimeoutAction, StringComparer.Ordinal), "timeout_action must be reject or approve."),
            (!(policy.EditableFields ?? []).Except(action.Required.Concat(action.Optional), StringComparer.Ordinal).Any(), "editable_fields must name parameters of the action."),
            (policy.ScreenshotUrl is null || Templates.Error(policy.ScreenshotUrl) is null, "screenshot_url must be a template."),
        })
        {
            if (!ok)
            {
                yield return ("approval", message);
            }
        }
    }

    /// <summary>Why the request waits, and what the contact is told meanwhile.</summary>
    internal Blocked Wait(ActionDefinition action) =>
        new(Awaiting, $"{action.Title} needs the approval of a colleague. I have asked for it.", Json.Of(new { RiskLevel, Factors }));

    /// <summary>The picture the approver is shown; null when the parameters make no address.</summary>
    internal string? Screenshot(QueuedAction item)
    {
        if (ScreenshotUrl is null)
        {
            return null;
        }

        try
        {
            var text = Templates.Text(ScreenshotUrl, TemplateData.Of(item, null));
            return Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" ? url.AbsoluteUri : null;
        }
        catch (TemplateException)
        {
            return null;
        }
    }
}
