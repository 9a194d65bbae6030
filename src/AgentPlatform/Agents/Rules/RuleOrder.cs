namespace AgentPlatform.Agents.Rules;

/// <summary>
/// Pure: the order in which rules can be decided, one after the other. A rule waits for those it requires, for those that override it, and for those
/// of higher rank that it shares an exclusion with. Relations in which a rule waits for itself have no order, and are refused.
/// </summary>
internal static class RuleOrder
{
    /// <summary>The highest priority first; of equals the one that was there first.</summary>
    internal static IOrderedEnumerable<Rule> ByRank(IEnumerable<Rule> rules) => rules.OrderByDescending(rule => rule.Priority).ThenBy(rule => rule.Id);

    /// <summary>Null when there is none. Relations to rules that are not among them do not count.</summary>
    internal static IReadOnlyList<Rule>? Of(IReadOnlyList<Rule> rules)
    {
        var ranked = ByRank(rules).ToList();
        var rank = ranked.Select((rule, i) => (rule.Id, i)).ToDictionary(r => r.Id, r => r.i);
        var (followers, waits) = (ranked.ConvertAll(_ => new List<int>()), new int[ranked.Count]);
        void Waits(int one, int other)
        {
            followers[other].Add(one);
            waits[one]++;
        }

        foreach (var (rule, at) in ranked.Select((rule, at) => (rule, at)))
        {
            foreach (var other in Known(rule.Requires, rank))
            {
                Waits(at, other);
            }

            foreach (var other in Known(rule.Overrides, rank))
            {
                Waits(other, at);
            }

            foreach (var other in Known(rule.Excludes, rank))
            {
                Waits(Math.Max(at, other), Math.Min(at, other));
            }
        }

        return Sorted(ranked, followers, waits);
    }

    private static IEnumerable<int> Known(Guid[] ids, Dictionary<Guid, int> rank) => ids.Where(rank.ContainsKey).Select(id => rank[id]);

    private static List<Rule>? Sorted(List<Rule> ranked, List<List<int>> followers, int[] waits)
    {
        var free = new Queue<int>(Enumerable.Range(0, ranked.Count).Where(at => waits[at] == 0));
        var sorted = new List<Rule>(ranked.Count);
        while (free.TryDequeue(out var at))
        {
            sorted.Add(ranked[at]);
            foreach (var follower in followers[at].Where(follower => --waits[follower] == 0))
            {
                free.Enqueue(follower);
            }
        }

        return sorted.Count == ranked.Count ? sorted : null;
    }
}
