using System.Text.Json;
using System.Text.Json.Nodes;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Http;

namespace AgentPlatform.Console.Approvals;

/// <summary>Parameters of an action as fields of a form.</summary>
internal static class ApprovalFields
{
    internal const string Prefix = "edit.";

    /// <summary>Texts as they are, anything else as JSON.</summary>
    internal static string Text(JsonElement value) => value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();

    /// <summary>All that is asked for, and what else may be filled in.</summary>
    internal static IReadOnlyList<(string Name, string Value, bool MayEdit)> Of(ActionApproval approval)
    {
        var given = approval.ActionParams.EnumerateObject().Select(p => (p.Name, Text(p.Value), approval.EditableFields.Contains(p.Name))).ToList();
        return [.. given, .. approval.EditableFields.Except(given.Select(g => g.Name)).Select(name => (name, "", true))];
    }

    /// <summary>The fields that were changed, in their own types; null when none was.</summary>
    internal static JsonElement? Edits(ActionApproval approval, IFormCollection form)
    {
        var edits = new JsonObject();
        foreach (var (name, before, _) in Of(approval).Where(field => field.MayEdit))
        {
            // A browser sends line ends of its own.
            if (form.TryGetValue(Prefix + name, out var sent) && sent.ToString().ReplaceLineEndings("\n") is var text && text != before.ReplaceLineEndings("\n"))
            {
                edits[name] = approval.ActionParams.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.String ? Parse(text) : text;
            }
        }

        return edits.Count == 0 ? null : Json.Of(edits);
    }

    private static JsonNode? Parse(string text)
    {
        try
        {
            return JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            return text; // The action's own rule says what is wrong with it.
        }
    }
}
