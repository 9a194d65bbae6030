using AgentPlatform.Agents.Rules;
using AgentPlatform.Brain.Rules;
using Microsoft.Extensions.Caching.Memory;

namespace AgentPlatform.Brain.Shadows;

/// <summary>The rules of shadows, ready to be asked, kept while neither the shadow nor its agent changes: a thousand take some fifty milliseconds to make ready.</summary>
internal sealed class CandidateBooks : IDisposable
{
    /// <summary>Rules and templates; each takes some kilobytes.</summary>
    private const int Most = 20_000;

    private readonly MemoryCache _books = new(new MemoryCacheOptions { SizeLimit = Most });

    internal RuleBook Of(WaitingTurn turn, AgentBook book, RuleChanges changes)
    {
        if (_books.TryGetValue((turn.ShadowId, turn.ShadowUpdatedAt, book.Version), out RuleBook? known))
        {
            return known!;
        }

        var rules = new RuleBook(changes.Over(book.Rules.Written, turn.AgentId), book.Rules.Templates);
        _books.Set((turn.ShadowId, turn.ShadowUpdatedAt, book.Version), rules, new MemoryCacheEntryOptions { Size = 1 + rules.Written.Count + rules.Templates.Count });
        return rules;
    }

    public void Dispose() => _books.Dispose();
}
