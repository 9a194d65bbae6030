using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Identity;
using AgentPlatform.Identity.Login;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Tenancy;

/// <summary>
/// Whom to add; an account is made for an address that has none. The role is member unless told. Invite: whoever has no password yet is mailed a link to set one.
/// </summary>
public sealed record AddMember(string? Email, string? FullName, string? Role)
{
    public bool? Invite { get; init; }
}

public sealed record ChangeMember(string? Role);

public sealed record SuspendMember(string? Reason);

/// <summary>
/// Who works in the tenant. Owners and admins manage members; only owners make, change or remove owners; everybody may leave, by a key or session of their
/// own, but the last owner stays (the database sees to that, also when two owners act at once).
/// </summary>
internal sealed class ManageMembers(Database database, UserDirectory users, PasswordLinks links, EventStore events, TimeProvider clock)
{
    internal async Task<Page<Member>> ListAsync(Actor actor, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var rows = await tx.QueryAsync<Row>(Sql.List, [actor.TenantId, page.Before, page.Fetch], ct);
        return Page<Member>.Cut(await NameAsync(tx, rows, ct), page, member => member.Id);
    }

    internal async Task<Result<Member>> FindAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return (await FindAsync(tx, id, ct)).OrNotFound("member");
    }

    internal async Task<Result<Member>> AddAsync(Actor actor, AddMember request, CancellationToken ct)
    {
        var role = request.Role ?? "member";
        var invalid = new Validation()
            .Check("email", UserDirectory.IsEmail(request.Email?.Trim()), "Is not an e-mail address.")
            .Text("full_name", request.FullName, 255)
            .Check("role", Roles.IsValid(role), RoleRule)
            .Problem;
        if ((Refuse(actor, role) ?? invalid) is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        var userId = await users.EnsureAsync(tx, request.Email!.Trim(), request.FullName?.Trim(), ct);
        var id = clock.NewId();
        if (await tx.ExecuteAsync(Sql.Add, [actor.TenantId, id, userId, role], ct) == 0)
        {
            return Problem.Conflict("already_member", "This user is a member already.");
        }

        events.Append(tx, new NewEvent("member.added", "tenant", actor.TenantId, new { member_id = id, user_id = userId, role }));
        if (request.Invite == true)
        {
            links.Ask(tx, userId, PasswordLinks.Invitation);
        }

        var added = await FindAsync(tx, id, ct);
        await tx.CommitAsync(ct);
        return added!;
    }

    internal Task<Result<Member>> ChangeAsync(Actor actor, Guid id, ChangeMember change, IfMatch ifMatch, CancellationToken ct) =>
        change.Role is null || !Roles.IsValid(change.Role)
            ? Task.FromResult<Result<Member>>(Problem.Invalid("role", RoleRule))
            : WriteAsync(actor, id, ifMatch, before => Refuse(actor, before.Role, change.Role), async (tx, member) =>
            {
                await tx.ExecuteAsync(Sql.ChangeRole, [actor.TenantId, id, change.Role], ct);
                events.Append(tx, new NewEvent("member.role_changed", "tenant", actor.TenantId, new { member_id = id, user_id = member.UserId, from = member.Role, to = change.Role }));
            }, ct);

    /// <summary>From the commit on the member's keys and sessions are refused in this tenant, and signing in to it; the membership stays.</summary>
    internal Task<Result<Member>> SuspendAsync(Actor actor, Guid id, SuspendMember request, IfMatch ifMatch, CancellationToken ct) =>
        new Validation().Text("reason", request.Reason, 500, required: true).Problem is { } invalid
            ? Task.FromResult<Result<Member>>(invalid)
            : WriteAsync(actor, id, ifMatch, before => Refuse(actor, before.Role) ?? RefuseSuspension(actor, before), async (tx, member) =>
            {
                await tx.ExecuteAsync(Sql.Suspend, [actor.TenantId, id, clock.GetUtcNow(), request.Reason!.Trim()], ct);
                events.Append(tx, new NewEvent("member.suspended", "tenant", actor.TenantId, new { member_id = id, user_id = member.UserId, reason = request.Reason.Trim() }));
            }, ct);

    internal Task<Result<Member>> ReinstateAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct) =>
        WriteAsync(
            actor, id, ifMatch,
            before => Refuse(actor, before.Role) ?? (before.SuspendedAt is null ? Problem.Conflict("not_suspended", "The member is not suspended.") : null),
            async (tx, member) =>
            {
                await tx.ExecuteAsync(Sql.Reinstate, [actor.TenantId, id], ct);
                events.Append(tx, new NewEvent("member.reinstated", "tenant", actor.TenantId, new { member_id = id, user_id = member.UserId }));
            }, ct);

    internal Task<Result<Member>> RemoveAsync(Caller caller, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        var actor = caller.Actor;
        // A key that only reads does not leave for a member who does more.
        bool Leaves(Row member) => member.UserId == actor.UserId && (actor.Role != "viewer" || member.Role == "viewer") && Scopes.AreOwn(caller.Scopes);
        return WriteAsync(actor, id, ifMatch, before => Leaves(before) ? null : Refuse(actor, before.Role), async (tx, member) =>
        {
            events.Append(tx, new NewEvent("member.removed", "tenant", actor.TenantId, new { member_id = id, user_id = member.UserId, role = member.Role }));
            await tx.ExecuteAsync(Sql.Remove, [actor.TenantId, id], ct);
        }, ct);
    }

    private async Task<Result<Member>> WriteAsync(
        Actor actor, Guid id, IfMatch ifMatch, Func<Row, Problem?> refuse, Func<Transaction, Row, Task> write, CancellationToken ct)
    {
        // What the actor may do is decided here, for the row as it is once nobody else changes it. Its role could neither lock the row, nor, when a viewer leaves,
        // tell of it, nor hand the tenant over.
        await using var tx = database.Begin(actor with { Role = "system" });
        if (await tx.FindAsync<Row>(Sql.Lock, [actor.TenantId, id], ct) is not { } before)
        {
            return Problem.NotFound("member");
        }

        if ((refuse(before) ?? ifMatch.Check(before.UpdatedAt)) is { } problem)
        {
            return problem;
        }

        var named = (await NameAsync(tx, [before], ct))[0];
        try
        {
            await write(tx, before);
        }
        catch (PostgresException e) when (e.ConstraintName == "last_owner_stays")
        {
            return Problem.Conflict("last_owner", "The tenant's last owner cannot be removed, demoted or suspended.");
        }

        // Whoever is named as the tenant's owner must still be one of its owners.
        tx.Post(Sql.HandOver, actor.TenantId);
        var after = await FindAsync(tx, id, ct) ?? named;
        await tx.CommitAsync(ct);
        return after;
    }

    private async Task<Member?> FindAsync(Transaction tx, Guid id, CancellationToken ct) =>
        await tx.FindAsync<Row>(Sql.Find, [tx.TenantId, id], ct) is { } row ? (await NameAsync(tx, [row], ct))[0] : null;

    private async Task<IReadOnlyList<Member>> NameAsync(Transaction tx, IReadOnlyList<Row> rows, CancellationToken ct)
    {
        var colleagues = (await users.ColleaguesAsync(tx, [.. rows.Select(r => r.UserId)], ct)).ToDictionary(c => c.Id);
        return [.. rows.Select(r => (Row: r, User: colleagues[r.UserId])).Select(m =>
            new Member(m.Row.Id, m.Row.UserId, m.User.Email, m.User.FullName, m.User.AvatarUrl, m.Row.Role, m.Row.SuspendedAt, m.Row.SuspensionReason, m.Row.JoinedAt, m.Row.UpdatedAt))];
    }

    private static Problem? Refuse(Actor actor, params ReadOnlySpan<string> roles) =>
        !Roles.AtLeast(actor.Role, "admin") ? Problem.Forbidden("managers_only", "Only owners and admins manage members.")
        : roles.Contains("owner") && !Roles.AtLeast(actor.Role, "owner") ? Problem.Forbidden("owner_only", "Only an owner makes, changes or removes owners.")
        : null;

    private static Problem? RefuseSuspension(Actor actor, Row before) =>
        before.UserId == actor.UserId ? Problem.Conflict("own_membership", "Nobody suspends their own membership; leave instead.")
        : before.SuspendedAt is not null ? Problem.Conflict("already_suspended", "The member is suspended already.")
        : null;

    private const string RoleRule = "Must be one of owner, admin, member, viewer.";

    private sealed record Row(Guid Id, Guid UserId, string Role, DateTimeOffset? SuspendedAt, string? SuspensionReason, DateTimeOffset JoinedAt, DateTimeOffset UpdatedAt);

    private static class Sql
    {
        internal const string List =
            """
            SELECT id, user_id, role, suspended_at, suspension_reason, joined_at, updated_at FROM tenancy.workspace_members
            WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
            """;

        internal const string Find = "SELECT id, user_id, role, suspended_at, suspension_reason, joined_at, updated_at FROM tenancy.workspace_members WHERE tenant_id = $1 AND id = $2";

        internal const string Lock =
            """
            SELECT id, user_id, role, suspended_at, suspension_reason, joined_at, updated_at FROM tenancy.workspace_members WHERE tenant_id = $1 AND id = $2
            FOR UPDATE
            """;

        internal const string Add =
            """
            INSERT INTO tenancy.workspace_members (tenant_id, id, user_id, role) VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant_id, user_id) DO NOTHING
            """;

        internal const string ChangeRole = "UPDATE tenancy.workspace_members SET role = $3 WHERE tenant_id = $1 AND id = $2";

        internal const string Suspend =
            "UPDATE tenancy.workspace_members SET suspended_at = $3, suspension_reason = $4 WHERE tenant_id = $1 AND id = $2 AND suspended_at IS NULL";

        internal const string Reinstate =
            "UPDATE tenancy.workspace_members SET suspended_at = NULL, suspension_reason = NULL WHERE tenant_id = $1 AND id = $2";

        internal const string Remove = "DELETE FROM tenancy.workspace_members WHERE tenant_id = $1 AND id = $2";

        internal const string HandOver =
            """
            UPDATE tenancy.tenants t
            SET owner_id = (
                SELECT m.user_id FROM tenancy.workspace_members m WHERE m.tenant_id = t.id AND m.role = 'owner' AND m.suspended_at IS NULL AND identity.is_open(m.user_id)
                ORDER BY m.joined_at, m.id LIMIT 1)
            WHERE t.id = $1
              AND NOT EXISTS (
                  SELECT FROM tenancy.workspace_members m WHERE m.tenant_id = t.id AND m.user_id = t.owner_id AND m.role = 'owner' AND m.suspended_at IS NULL AND identity.is_open(m.user_id))
            """;
    }
}
