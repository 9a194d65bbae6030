using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Audit;

/// <summary>A sensitive operation that was tried. Error says why it was refused or failed; null: it was done.</summary>
public sealed record SensitiveOperation(Guid TenantId, Guid UserId, string Action, string ResourceType, string? ResourceId, string? Error)
{
    public object Details { get; init; } = new { };

    public Origin? Origin { get; init; }
}

/// <summary>A sensitive operation as the API shows it.</summary>
public sealed record SecurityEntry(
    Guid Id, Guid UserId, string Action, string ResourceType, string? ResourceId, JsonElement Details, string? IpAddress, string? UserAgent, bool Success,
    string? ErrorMessage, DateTimeOffset CreatedAt);

/// <summary>Which operations; null asks for all. From is among them, To is not.</summary>
public sealed record SecurityFilter(Guid? UserId, string? Action, string? ResourceType, bool? Success, DateTimeOffset? From, DateTimeOffset? To);

/// <summary>
/// Which sensitive operations were tried, and what came of them. Each is written in a transaction of its own: what failed is logged although it left nothing
/// else, and who may not write anything is.
/// </summary>
public sealed class SecurityLog(Database database, TimeProvider clock, ILogger<SecurityLog> log)
{
    /// <summary>Failures of one user at one operation that are logged in a minute: nobody fills the log by failing.</summary>
    internal const int FailuresPerMinute = 10;

    /// <summary>Never throws for want of a database: the operation itself is over.</summary>
    public async Task WriteAsync(SensitiveOperation operation, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        await using var tx = database.Begin(Actor.System(operation.TenantId));
        tx.Post(
            Sql.Write, operation.TenantId, clock.NewId(), operation.UserId, operation.Action, operation.ResourceType, operation.ResourceId, Json.Param(operation.Details),
            operation.Origin?.IpAddress, operation.Origin?.UserAgent, operation.Error, now, now.AddMinutes(-1), FailuresPerMinute);
        try
        {
            await tx.CommitAsync(ct);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.ForeignKeyViolation)
        {
            // The tenant was deleted, by this very operation perhaps, and its log with it.
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            log.SecurityLogFailed(operation.Action, e);
        }
    }

    internal static async Task<Page<SecurityEntry>> ListAsync(Transaction tx, SecurityFilter filter, PageRequest page, CancellationToken ct) =>
        Page<SecurityEntry>.Cut(
            await tx.QueryAsync<SecurityEntry>(
                Sql.List,
                [
                    tx.TenantId, filter.UserId, filter.Action, filter.ResourceType, filter.Success, filter.From?.ToUniversalTime(), filter.To?.ToUniversalTime(),
                    page.Before, page.Fetch,
                ],
                ct),
            page, entry => entry.Id);

    internal static Task<SecurityEntry?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<SecurityEntry>(Sql.Find, [tx.TenantId, id], ct);

    private static class Sql
    {
        internal const string Write =
            """
            INSERT INTO audit.security_audit_log
                (tenant_id, id, user_id, action, resource_type, resource_id, details, ip_address, user_agent, success, error_message, created_at)
            SELECT $1, $2, $3, $4::text, $5, $6, $7, $8::text::inet, $9, $10::text IS NULL, $10, $11
            WHERE $10::text IS NULL OR $13 > (
                SELECT count(*) FROM audit.security_audit_log
                WHERE tenant_id = $1 AND user_id = $3 AND action = $4 AND created_at > $12 AND NOT success)
            """;

        internal const string List =
            """
            SELECT id, user_id, action, resource_type, resource_id, details, host(ip_address) AS ip_address, user_agent, success, error_message, created_at
            FROM audit.security_audit_log
            WHERE tenant_id = $1 AND ($2::uuid IS NULL OR user_id = $2) AND ($3::text IS NULL OR action = $3) AND ($4::text IS NULL OR resource_type = $4)
              AND ($5::boolean IS NULL OR success = $5) AND ($6::timestamptz IS NULL OR created_at >= $6) AND ($7::timestamptz IS NULL OR created_at < $7)
              AND ($8::uuid IS NULL OR id < $8)
            ORDER BY id DESC LIMIT $9
            """;

        internal const string Find =
            """
            SELECT id, user_id, action, resource_type, resource_id, details, host(ip_address) AS ip_address, user_agent, success, error_message, created_at
            FROM audit.security_audit_log WHERE tenant_id = $1 AND id = $2
            """;
    }
}
