using AgentPlatform.Campaigns.Icps;
using AgentPlatform.Contacts.Segments;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Campaigns.Moves;

/// <summary>What is known of whom a campaign is for, and of what they said so far, summed up by numbers. Without a campaign: of all contacts.</summary>
internal sealed class Research(ManageIcps manage, ContactSegments segments) : IMoveRunner
{
    public string Type => Move.Research;

    public async Task<MoveOutcome> RunAsync(Transaction tx, MoveRun run, CancellationToken ct)
    {
        tx.Gather();
        var (asking, all, counting) = (
            ManageIcps.OfAsync(tx, run.Campaign?.TargetIcps ?? [], ct), segments.SizesAsync(tx, [Json.Of(true)], ct), tx.SingleAsync<Answers>(Sql.Answers, [run.Move.CampaignId], ct));
        await tx.AskAsync(ct);
        var (icps, everybody, answers) = (await asking, (await all)[0], await counting);
        var audiences = await manage.AudiencesAsync(tx, icps, ct);
        return new MoveOutcome.Done(Json.Of(new
        {
            summary = string.Join('\n', Sentences(icps, audiences, everybody, answers)),
            contacts = everybody.Contacts,
            icps = icps.Zip(audiences, (icp, audience) => new { icp.Id, icp.Name, audience.Contacts, audience.Sms, audience.Email, audience.Webhook, audience.Unreachable }),
            messages = answers,
        }));
    }

    private static IEnumerable<string> Sentences(IReadOnlyList<IcpProfile> icps, IReadOnlyList<IcpAudience> audiences, SegmentSize everybody, Answers answers)
    {
        yield return $"{everybody.Contacts} contacts are known: {everybody.Sms} can be written to by SMS, {everybody.Email} by e-mail, {everybody.Webhook} by webhook, {everybody.Unreachable} by none of them.";
        foreach (var (icp, audience) in icps.Zip(audiences))
        {
            yield return $"{icp.Name}: {audience.Contacts} fit, {audience.Sms} by SMS, {audience.Email} by e-mail, {audience.Webhook} by webhook, {audience.Unreachable} not at all."
                + (icp.Texts(p => p.PainPoints) is [var first, ..] ? $" What troubles them first: {first}." : "");
        }

        yield return $"So far {answers.Sent} were written to: {answers.Replied} replied, {answers.OptedOut} opted out.";
    }

    private sealed record Answers(long Sent, long Replied, long OptedOut);

    private static class Sql
    {
        internal const string Answers =
            """
            SELECT count(*) FILTER (WHERE r.sent_at IS NOT NULL) AS sent, count(*) FILTER (WHERE r.replied_at IS NOT NULL) AS replied,
                   count(*) FILTER (WHERE r.opted_out_at IS NOT NULL) AS opted_out
            FROM campaigns.move_recipients AS r JOIN campaigns.moves AS m ON m.tenant_id = r.tenant_id AND m.id = r.move_id
            WHERE r.tenant_id = kernel.current_tenant_id() AND m.campaign_id = $1
            """;
    }
}
