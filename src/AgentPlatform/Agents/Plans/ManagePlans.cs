using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Api;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Agents.Plans;

/// <summary>
/// A plan is drafted, approved, and deployed, or rejected before that. Deploying marks the talks it concerns, in one statement; each goes over
/// at its next turn, so that nobody's talk is changed in the middle of one.
/// </summary>
internal sealed class ManagePlans(Database database, PlanStore plans, ScenarioStore scenarios, SessionStore sessions, EventStore events, TimeProvider clock)
{
    internal async Task<Result<MigrationPlan>> DraftAsync(Actor actor, Guid scenarioId, PlanInput input, CancellationToken ct)
    {
        if (PlanRules.Check(input) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        tx.Gather();
        var live = scenarios.FindAsync(tx, scenarioId, ct);
        var (before, after) = (scenarios.FindVersionAsync(tx, scenarioId, input.FromVersion!.Value, ct), scenarios.FindVersionAsync(tx, scenarioId, input.ToVersion!.Value, ct));
        await tx.AskAsync(ct);
        if (await live is null)
        {
            return Problem.NotFound("scenario");
        }

        if ((await before, await after) is not ({ } from, { } to))
        {
            return Problem.NotFound("scenario_version");
        }

        if (PlanRules.Check(input, from, to) is { } wrong)
        {
            return wrong;
        }

        var id = clock.NewId();
        tx.Post(
            Sql.Draft, id, scenarioId, from.Version, to.Version, Json.Param(input.TransformationMap), Json.Param(input.AnchorPolicies ?? []),
            Json.Param(input.ScopeFilter));
        return await DoneAsync(tx, id, "migration_plan.drafted", ct);
    }

    internal Task<Result<MigrationPlan>> ApproveAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct) =>
        MoveAsync(actor, id, ifMatch, "approved", ["DRAFT"], (tx, _) =>
        {
            tx.Post(Sql.Approve, id, clock.GetUtcNow());
            return Task.CompletedTask;
        }, ct);

    internal Task<Result<MigrationPlan>> RejectAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct) =>
        MoveAsync(actor, id, ifMatch, "rejected", ["DRAFT", "APPROVED"], (tx, _) =>
        {
            tx.Post(Sql.Reject, id, clock.GetUtcNow());
            return Task.CompletedTask;
        }, ct);

    internal Task<Result<MigrationPlan>> DeployAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct) =>
        MoveAsync(actor, id, ifMatch, "deployed", ["APPROVED"], async (tx, plan) =>
        {
            // The plan is for all talks, also those that are not for the eyes of whoever deploys it.
            tx.Enter(Actor.System(actor.TenantId));
            var marked = await sessions.MarkForMigrationAsync(tx, Concerned(plan), Json.Of(new PendingMigration(plan.Id, plan.ScenarioId, plan.FromVersion, plan.ToVersion)), ct);
            tx.Post(Sql.Deploy, id, clock.GetUtcNow(), marked);
        }, ct);

    private static ScenarioSessions Concerned(MigrationPlan plan)
    {
        var filter = plan.ScopeFilter is { } stored ? Json.Read<ScopeFilter>(stored) : new(null, null, null, null);
        return new(plan.ScenarioId, plan.FromVersion)
        {
            Channels = filter.Channels,
            ContactIds = filter.ContactIds,
            StepIds = filter.Steps?.Select(step => Scenario.StepId(plan.ScenarioId, step)).ToArray(),
            ActiveSince = filter.ActiveSince,
        };
    }

    private async Task<Result<MigrationPlan>> MoveAsync(
        Actor actor, Guid id, IfMatch ifMatch, string move, string[] from, Func<Transaction, MigrationPlan, Task> change, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await plans.LockAsync(tx, id, ct) is not { } plan)
        {
            return Problem.NotFound("migration_plan");
        }

        if (ifMatch.Check(plan.UpdatedAt) is { } stale)
        {
            return stale;
        }

        if (!from.Contains(plan.Status))
        {
            return Problem.Conflict("migration_plan_state", $"A plan that is {plan.Status} cannot be {move}.");
        }

        await change(tx, plan);
        return await DoneAsync(tx, id, $"migration_plan.{move}", ct);
    }

    private async Task<Result<MigrationPlan>> DoneAsync(Transaction tx, Guid id, string happened, CancellationToken ct)
    {
        var plan = (await plans.FindAsync(tx, id, ct))!;
        events.Append(tx, new NewEvent(happened, "scenario", plan.ScenarioId, new { plan_id = id, from_version = plan.FromVersion, to_version = plan.ToVersion, sessions_marked = plan.SessionsMarked }));
        await tx.CommitAsync(ct);
        return plan;
    }

    private static class Sql
    {
        internal const string Draft =
            """
            INSERT INTO agents.migration_plans (tenant_id, id, scenario_id, from_version, to_version, transformation_map, anchor_policies, scope_filter)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7)
            """;

        internal const string Approve = "UPDATE agents.migration_plans SET status = 'APPROVED', approved_at = $2 WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND status = 'DRAFT'";

        internal const string Reject =
            "UPDATE agents.migration_plans SET status = 'REJECTED', rejected_at = $2 WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND status IN ('DRAFT', 'APPROVED')";

        internal const string Deploy =
            "UPDATE agents.migration_plans SET status = 'DEPLOYED', deployed_at = $2, sessions_marked = $3 WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND status = 'APPROVED'";
    }
}
