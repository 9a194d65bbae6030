using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Conversations.Retention;

/// <summary>Keeps monthly partitions of the messages ahead of the clock. Call it daily; it costs nothing when nothing is missing.</summary>
public sealed class MessagePartitions(Database database, TimeProvider clock, IOptions<ConversationsOptions> options)
{
    /// <summary>How many partitions were made.</summary>
    public async Task<int> EnsureAsync(CancellationToken ct)
    {
        await using var tx = database.BeginWorker();
        var today = DateOnly.FromDateTime(clock.GetUtcNow().UtcDateTime);
        var made = await tx.SingleAsync<int>(Sql.Ensure, [today, options.Value.PartitionMonthsAhead], ct);
        await tx.CommitAsync(ct);
        return made;
    }

    private static class Sql
    {
        internal const string Ensure = "SELECT conversations.create_message_partitions($1, $2)";
    }
}
