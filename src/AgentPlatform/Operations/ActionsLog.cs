using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Operations;

/// <summary>
/// One thing that agents did. ActionType: <c>llm_call</c>, <c>function_execution</c> or <c>event_published</c>; Name: the purpose of the call, the
/// action, the type of the event. Context: what it was about, mostly a conversation. Only calls of models have tokens and a cost; an event has no latency.
/// </summary>
public sealed record ActionsLogEntry(
    Guid Id, string ActionType, string Name, string Status, Guid? AgentId, string? AgentType, Guid? AgentInstanceId, Guid? ContactId, Guid? ContextId, string? ContextType,
    string? ModelUsed, int? InputTokens, int? OutputTokens, decimal? CostUsd, int? LatencyMs, JsonElement? InputData, JsonElement? OutputData, string? Error, DateTimeOffset CreatedAt);

/// <summary>Which entries; null: any. ContextType: what kind of thing ContextId names.</summary>
public sealed record ActionsLogFilter(string? ActionType, Guid? ContextId, Guid? AgentId, bool? Failed, string ContextType = "conversation");

/// <summary>A module's part of the log: rows that it has anyway, told in the log's terms. Their ids grow with time.</summary>
public interface IActionsLogSource
{
    string ActionType { get; }

    /// <summary>One question, newest first: all sources share a round trip.</summary>
    Task<IReadOnlyList<ActionsLogEntry>> ReadAsync(Transaction tx, ActionsLogFilter filter, PageRequest page, CancellationToken ct);
}

/// <summary>What agents did, whoever keeps it: calls of models, executions of actions and events, merged by time. Nothing is stored twice for it.</summary>
internal sealed class ActionsLog(IEnumerable<IActionsLogSource> sources)
{
    internal static readonly string[] ActionTypes = ["llm_call", "function_execution", "event_published"];

    internal async Task<Page<ActionsLogEntry>> ListAsync(Transaction tx, ActionsLogFilter filter, PageRequest page, CancellationToken ct)
    {
        tx.Gather();
        var asked = sources.Where(source => filter.ActionType is null || source.ActionType == filter.ActionType).Select(source => source.ReadAsync(tx, filter, page, ct)).ToList();
        await tx.AskAsync(ct);
        // As Postgres orders ids: by their bytes from the first on.
        var entries = (await Task.WhenAll(asked)).SelectMany(part => part).OrderByDescending(entry => entry.Id.ToString("n"), StringComparer.Ordinal).Take(page.Fetch);
        return Page<ActionsLogEntry>.Cut([.. entries], page, entry => entry.Id);
    }
}
