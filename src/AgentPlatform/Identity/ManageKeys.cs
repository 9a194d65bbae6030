using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Identity;

/// <summary>A key to make: for the caller unless an owner or admin names another member; with the caller's role and scopes unless less is asked for.</summary>
public sealed record CreateKey(string? Name, Guid? UserId, string? Role, string[]? Scopes, DateTimeOffset? ExpiresAt);

/// <summary>A key just made. The secret is shown this once; only its hash is stored.</summary>
public sealed record CreatedKey(
    Guid Id, Guid UserId, string Name, string Prefix, string Role, string[] Scopes, DateTimeOffset? ExpiresAt, DateTimeOffset CreatedAt, string Secret);

/// <summary>
/// API keys: nobody can make one that does more than the key it is made with. Who makes a key for another holds its secret: what only that member should do
/// is denied to such a key, and to what is made with it.
/// </summary>
internal sealed class ManageKeys(Database database, KeyRing keys, TimeProvider clock)
{
    internal async Task<Result<CreatedKey>> CreateAsync(Caller caller, CreateKey request, CancellationToken ct)
    {
        var (actor, userId, role, scopes) = (caller.Actor, request.UserId ?? caller.Actor.UserId, request.Role ?? caller.Actor.Role, request.Scopes ?? [.. caller.Scopes]);
        if ((Check(request, role, scopes) ?? Refuse(caller, userId, role, scopes)) is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        try
        {
            var issued = await keys.IssueAsync(tx, userId, new NewApiKey(request.Name!, role) { Scopes = Narrow(caller, userId, scopes), ExpiresAt = request.ExpiresAt }, ct);
            await tx.CommitAsync(ct);
            var key = issued.Key;
            return new CreatedKey(key.Id, key.UserId, key.Name, key.Prefix, key.Role, key.Scopes, key.ExpiresAt, key.CreatedAt, issued.Secret);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.ForeignKeyViolation)
        {
            return Problem.Invalid("user_id", "Is not a member of the tenant.");
        }
    }

    internal async Task<Page<ApiKey>> ListAsync(Actor actor, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await keys.ListAsync(tx, page, ct);
    }

    internal async Task<Result<ApiKey>> FindAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return (await keys.FindAsync(tx, id, ct)).OrNotFound("key");
    }

    internal async Task<Result<ApiKey>> RevokeAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await keys.LockAsync(tx, id, ct) is { } known && ifMatch.Check(known.UpdatedAt) is { } stale)
        {
            return stale;
        }

        var revoked = await keys.RevokeAsync(tx, id, ct);
        await tx.CommitAsync(ct);
        return revoked.OrNotFound("key");
    }

    internal async Task<Page<ApiRequest>> RequestsAsync(Actor actor, Guid? keyId, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await RequestLog.ListAsync(tx, keyId, page, ct);
    }

    private Problem? Check(CreateKey request, string role, string[] scopes) =>
        new Validation()
            .Text("name", request.Name, 100, required: true)
            .Check("role", Roles.IsValid(role), "Must be one of owner, admin, member, viewer.")
            .Check("scopes", scopes is { Length: > 0 and <= 50 } && scopes.All(s => s is not null && Scopes.IsValid(s)), "Must be 1 to 50 of resource:read, resource:write, -resource or *.")
            .Check("expires_at", request.ExpiresAt is null || request.ExpiresAt > clock.GetUtcNow(), "Must be in the future.")
            .Problem;

    /// <summary>What is denied to a key is denied to those that are made with it.</summary>
    private static string[] Narrow(Caller caller, Guid userId, IEnumerable<string> scopes) =>
        [.. scopes.Concat(caller.Scopes.Where(Scopes.Denies)).Concat(userId == caller.Actor.UserId ? [] : Scopes.NotForOthers).Distinct(StringComparer.Ordinal)];

    private static Problem? Refuse(Caller caller, Guid userId, string role, string[] scopes) =>
        userId != caller.Actor.UserId && !Roles.AtLeast(caller.Actor.Role, "admin") ? Problem.Forbidden("managers_only", "Only owners and admins make keys for others.")
        : !Roles.AtLeast(caller.Actor.Role, role) ? Problem.Forbidden("role_too_high", "A key cannot have a higher role than the one it is made with.")
        : userId != caller.Actor.UserId && scopes.Any(IsNotForOthers)
            ? Problem.Forbidden("scope_not_for_others", "A key that is made for another member neither approves, nor acts on their account or their tenants: only they should.")
        : !scopes.All(scope => Scopes.Denies(scope) || Scopes.Allow(caller.Scopes, scope)) ? Problem.Forbidden("scope_too_wide", "A key cannot have scopes that the one it is made with lacks.")
        : null;

    private static bool IsNotForOthers(string scope) => !Scopes.Denies(scope) && Scopes.NotForOthers.Contains($"-{scope.Split(':')[0]}", StringComparer.Ordinal);
}
