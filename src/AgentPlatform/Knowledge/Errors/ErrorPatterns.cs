using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Knowledge.Patterns;
using AgentPlatform.Postgres;

namespace AgentPlatform.Knowledge.Errors;

/// <summary>An error as it was told.</summary>
internal sealed record ToldError(string Type, string Message);

/// <summary>Writes and reads <c>error_patterns</c>: how often an error came, and what helped.</summary>
internal sealed class ErrorPatterns(Database database, TimeProvider clock)
{
    internal async Task<Page<ErrorPattern>> ListAsync(Transaction tx, string? errorType, string? context, PageRequest page, CancellationToken ct) =>
        Page<ErrorPattern>.Cut(await tx.QueryAsync<ErrorPattern>(Sql.List, [errorType, context, page.Before, page.Fetch], ct), page, row => row.Id);

    internal Task<ErrorPattern?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<ErrorPattern>(Sql.Find, [id], ct);

    /// <summary>Problem <c>error_pattern_exists</c>.</summary>
    internal async Task<Result<ErrorPattern>> CreateAsync(Actor actor, ErrorPatternBody body, CancellationToken ct) =>
        body.ProblemAsNew is { } problem ? problem : await database.WriteAsync(
            actor,
            tx => tx.FindAsync<ErrorPattern>(Sql.Insert,
            [
                tx.TenantId, clock.NewId(), actor.Owner(body.Shared == true), body.ErrorType, body.ErrorMessage, body.Context, Json.Param((body.RecoveryStrategies ?? []).Select(s => s.Strategy)),
                Json.Param(body.Metadata ?? Json.Of(new { })), clock.GetUtcNow(),
            ], ct),
            Problem.Conflict("error_pattern_exists", "There is a pattern of this error."), ct);

    /// <summary>A strategy that stays in the list keeps its counts.</summary>
    internal async Task<Result<ErrorPattern>> ChangeAsync(Actor actor, Guid id, ErrorPatternBody body, IfMatch match, CancellationToken ct) =>
        body.ProblemAsChange is { } problem ? problem : await database.ChangeAsync(
            actor, "error_pattern", match, tx => HoldAsync(tx, id, ct),
            async (tx, row) =>
            {
                var before = Json.Read<RecoveryStrategy[]>(row.RecoveryStrategies);
                var strategies = body.RecoveryStrategies?.Select(s => s.Strategy.CountedAs(before)) ?? before;
                return await tx.SingleAsync<ErrorPattern>(Sql.Change, [id, Json.Param(strategies), Json.Param(body.Metadata)], ct);
            }, ct);

    internal Task<Result<ErrorPattern>> DeleteAsync(Actor actor, Guid id, IfMatch match, CancellationToken ct) =>
        database.ChangeAsync(actor, "error_pattern", match, tx => HoldAsync(tx, id, ct), (tx, row) =>
        {
            tx.Post(Sql.Delete, id);
            return Task.FromResult<Result<ErrorPattern>>(row);
        }, ct);

    /// <summary>A worker has met an error: it is counted, and what is known of it is the answer.</summary>
    internal async Task<Result<ErrorPattern>> ReportAsync(Actor actor, OccurrenceBody body, CancellationToken ct) =>
        body.Problem is { } problem ? problem : await database.WriteAsync(
            actor,
            tx =>
            {
                Occurred(tx, new ToldError(body.ErrorType!, body.ErrorMessage!), body.Context, clock.GetUtcNow());
                return tx.FindAsync<ErrorPattern>(Sql.Known, [body.ErrorType, body.Context, body.ErrorMessage], ct);
            },
            Problem.NotFound("error_pattern"), ct);

    /// <summary>Something was tried against an error. Problem <c>nothing_to_resolve</c>: all its occurrences are resolved.</summary>
    internal async Task<Result<ErrorPattern>> RecoverAsync(Actor actor, Guid id, RecoveryBody body, CancellationToken ct) =>
        body.Problem is { } problem ? problem : await database.ChangeAsync(
            actor, "error_pattern", IfMatch.Any, tx => HoldAsync(tx, id, ct),
            async (tx, row) => body.Succeeded == true && row.ResolvedCount == row.OccurrenceCount
                ? Problem.Conflict("nothing_to_resolve", "All occurrences of the error are resolved.")
                : await tx.SingleAsync<ErrorPattern>(Sql.Recovered, [id, Json.Param(body.Strategy!.Strategy), body.Succeeded], ct), ct);

    /// <summary>
    /// An error has come: every pattern of it is raised, the members' own too. The one that all share is made when it is new, from the signature
    /// alone: what a message quotes may not be everybody's to read.
    /// </summary>
    internal void Occurred(Transaction tx, ToldError error, string? context, DateTimeOffset at) =>
        tx.Post(Sql.Occurred, tx.TenantId, clock.NewId(), error.Type, error.Message, context, at.ToUniversalTime());

    /// <summary>What these errors were met with did, or did not, help.</summary>
    internal void Credit(Transaction tx, IReadOnlyCollection<ToldError> errors, string context, RecoveryStrategy strategy, bool worked) =>
        tx.Post(Sql.Credit, errors.Select(e => e.Type).ToArray(), errors.Select(e => e.Message).ToArray(), context, Json.Param(strategy), worked);

    private static Task<ErrorPattern?> HoldAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<ErrorPattern>(Sql.Lock, [id], ct);

    private static class Sql
    {
        internal const string List =
            """
            SELECT * FROM knowledge.error_patterns
            WHERE ($1::text IS NULL OR error_type = $1) AND ($2::text IS NULL OR context = $2) AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """;

        internal const string Find = "SELECT * FROM knowledge.error_patterns WHERE id = $1";

        internal const string Lock = "SELECT * FROM knowledge.error_patterns WHERE id = $1 FOR NO KEY UPDATE";

        // One that says what to do comes before one that does not, one's own before the shared one.
        internal const string Known =
            """
            SELECT * FROM knowledge.error_patterns
            WHERE error_type = $1 AND context IS NOT DISTINCT FROM $2::text AND signature = work.error_signature($3)
              AND (user_id IS NULL OR user_id = kernel.current_user_id())
            ORDER BY recovery_strategies = '[]', user_id NULLS LAST LIMIT 1
            """;

        internal const string Insert =
            """
            INSERT INTO knowledge.error_patterns (tenant_id, id, user_id, error_type, error_message, signature, context, recovery_strategies, metadata, created_at)
            VALUES ($1, $2, $3, $4, $5, work.error_signature($5), $6, $7, $8, $9)
            ON CONFLICT ON CONSTRAINT error_pattern_once DO NOTHING
            RETURNING *
            """;

        internal const string Change =
            "UPDATE knowledge.error_patterns SET recovery_strategies = $2::jsonb, metadata = coalesce($3::jsonb, metadata) - 'learned' WHERE id = $1 RETURNING *";

        internal const string Delete = "DELETE FROM knowledge.error_patterns WHERE id = $1";

        internal const string Occurred =
            """
            WITH own AS (
                UPDATE knowledge.error_patterns
                SET occurrence_count = occurrence_count + 1, last_occurred = greatest(last_occurred, $6::timestamptz)
                WHERE error_type = $3 AND context IS NOT DISTINCT FROM $5::text AND signature = work.error_signature($4) AND user_id IS NOT NULL
            )
            INSERT INTO knowledge.error_patterns AS p (tenant_id, id, error_type, error_message, signature, context, occurrence_count, last_occurred, metadata, created_at)
            VALUES ($1, $2, $3, work.error_signature($4), work.error_signature($4), $5::text, 1, $6, '{"learned": true}', $6)
            ON CONFLICT ON CONSTRAINT error_pattern_once DO UPDATE
            SET occurrence_count = p.occurrence_count + 1, last_occurred = greatest(p.last_occurred, excluded.last_occurred)
            """;

        internal const string Recovered =
            """
            UPDATE knowledge.error_patterns
            SET recovery_strategies = knowledge.credit_strategy(recovery_strategies, $2::jsonb, $3::boolean), resolved_count = resolved_count + $3::boolean::integer
            WHERE id = $1
            RETURNING *
            """;

        // A pattern that was forgotten meanwhile and came anew has seen fewer occurrences than there are recoveries.
        internal const string Credit =
            """
            UPDATE knowledge.error_patterns AS p
            SET recovery_strategies = knowledge.credit_strategy(p.recovery_strategies, $4::jsonb, $5::boolean),
                resolved_count = least(p.resolved_count + $5::boolean::integer, p.occurrence_count)
            FROM (SELECT DISTINCT error_type, work.error_signature(message) AS signature FROM unnest($1::text[], $2::text[]) AS e (error_type, message)) AS e
            WHERE p.error_type = e.error_type AND p.context = $3 AND p.signature = e.signature
            """;
    }
}
