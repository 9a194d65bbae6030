using AgentPlatform.Api;
using AgentPlatform.Costs;
using AgentPlatform.Kernel;
using AgentPlatform.Models;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Models;

/// <summary>An agent with a language model, which a fake provider serves.</summary>
internal static class ModelStage
{
    internal const string Key = "key-of-the-test-000000000";

    internal static async Task<LlmModel> AddModelAsync(this Talk talk, FakeModel server, string name = "main", string provider = "anthropic", int timeout = 20)
    {
        var input = new LlmModelInput(
            name, provider, $"{name}-1", provider == "openai" ? $"{server.Url}/v1" : server.Url, Key, InputPrice: 3, OutputPrice: 15, CacheWritePrice: 3.75m, CacheReadPrice: 0.3m,
            MaxOutputTokens: 500, TimeoutSeconds: timeout);
        var added = await talk.Platform.Get<ManageModels>().AddAsync(talk.Actor, input, default);
        Assert.True(added.IsOk, Json.Text(added.Problem));
        return added.Value;
    }

    /// <summary>The agent asks these models, in their order.</summary>
    internal static async Task UseAsync(this Talk talk, string use, params string[] models)
    {
        var agents = talk.Platform.Get<ManageAgents>();
        Assert.True((await agents.ChangeAsync(talk.Actor, talk.AgentId, new(null, null, "You are Ada.", models[0], null), IfMatch.Any, default)).IsOk);
        Assert.True((await agents.ConfigureAsync(talk.Actor, talk.AgentId, new(null, ModelUse: use, FallbackModels: models[1..]), IfMatch.Any, default)).IsOk);
    }

    internal static async Task<Budget> LimitAsync(this Talk talk, decimal daily, bool stops = true)
    {
        var set = await talk.Platform.Get<ManageBudgets>().SetAsync(talk.Actor, agentId: null, new(daily, null, null, AutoStopOnLimit: stops), IfMatch.Any, default);
        Assert.True(set.IsOk, Json.Text(set.Problem));
        return set.Value;
    }

    /// <summary>Oldest first.</summary>
    internal static async Task<IReadOnlyList<StoredCall>> CallsAsync(this Talk talk) =>
        [.. (await talk.InAsync(tx => CallJournal.ListAsync(tx, talk.ConversationId, status: null, new PageRequest(50, null), default))).Items.Reverse()];

    internal static async Task<IReadOnlyList<StoredUsage>> UsageAsync(this Talk talk) =>
        (await talk.InAsync(tx => UsageLedger.ListAsync(tx, agentId: null, talk.ConversationId, new PageRequest(50, null), default))).Items;

    internal static async Task<Budget> BudgetAsync(this Talk talk, Guid id) => (await talk.Platform.Get<ManageBudgets>().FindAsync(talk.Actor, id, default)).Value;
}
