using System.Text.Json;
using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Postgres;

namespace AgentPlatform.Knowledge.Errors;

/// <summary>What is known of the errors of actions, as the caller may see it.</summary>
internal sealed class ErrorAdvice : IErrorAdvisor
{
    public async Task<IReadOnlyList<KnownError?>> AdviseAsync(Transaction tx, IReadOnlyList<SeenError> errors, CancellationToken ct)
    {
        var known = await tx.QueryAsync<Advice>(
            Sql.Known, [errors.Select(e => e.Kind).ToArray(), errors.Select(e => ErrorPattern.OfAction(e.ActionId)).ToArray(), errors.Select(e => e.Message).ToArray()], ct);
        var byPlace = known.ToDictionary(advice => advice.Place, advice => advice.Known);
        return [.. Enumerable.Range(1, errors.Count).Select(place => byPlace.GetValueOrDefault(place))];
    }

    private sealed record Advice
    {
        public int Place { get; init; }
        public Guid PatternId { get; init; }
        public int OccurrenceCount { get; init; }
        public int ResolvedCount { get; init; }
        public DateTimeOffset? LastOccurred { get; init; }
        public JsonElement RecoveryStrategies { get; init; }

        internal KnownError Known => new()
        {
            PatternId = PatternId,
            OccurrenceCount = OccurrenceCount,
            ResolvedCount = ResolvedCount,
            LastOccurred = LastOccurred,
            RecoveryStrategies = RecoveryStrategies,
        };
    }

    private static class Sql
    {
        // One that says what to do comes before one that does not, one's own before the shared one.
        internal const string Known =
            """
            SELECT DISTINCT ON (e.place) e.place::integer AS place, p.id AS pattern_id, p.occurrence_count, p.resolved_count, p.last_occurred, p.recovery_strategies
            FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS e (error_type, context, message, place)
            JOIN knowledge.error_patterns AS p ON p.error_type = e.error_type AND p.context = e.context AND p.signature = work.error_signature(e.message)
            WHERE p.user_id IS NULL OR p.user_id = kernel.current_user_id()
            ORDER BY e.place, p.recovery_strategies = '[]', p.user_id NULLS LAST
            """;
    }
}
