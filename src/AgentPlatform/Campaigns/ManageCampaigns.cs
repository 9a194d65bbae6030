using AgentPlatform.Api;
using AgentPlatform.Campaigns.Generation;
using AgentPlatform.Campaigns.Icps;
using AgentPlatform.Campaigns.Moves;
using AgentPlatform.Campaigns.Outcomes;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Campaigns;

/// <summary>What members do to campaigns. Each change locks the campaign, and is refused when its state forbids it.</summary>
internal sealed class ManageCampaigns(Database database, RunningMoves running, WorkQueue work, EventStore events, TimeProvider clock)
{
    internal async Task<Result<Campaign>> CreateAsync(Actor actor, CampaignInput input, CancellationToken ct)
    {
        if (input.Problem is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (await ManageIcps.HoldAsync(tx, input.Icps, ct) is { } missing)
        {
            return missing;
        }

        var created = await tx.SingleAsync<Campaign>(Sql.Create, [clock.NewId(), .. Values(input), actor.Author()], ct);
        return await DoneAsync(tx, created, "campaign.created", ct);
    }

    internal async Task<Result<Campaign>> ReplaceAsync(Actor actor, Guid id, CampaignInput input, IfMatch ifMatch, CancellationToken ct)
    {
        if (input.Problem is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if ((await RefusalAsync(tx, id, ifMatch, "changed", ["draft", "active", "paused"], ct) ?? await ManageIcps.HoldAsync(tx, input.Icps, ct)) is { } refused)
        {
            return refused;
        }

        var changed = await tx.SingleAsync<Campaign>(Sql.Replace, [id, .. Values(input)], ct);
        await running.LookAgainAsync(tx, id, ct);
        return await DoneAsync(tx, changed, "campaign.changed", ct);
    }

    /// <summary>Its moves stay; an outreach that was under way has nobody to write to any more, and what has not left stays.</summary>
    internal async Task<Result<Guid>> DeleteAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await RefusalAsync(tx, id, ifMatch, "deleted", ["draft", "paused", "completed"], ct) is { } refused)
        {
            return refused;
        }

        await running.StopAsync(tx, id, "campaign_deleted", ct);
        tx.Post(Sql.Delete, id);
        events.Append(tx, new NewEvent("campaign.deleted", "campaign", id, new { }));
        await tx.CommitAsync(ct);
        return id;
    }

    internal async Task<Result<Campaign>> StepAsync(Actor actor, Guid id, CampaignStep step, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await RefusalAsync(tx, id, ifMatch, step.Name, step.From, ct) is { } refused)
        {
            return refused;
        }

        return await StepAsync(tx, id, step, ct) is { } campaign
            ? await DoneAsync(tx, campaign, null, ct)
            : Problem.Conflict("campaign_state", $"The campaign cannot be {step.Name} now.", "It is being generated, or its end date has passed.");
    }

    /// <summary>Null when the campaign is not where the step begins, or cannot start any more.</summary>
    internal async Task<Campaign?> StepAsync(Transaction tx, Guid id, CampaignStep step, CancellationToken ct)
    {
        if (await tx.FindAsync<Campaign>(Sql.Step, [id, step.From, step.To, Today], ct) is not { } campaign)
        {
            return null;
        }

        if (step == CampaignStep.Resume)
        {
            await running.GoOnAsync(tx, id, ct);
        }
        else if (step == CampaignStep.Pause)
        {
            await running.PauseAsync(tx, id, ct);
        }
        else if (step == CampaignStep.Complete)
        {
            await running.StopAsync(tx, id, "campaign_completed", ct);
            UpdateMetrics.Ask(tx, work, id, clock);
        }

        events.Append(tx, new NewEvent(step.Happened, "campaign", id, new { name = campaign.Name, status = campaign.Status }));
        return campaign;
    }

    /// <summary>Puts the campaign into the queue of those to be generated: strategy, phases and moves follow.</summary>
    internal async Task<Result<Campaign>> GenerateAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await RefusalAsync(tx, id, ifMatch, "generated", ["draft"], ct) is { } refused)
        {
            return refused;
        }

        var generation = new CampaignWork(id, clock.NewId());
        if (await tx.FindAsync<Campaign>(Sql.Queue, [id, generation.GenerationId], ct) is not { } queued)
        {
            return Problem.Conflict("campaign_generating", "The campaign is being generated already.");
        }

        work.Enqueue(tx, new NewWork(ProcessCampaign.Kind, generation.GenerationId.ToString("n"), generation) { SerialKey = $"campaign:{id}", Priority = 30 });
        return await DoneAsync(tx, queued, "campaign.generation_requested", ct);
    }

    private DateOnly Today => DateOnly.FromDateTime(clock.GetUtcNow().UtcDateTime);

    private static async Task<Problem?> RefusalAsync(Transaction tx, Guid id, IfMatch ifMatch, string wanted, string[] from, CancellationToken ct) =>
        await CampaignStore.LockAsync(tx, id, ct) is not { } campaign ? Problem.NotFound("campaign")
        : ifMatch.Check(campaign.ChangedAt) is { } stale ? stale
        : from.Contains(campaign.Status) ? null
        : Problem.Conflict("campaign_state", $"A campaign that is {campaign.Status} cannot be {wanted}.", $"It has to be {string.Join(" or ", from)}.");

    private async Task<Result<Campaign>> DoneAsync(Transaction tx, Campaign campaign, string? happened, CancellationToken ct)
    {
        if (happened is not null)
        {
            events.Append(tx, new NewEvent(happened, "campaign", campaign.Id, new { name = campaign.Name, type = campaign.Type, status = campaign.Status, target_icps = campaign.TargetIcps }));
        }

        if (campaign.EndDate is { } last)
        {
            EndCampaign.WatchFor(tx, work, campaign.Id, last);
        }

        await tx.CommitAsync(ct);
        return campaign;
    }

    private static object?[] Values(CampaignInput input) =>
    [
        input.Name!.Trim(), input.Description, input.Type, input.StartDate, input.EndDate, input.Icps, Inputs.ListParam(input.FocusAreas), input.RiskLevel ?? Campaign.DefaultRisk,
    ];

    private static class Sql
    {
        internal const string Create =
            """
            INSERT INTO campaigns.campaigns (tenant_id, id, name, description, type, start_date, end_date, target_icps, focus_areas, risk_level, user_id)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            RETURNING *
            """;

        internal const string Replace =
            """
            UPDATE campaigns.campaigns
            SET name = $2, description = $3, type = $4, start_date = $5, end_date = $6, target_icps = $7, focus_areas = $8, risk_level = $9, changed_at = clock_timestamp()
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            RETURNING *
            """;

        internal const string Delete = "DELETE FROM campaigns.campaigns WHERE tenant_id = kernel.current_tenant_id() AND id = $1";

        // The whole lattice: whence, whither, and what keeps a campaign from starting.
        internal const string Step =
            """
            UPDATE campaigns.campaigns SET status = $3, changed_at = clock_timestamp()
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND status = ANY ($2)
              AND ($3 <> 'active' OR (generation_status <> 'queued' AND coalesce(end_date >= $4::date, true)))
            RETURNING *
            """;

        internal const string Queue =
            """
            UPDATE campaigns.campaigns SET generation_status = 'queued', generation_id = $2, generation_error = NULL, changed_at = clock_timestamp()
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND generation_status <> 'queued'
            RETURNING *
            """;
    }
}
