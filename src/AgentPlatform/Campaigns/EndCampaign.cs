using System.Globalization;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Campaigns;

/// <summary>What the work of a campaign's end knows: the last day that was then meant.</summary>
internal sealed record CampaignEnd(Guid CampaignId, DateOnly LastDay);

/// <summary>Completes a campaign when its last day (UTC) is over. A day that was moved leaves a look behind that finds nothing to do.</summary>
internal sealed class EndCampaign(Database database, ManageCampaigns manage) : IWorkHandler
{
    internal const string Kind = "campaigns.end";

    internal static void WatchFor(Transaction tx, WorkQueue work, Guid campaignId, DateOnly lastDay) =>
        work.Enqueue(tx, new NewWork(Kind, $"{campaignId}@{lastDay.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}", new CampaignEnd(campaignId, lastDay))
        {
            RunAt = new DateTimeOffset(lastDay.AddDays(1), TimeOnly.MinValue, TimeSpan.Zero),
        });

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var end = item.Read<CampaignEnd>();
        await using var tx = database.Begin(Actor.System(item.TenantId));
        if (await CampaignStore.LockAsync(tx, end.CampaignId, ct) is not { } campaign || campaign.EndDate != end.LastDay)
        {
            return new WorkOutcome.Cancel("The campaign is gone, or ends on another day.");
        }

        await manage.StepAsync(tx, campaign.Id, CampaignStep.Complete, ct);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }
}
