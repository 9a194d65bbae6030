using AgentPlatform.Agents;
using AgentPlatform.Agents.ReplyTemplates;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Caching.Memory;

namespace AgentPlatform.Brain.Rules;

/// <summary>
/// Agents' rules and templates in memory. Every turn asks for the version in the round trip that loads the rest of it, and they are read only when that has
/// moved on: all hosts act by a change from the moment it commits.
/// </summary>
internal sealed class RuleBooks(Guidance guidance, RuleStore rules, TemplateStore templates) : IDisposable
{
    /// <summary>Of rules and templates; each takes some kilobytes.</summary>
    private const int Most = 50_000;

    private readonly MemoryCache _books = new(new MemoryCacheOptions { SizeLimit = Most });

    internal async Task<RuleBook> OfAgentAsync(Transaction tx, Guid agentId, CancellationToken ct)
    {
        if (await guidance.VersionAsync(tx, agentId, ct) is not { } version)
        {
            return RuleBook.Empty;
        }

        var key = (tx.TenantId, agentId);
        if (_books.TryGetValue(key, out RuleBook? known) && known!.Version == version)
        {
            return known;
        }

        // Read after the version, they are at least as new as it says.
        var book = new RuleBook(version, await rules.OfAgentAsync(tx, agentId, ct), await templates.OfAgentAsync(tx, agentId, ct));
        _books.Set(key, book, new MemoryCacheEntryOptions { Size = 1 + book.Rules.Count + book.Templates.Count });
        return book;
    }

    public void Dispose() => _books.Dispose();
}
