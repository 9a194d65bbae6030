using System.Globalization;
using AgentPlatform.Costs;
using AgentPlatform.Identity;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;

namespace AgentPlatform.Brain.Notices;

/// <summary>
/// Tells the tenant's owners and admins, once, that a share of a budget was reached. The budget of an agent is told of over its own channels, the
/// tenant's over those of the oldest agent that reaches them.
/// </summary>
internal sealed class TellBudgetAlert(Database database, MemberDirectory members, AgentDirectory agents, Letters letters, BudgetAlerts alerts) : IWorkHandler
{
    /// <summary>Of so many agents at most the channels are tried.</summary>
    private const int MostSenders = 10;

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var notice = item.Read<BudgetNotice>();
        await using var tx = database.Begin(Actor.System(item.TenantId));
        var senders = await SendersAsync(tx, notice, ct);
        var told = 0;
        foreach (var member in await members.ReachableAsync(tx, named: null, ct))
        {
            told += await TellAsync(tx, notice, senders, member, ct) ? 1 : 0;
        }

        alerts.Told(tx, notice.AlertId, told);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private async Task<IReadOnlyList<Agent>> SendersAsync(Transaction tx, BudgetNotice notice, CancellationToken ct)
    {
        if (notice.AgentId is { } id)
        {
            return await agents.FindAsync(tx, id, ct) is { } agent ? [agent] : [];
        }

        return [.. (await agents.ListAsync(tx, new PageRequest(PageRequest.MaxLimit, null), ct)).Items.Where(agent => agent.Enabled).Reverse().Take(MostSenders)];
    }

    private async Task<bool> TellAsync(Transaction tx, BudgetNotice notice, IReadOnlyList<Agent> senders, ReachableMember member, CancellationToken ct)
    {
        foreach (var sender in senders)
        {
            await foreach (var place in letters.PlacesAsync(tx, sender.Id, member, Preferences.BudgetAlerts, ct))
            {
                var whose = notice.AgentId is null ? "all agents" : sender.Name;
                await letters.WriteAsync(tx, place, new Letter($"Budget alert: {notice.Percent} % of the {notice.Period} budget", Text(notice, whose), $"budget:{notice.AlertId}:{member.UserId}"), ct);
                return true;
            }
        }

        return false;
    }

    /// <summary>Pure: what is told.</summary>
    internal static string Text(BudgetNotice notice, string whose)
    {
        var spent = string.Create(CultureInfo.InvariantCulture, $"Budget alert: ${notice.Spent:0.00} of the {notice.Period} budget of ${notice.Budget:0.00} for {whose} are spent ({notice.Percent} % reached).");
        return notice.Percent < 100 ? spent : notice.Stops ? $"{spent} Language models are not asked any more until the next period." : $"{spent} Language models are still asked.";
    }
}
