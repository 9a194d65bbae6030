using AgentPlatform.Kernel;
using AgentPlatform.Operations;
using AgentPlatform.Postgres;

namespace AgentPlatform.Events;

/// <summary>Events, archived ones too, in the log of what agents did. An event is of no agent, and cannot fail.</summary>
internal sealed class EventsInLog : IActionsLogSource
{
    public string ActionType => "event_published";

    public async Task<IReadOnlyList<ActionsLogEntry>> ReadAsync(Transaction tx, ActionsLogFilter filter, PageRequest page, CancellationToken ct) =>
        filter is { AgentId: null, Failed: not true } ? await tx.QueryAsync<ActionsLogEntry>(Sql.Entries, [filter.ContextId, page.Before, page.Fetch, filter.ContextId is null ? null : filter.ContextType], ct) : [];

    private static class Sql
    {
        // Each store gives as many as a page has, by its own index.
        internal const string Entries =
            """
            WITH entries AS (
                (SELECT id, event_type, aggregate_type, aggregate_id, payload, created_at FROM events.events
                 WHERE tenant_id = kernel.current_tenant_id() AND ($4::text IS NULL OR aggregate_type = $4) AND ($1::uuid IS NULL OR aggregate_id = $1)
                   AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3)
                UNION ALL
                (SELECT id, event_type, aggregate_type, aggregate_id, payload, created_at FROM events.archived_events
                 WHERE tenant_id = kernel.current_tenant_id() AND ($4::text IS NULL OR aggregate_type = $4) AND ($1::uuid IS NULL OR aggregate_id = $1)
                   AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3)
            )
            SELECT id, 'event_published' AS action_type, event_type AS name, 'published' AS status, NULL::uuid AS agent_id, NULL::text AS agent_type,
                   NULL::uuid AS agent_instance_id, CASE WHEN aggregate_type = 'contact' THEN aggregate_id END AS contact_id, aggregate_id AS context_id,
                   aggregate_type AS context_type, NULL::text AS model_used, NULL::integer AS input_tokens, NULL::integer AS output_tokens, NULL::numeric AS cost_usd,
                   NULL::integer AS latency_ms, payload AS input_data, NULL::jsonb AS output_data, NULL::text AS error, created_at
            FROM entries ORDER BY id DESC LIMIT $3
            """;
    }
}
