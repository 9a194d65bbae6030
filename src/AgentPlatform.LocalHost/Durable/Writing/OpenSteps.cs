namespace AgentPlatform.LocalHost.Durable;

/// <summary>What a history asks for and nobody has answered.</summary>
internal static class OpenSteps
{
    /// <summary>Rows for the activities among it, as far as they have none.</summary>
    internal const string Activities =
        """
        INSERT INTO durable.activities (instance_id, execution_id, task_id, name, input, visible_at)
        SELECT h.instance_id, i.execution_id, h.task_id, h.name, h.payload, $2
        FROM durable.history h JOIN durable.instances i ON i.instance_id = h.instance_id
        WHERE h.instance_id = $1 AND h.kind = 'TaskScheduled'
          AND NOT EXISTS (SELECT FROM durable.history a WHERE a.instance_id = $1 AND a.task_id = h.task_id AND a.kind IN ('TaskCompleted', 'TaskFailed'))
          AND NOT EXISTS (SELECT FROM durable.messages m WHERE m.instance_id = $1 AND m.task_id = h.task_id AND m.kind IN ('TaskCompleted', 'TaskFailed'))
        ON CONFLICT DO NOTHING
        """;
}
