using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Models;

/// <summary>Every call of a model, written before it is made and again when it is over.</summary>
internal sealed class CallJournal(TimeProvider clock)
{
    internal void Start(Transaction tx, Guid id, NewCall call) => tx.Post(
        Sql.Start, id, call.Place.TurnId, call.Place.Attempt, call.Place.AgentId, call.Place.AgentType, $"model_{call.Purpose}", call.Place.ContactId,
        call.Place.ContextId, call.Place.ThroughId, call.Model.Name, call.Model.Model, call.Model.Provider, Json.Param(call.Prompt), clock.GetUtcNow(),
        call.Version?.TemplateSetId, call.Version?.Version, call.Place.AgentInstanceId, call.Place.ContextType);

    /// <summary>A call that was given up as interrupted stays so; what it cost is written all the same.</summary>
    internal void Finish(Transaction tx, Guid id, ModelReply reply, decimal? cost, int latency)
    {
        JsonElement? output = reply.Error is null
            ? Json.Of(new { arguments = reply.Arguments, text = reply.Text, finish_reason = reply.FinishReason, request_id = reply.RequestId })
            : null;
        tx.Post(
            Sql.Finish, id, reply.Error is null ? "answered" : "failed", Json.Param(output), reply.Error, reply.Tokens is { } t ? t.Total - t.Output : null, reply.Tokens?.Output,
            cost, latency, clock.GetUtcNow());
    }

    internal void Interrupt(Transaction tx, Guid id) => tx.Post(Sql.Interrupt, id, clock.GetUtcNow());

    internal Task<IReadOnlyList<StoredCall>> OfTurnAsync(Transaction tx, Guid turnId, CancellationToken ct) => tx.QueryAsync<StoredCall>(Sql.OfTurn, [turnId], ct);

    internal static async Task<Page<StoredCall>> ListAsync(Transaction tx, Guid? conversationId, string? status, PageRequest page, CancellationToken ct) =>
        Page<StoredCall>.Cut(await tx.QueryAsync<StoredCall>(Sql.List, [conversationId, status, page.Before, page.Fetch], ct), page, c => c.Id);

    internal static Task<StoredCall?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<StoredCall>(Sql.Find, [id], ct);

    internal Task<IReadOnlyList<InstanceCalls>> OfInstancesAsync(Transaction tx, Guid[] instanceIds, DateTimeOffset since, CancellationToken ct) =>
        tx.QueryAsync<InstanceCalls>(Sql.OfInstances, [instanceIds, since.ToUniversalTime()], ct);

    private static class Sql
    {
        // Fails when the place is taken: two workers, one turn.
        internal const string Start =
            """
            INSERT INTO models.agent_actions_log
                (tenant_id, id, turn_id, attempt, agent_id, agent_type, action_type, contact_id, context_id, through_id, model_name, model_used, provider, status, input_data, created_at,
                 template_set_id, prompt_version, agent_instance_id, context_type)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'started', $13, $14, $15, $16, $17, $18)
            """;

        internal const string Finish =
            """
            UPDATE models.agent_actions_log
            SET status = CASE WHEN status = 'started' THEN $2 ELSE status END, output_data = CASE WHEN status = 'started' THEN $3 ELSE output_data END,
                error = CASE WHEN status = 'started' THEN $4 ELSE error END, input_tokens = $5, output_tokens = $6, cost_usd = $7, latency_ms = $8, finished_at = $9
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND status IN ('started', 'interrupted')
            """;

        internal const string Interrupt =
            """
            UPDATE models.agent_actions_log SET status = 'interrupted', error = 'The host was stopped during the call.', finished_at = $2
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND status = 'started'
            """;

        internal const string OfInstances =
            """
            SELECT agent_instance_id, count(*) AS calls, count(*) FILTER (WHERE status IN ('failed', 'interrupted')) AS failed,
                   coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens, coalesce(sum(cost_usd), 0) AS cost_usd,
                   avg(latency_ms)::int AS average_latency_ms
            FROM models.agent_actions_log
            WHERE tenant_id = kernel.current_tenant_id() AND agent_instance_id = ANY ($1) AND created_at >= $2 GROUP BY agent_instance_id
            """;

        internal const string OfTurn =
            """
            SELECT id, turn_id, attempt, agent_id, agent_type, action_type, contact_id, context_id, context_type, through_id, model_name, model_used, provider, status,
                   input_data, output_data, error, input_tokens, output_tokens, cost_usd, latency_ms, created_at, finished_at, template_set_id, prompt_version, agent_instance_id
            FROM models.agent_actions_log WHERE tenant_id = kernel.current_tenant_id() AND turn_id = $1 ORDER BY attempt
            """;

        internal const string Find =
            """
            SELECT id, turn_id, attempt, agent_id, agent_type, action_type, contact_id, context_id, context_type, through_id, model_name, model_used, provider, status,
                   input_data, output_data, error, input_tokens, output_tokens, cost_usd, latency_ms, created_at, finished_at, template_set_id, prompt_version, agent_instance_id
            FROM models.agent_actions_log WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string List =
            """
            SELECT id, turn_id, attempt, agent_id, agent_type, action_type, contact_id, context_id, context_type, through_id, model_name, model_used, provider, status,
                   input_data, output_data, error, input_tokens, output_tokens, cost_usd, latency_ms, created_at, finished_at, template_set_id, prompt_version, agent_instance_id
            FROM models.agent_actions_log
            WHERE tenant_id = kernel.current_tenant_id() AND ($1::uuid IS NULL OR context_id = $1) AND ($2::text IS NULL OR status = $2) AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """;
    }
}

/// <summary>Forgets what people wrote to models after a month; row level security lets this job see nothing younger.</summary>
public sealed class CallRetention(Database database)
{
    /// <summary>Returns how many rows went.</summary>
    public Task<int> PruneAsync(CancellationToken ct) => database.PruneAsync(ct, Sql.Prune);

    private static class Sql
    {
        internal const string Prune =
            """
            DELETE FROM models.agent_actions_log
            WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM models.agent_actions_log WHERE created_at < now() - interval '30 days' LIMIT $1)
            """;
    }
}
