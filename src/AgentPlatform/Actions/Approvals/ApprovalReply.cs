using System.Text.RegularExpressions;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Approvals;

/// <summary>An answer as it is written in a reply: <c>approve 482113</c>, <c>yes 482113</c>, <c>reject 482113 too expensive</c>.</summary>
internal sealed partial record ApprovalReply(bool Approves, string Code, string? Reason)
{
    private const int LongestReason = 500;

    /// <summary>Null when the text is no answer. Only its beginning counts; what follows a refusal's code is its reason.</summary>
    internal static ApprovalReply? Read(string text)
    {
        var match = Answer().Match(text);
        if (!match.Success)
        {
            return null;
        }

        var reason = match.Groups["reason"].Value.Trim();
        return new(match.Groups["yes"].Success, match.Groups["code"].Value, reason.Length == 0 ? null : reason.Clip(LongestReason));
    }

    [GeneratedRegex(@"^\W*(?:(?<yes>approved?|yes|ok(?:ay)?)|reject(?:ed)?|no|deny|denied)\W+(?<code>\d{6})(?!\d)[\s.,:;!-]*(?<reason>.*)$", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Singleline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Answer();
}
