using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Channels.Intake;

/// <summary>The rate windows of the channels: one row each, raised by the statement that admits a message.</summary>
internal sealed class RateWindows(Database database, TimeProvider clock)
{
    // Raises a channel's row by what is to be inserted, unless that would go past a limit: then no row comes back. For statements that begin
    // with the parameters of `Args`, and insert into channels.webhook_rates as r.
    internal const string Raise =
        """
        ON CONFLICT (tenant_id, webhook_id) DO UPDATE SET
                    minute_before = CASE WHEN r.minute_start >= $3 THEN r.minute_before WHEN r.minute_start = $3 - interval '1 minute' THEN r.minute_count ELSE 0 END,
                    minute_count = CASE WHEN r.minute_start >= $3 THEN r.minute_count ELSE 0 END + excluded.minute_count,
                    minute_start = greatest(r.minute_start, $3),
                    hour_before = CASE WHEN r.hour_start >= $4 THEN r.hour_before WHEN r.hour_start = $4 - interval '1 hour' THEN r.hour_count ELSE 0 END,
                    hour_count = CASE WHEN r.hour_start >= $4 THEN r.hour_count ELSE 0 END + excluded.hour_count,
                    hour_start = greatest(r.hour_start, $4)
                WHERE channels.window_load(r.minute_start, r.minute_count, r.minute_before, $3, interval '1 minute', $5) + excluded.minute_count <= $7
                  AND channels.window_load(r.hour_start, r.hour_count, r.hour_before, $4, interval '1 hour', $6) + excluded.hour_count <= $8
        """;

    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    /// <summary>Tenant, channel, the beginnings of the current minute and hour, how far each has gone, and the channel's limits.</summary>
    internal static object?[] Args(InboundChannel channel, DateTimeOffset now)
    {
        var (minute, hour) = (RateWindow.StartOf(now, Minute), RateWindow.StartOf(now, Hour));
        return [channel.TenantId, channel.Id, minute, hour, (now - minute) / Minute, (now - hour) / Hour, channel.Row.RateLimitPerMinute, channel.Row.RateLimitPerHour];
    }

    /// <summary>What a sender past the limit is told: when to come again.</summary>
    internal async Task<Problem> RefuseAsync(InboundChannel channel, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(channel.TenantId));
        var now = clock.GetUtcNow();
        var row = await tx.SingleAsync<Row>(Sql.Find, [channel.TenantId, channel.Id], ct);
        var waits = new[]
        {
            new RateWindow(Minute, row.MinuteStart, row.MinuteCount, row.MinuteBefore).RetryAfter(channel.Row.RateLimitPerMinute, now),
            new RateWindow(Hour, row.HourStart, row.HourCount, row.HourBefore).RetryAfter(channel.Row.RateLimitPerHour, now),
        };
        return Problem.TooManyRequests(waits.Max());
    }

    private sealed record Row(DateTimeOffset MinuteStart, int MinuteCount, int MinuteBefore, DateTimeOffset HourStart, int HourCount, int HourBefore);

    private static class Sql
    {
        internal const string Find =
            """
            SELECT minute_start, minute_count, minute_before, hour_start, hour_count, hour_before
            FROM channels.webhook_rates WHERE tenant_id = $1 AND webhook_id = $2
            """;
    }
}
