using AgentPlatform.Campaigns.Foundations;
using AgentPlatform.Campaigns.Icps;
using AgentPlatform.Campaigns.Moves;
using AgentPlatform.Campaigns.Outcomes;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Models;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Campaigns.Generation;

/// <summary>A generation of a campaign.</summary>
internal sealed record CampaignWork(Guid CampaignId, Guid GenerationId);

/// <summary>
/// Generates a campaign: a strategy, phases and moves, by the tenant's language model where it has one, else by a template. All of it is written in the
/// transaction that settles the work, so a generation happens once or not at all.
/// </summary>
internal sealed class ProcessCampaign(
    Database database, FoundationStore foundations, AskAgent agent, ModelCalls calls, WorkQueue queue, EventStore events, TimeProvider clock) : IWorkHandler
{
    internal const string Kind = "campaigns.process";

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        while (await TakeAsync(item, ct) is { } call)
        {
            await calls.MakeAsync(Actor.System(item.TenantId), call, _ => { }, ct);
        }

        return item.Settled is null ? new WorkOutcome.Cancel("The campaign is gone, or is generated anew.") : WorkOutcome.Settled;
    }

    public async Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct)
    {
        var work = item.Read<CampaignWork>();
        if (await tx.ExecuteAsync(Sql.Fail, [work.CampaignId, work.GenerationId, error], ct) == 1)
        {
            events.Append(tx, new NewEvent("campaign.generation_failed", "campaign", work.CampaignId, new { error }));
        }
    }

    /// <summary>The call to make before it is taken again; null when there is none.</summary>
    private async Task<PreparedCall?> TakeAsync(WorkItem item, CancellationToken ct)
    {
        var work = item.Read<CampaignWork>();
        await using var tx = database.Begin(Actor.System(item.TenantId));
        if (await CampaignStore.LockAsync(tx, work.CampaignId, ct) is not { GenerationStatus: "queued" } campaign || campaign.GenerationId != work.GenerationId)
        {
            return null;
        }

        tx.Gather();
        var (telling, asking) = (foundations.FindAsync(tx, ct), ManageIcps.OfAsync(tx, campaign.TargetIcps, ct));
        await tx.AskAsync(ct);
        var brief = new Brief(await telling, campaign, await asking);
        var asked = await agent.AskAsync(tx, new Question(work.GenerationId, "campaign", campaign.Id, "plan", PlanForm.Prompt(brief)), CampaignPlan.Read, ct);
        if (asked.Call is null)
        {
            var plan = asked.Answer is { } answer ? answer with { Source = asked.Model! } : PlanTemplates.Of(campaign, brief);
            Write(tx, campaign, plan.At(campaign.RiskLevel));
            item.Settle(tx, new WorkOutcome.Done());
        }

        await tx.CommitAsync(ct);
        return asked.Call;
    }

    private void Write(Transaction tx, Campaign campaign, CampaignPlan plan)
    {
        var phases = plan.Dated(campaign.StartDate, campaign.EndDate, DateOnly.FromDateTime(clock.GetUtcNow().UtcDateTime));
        var moves = phases.SelectMany(phase => phase.Phase.Moves.Zip(phase.Due, (Move, Due) => (phase.Phase, Move, Due))).ToList();
        tx.Post(Sql.Forget, campaign.Id);
        tx.Post(
            Sql.AddMoves, campaign.Id, moves.Select(_ => clock.NewId()).ToArray(), moves.Select(m => m.Move.Title).ToArray(),
            moves.Select(m => string.Join(": ", new[] { m.Phase.Name, m.Move.Description }.Where(part => !string.IsNullOrEmpty(part)))).ToArray(),
            moves.Select(m => m.Move.Type).ToArray(), moves.Select(m => m.Move.Priority!).ToArray(), moves.Select(m => m.Due).ToArray(), Json.Params(moves.Select(m => m.Move.Content)));
        tx.Post(
            Sql.Generated, campaign.Id, Json.Param(new { plan.Source, plan.Summary, plan.KeyMessages }),
            Json.Param(phases.Select(p => new { p.Phase.Name, p.Phase.Goal, p.StartDate, p.EndDate, moves = p.Phase.Moves.Select(m => m.Title) })));
        events.Append(tx, new NewEvent("campaign.generated", "campaign", campaign.Id, new { source = plan.Source, phases = phases.Count, moves = moves.Count }));
        UpdateMetrics.Ask(tx, queue, campaign.Id, clock);
    }

    private static class Sql
    {
        // What the generation before made and nobody has begun.
        internal const string Forget =
            "DELETE FROM campaigns.moves WHERE tenant_id = kernel.current_tenant_id() AND campaign_id = $1 AND generated AND status = 'pending'";

        internal const string AddMoves =
            """
            INSERT INTO campaigns.moves (tenant_id, campaign_id, id, title, description, type, priority, due_date, content, generated)
            SELECT kernel.current_tenant_id(), $1, n.id, n.title, n.description, n.type, n.priority, n.due_date, n.content, true
            FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::jsonb[]) AS n (id, title, description, type, priority, due_date, content)
            """;

        internal const string Generated =
            """
            UPDATE campaigns.campaigns SET strategy = $2, phases = $3, generation_status = 'generated', changed_at = clock_timestamp()
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string Fail =
            """
            UPDATE campaigns.campaigns SET generation_status = 'failed', generation_error = $3, changed_at = clock_timestamp()
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND generation_id = $2 AND generation_status = 'queued'
            """;
    }
}
