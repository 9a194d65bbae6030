using System.Text.Json;
using AgentPlatform.Agents.ReplyTemplates;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Brain;

namespace AgentPlatform.Tests.Agents;

/// <summary>Rules for an agent of a talk, and what a turn has recorded of them.</summary>
internal static class Guiding
{
    internal static RuleInput Rule(string phrases, string action, object? config = null, string? name = null) =>
        new(name ?? phrases, null, null, phrases, action, config is null ? null : Json.Of(config), null, null, null, null, null, null, null);

    internal static RuleInput Says(string phrases, string text, string? name = null) => Rule(phrases, "say", new { text }, name);

    internal static async Task<Rule> RuleAsync(this Talk talk, RuleInput input)
    {
        var created = await talk.Platform.Get<ManageRules>().CreateAsync(talk.Actor, talk.AgentId, input, default);
        Assert.True(created.IsOk, Json.Text(created.Problem));
        return created.Value;
    }

    internal static async Task<Rule> ChangeAsync(this Talk talk, Guid id, RuleInput input)
    {
        var changed = await talk.Platform.Get<ManageRules>().ChangeAsync(talk.Actor, id, input, IfMatch.Any, default);
        Assert.True(changed.IsOk, Json.Text(changed.Problem));
        return changed.Value;
    }

    internal static async Task<ReplyTemplate> WordAsync(this Talk talk, string content, string? mode = null, string? scope = null, Guid? scopeId = null)
    {
        var created = await talk.Platform.Get<ManageTemplates>().CreateAsync(talk.Actor, talk.AgentId, new($"says {content}", content, mode, scope, scopeId), default);
        Assert.True(created.IsOk, Json.Text(created.Problem));
        return created.Value;
    }

    /// <summary>Of the last turn, each as "name: outcome".</summary>
    internal static async Task<string[]> OutcomesAsync(this Talk talk) =>
        [.. (await talk.RulesMatchedAsync()).EnumerateArray().Select(rule => $"{rule.GetProperty("name").GetString()}: {rule.GetProperty("outcome").GetString()}")];

    internal static Task<JsonElement> RulesMatchedAsync(this Talk talk) => talk.InAsync(tx => tx.SingleAsync<JsonElement>(
        "SELECT rules_matched FROM conversations.turn_records WHERE conversation_id = $1 ORDER BY id DESC LIMIT 1", [talk.ConversationId], default));
}
