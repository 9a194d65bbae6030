using AgentPlatform.Postgres;

namespace AgentPlatform.Operations;

/// <summary>
/// How a tenant's part of the platform stands. Status: healthy; or degraded, when something of the schema is missing, a trigger is
/// switched off, or the last run of a job failed.
/// </summary>
public sealed record HealthView(
    string Status,
    IReadOnlyList<HealthFact> Facts,
    IReadOnlyList<string> MissingObjects,
    int Triggers,
    IReadOnlyList<string> DisabledTriggers,
    IReadOnlyList<JobStatus> Jobs);

internal sealed class HealthReport(Database database, IEnumerable<IHealthSource> sources, Jobs jobs, SchemaInventory schema)
{
    internal async Task<HealthView> ReadAsync(Actor actor, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        tx.Gather();
        var asked = sources.Select(source => source.ReadAsync(tx, ct)).ToList();
        var triggers = tx.QueryAsync<Trigger>(Sql.Triggers, [], ct);
        await tx.AskAsync(ct);
        var facts = (await Task.WhenAll(asked)).SelectMany(f => f).OrderBy(f => f.Name, StringComparer.Ordinal).ToList();
        await tx.CommitAsync(ct);

        var disabled = (await triggers).Where(t => !t.IsEnabled).Select(t => $"{t.TriggerName} on {t.TableName}").ToList();
        var missing = await schema.MissingAsync(ct);
        var runs = (await jobs.ListAsync(actor, ct)).Items;
        var healthy = disabled.Count + missing.Count == 0 && runs.All(r => r.LastOutcome == "succeeded");
        return new HealthView(healthy ? "healthy" : "degraded", facts, missing, (await triggers).Count, disabled, runs);
    }

    private sealed record Trigger(string TableName, string TriggerName, bool IsEnabled);

    private static class Sql
    {
        internal const string Triggers = "SELECT table_name, trigger_name, is_enabled FROM operations.trigger_status ORDER BY table_name, trigger_name";
    }
}
