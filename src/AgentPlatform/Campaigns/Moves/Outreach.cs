using AgentPlatform.Campaigns.Foundations;
using AgentPlatform.Campaigns.Icps;
using AgentPlatform.Channels;
using AgentPlatform.Contacts.Segments;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Campaigns.Moves;

/// <summary>
/// Sends a move's words to the contacts of its campaign's profiles, a batch a transaction, each step of it one statement. Messaging decides about every message:
/// consent, quiet hours, budgets and limits hold. The batch, how far it got and the work that goes on commit together, and a contact is a recipient once.
/// </summary>
internal sealed class Outreach(
    ContactSegments segments, ChannelDirectory channels, ConversationLog conversations, FoundationStore foundations, Outbox outbox, IOptions<CampaignsOptions> options,
    TimeProvider clock) : IMoveRunner
{
    public string Type => Move.Outreach;

    public async Task<MoveOutcome> RunAsync(Transaction tx, MoveRun run, CancellationToken ct)
    {
        switch (run.Campaign)
        {
            case null:
                return new MoveOutcome.Failed("campaign_deleted");
            case { Status: "paused" }:
                return new MoveOutcome.Rests();
            case { Status: not "active" }:
                return new MoveOutcome.Failed("campaign_completed");
            case { StartDate: { } first } when Until(first) is { Ticks: > 0 } early:
                return new MoveOutcome.More(early);
        }

        tx.Gather();
        var (asking, open, telling) = (ManageIcps.OfAsync(tx, run.Campaign.TargetIcps, ct), channels.OutletsAsync(tx, ct), foundations.FindAsync(tx, ct));
        await tx.AskAsync(ct);
        var (icps, outlets, foundation) = (await asking, (await open).ToDictionary(o => o.Channel, StringComparer.Ordinal), await telling);
        if (icps.Count == 0 || outlets.Count == 0)
        {
            return new MoveOutcome.Failed(icps.Count == 0 ? "no_icps" : "no_channel");
        }

        var batch = await segments.PageAsync(tx, icps.Select(icp => icp.Rule), run.Move.Reached, options.Value.BatchSize, ct);
        var order = Order(run.Move, icps).Where(outlets.ContainsKey).ToList();
        var routes = batch.Select(contact => Route(contact, order)).ToList();
        var talks = (await conversations.OpenManyAsync(tx, [.. routes.Where(r => r.Channel is not null).Select(r => Opening(r, outlets[r.Channel!]))], ct))
            .ToDictionary(talk => (talk.ContactId, talk.Channel));
        var letters = routes.Select(route => Letter(run, route, route.Channel is { } channel ? talks[(route.Contact.Id, channel)] : null, foundation)).ToList();
        await HandOverAsync(tx, run.Move, letters, ct);
        if (batch.Count > 0)
        {
            tx.Post(Sql.Reached, run.Move.Id, batch[^1].Id);
        }

        return batch.Count < options.Value.BatchSize ? new MoveOutcome.Done(Json.Of(new { })) : new MoveOutcome.More(TimeSpan.Zero);
    }

    /// <summary>The channel that the move names, else those that its profiles prefer, else any.</summary>
    private static IEnumerable<string> Order(Move move, IReadOnlyList<IcpProfile> icps) =>
        move.Said("channel") is { } only ? [only] : icps.SelectMany(icp => icp.Texts(p => p.PreferredChannels)).Concat(IcpProfile.Channels).Distinct();

    private static Routed Route(SegmentContact contact, IReadOnlyList<string> order) =>
        order.FirstOrDefault(channel => contact.AddressOn(channel) is not null) is { } channel ? new(contact, channel, null)
        : new(contact, null, order.Any(contact.OptedOutOf.Contains) ? "opted_out" : "no_channel");

    private static OpenConversation Opening(Routed route, Outlet outlet) =>
        new(route.Contact.Id, outlet.AgentId, outlet.Channel, route.Contact.AddressOn(outlet.Channel)!, outlet.Id);

    private Lettered Letter(MoveRun run, Routed route, OpenedConversation? talk, Foundation? foundation)
    {
        if (talk is null || !talk.BotMayReply)
        {
            return new(route.Contact.Id, "skipped", route.Refusal ?? "conversation_not_the_bots", null);
        }

        var text = OutreachText.Fill(run.Move.Said("text")!, route.Contact, foundation, run.Campaign!);
        var unsayable = text.Length == 0 ? "nothing_to_say" : talk.Channel == ChannelTypes.Sms && text.Length > ChannelTypes.LongestSms ? "too_long" : null;
        return unsayable is not null ? new(route.Contact.Id, "skipped", unsayable, null) : new(route.Contact.Id, "queued", null, new OutgoingMessage(route.Contact.Id, talk.Id, "agent", text)
        {
            QueueId = clock.NewId(),
            Proactive = true,
            Priority = run.Move.Priority,
            Subject = run.Move.Said("subject") is { } subject ? OutreachText.Fill(subject, route.Contact, foundation, run.Campaign!) : null,
            IdempotencyKey = $"move:{run.Move.Id:n}:{route.Contact.Id:n}",
        })
        { Channel = talk.Channel };
    }

    /// <summary>Who is a recipient already (a contact that was merged into one further on) is not written to again.</summary>
    private async Task HandOverAsync(Transaction tx, Move move, IReadOnlyList<Lettered> letters, CancellationToken ct)
    {
        var fresh = (await tx.QueryAsync<Guid>(
            Sql.Receive,
            [
                move.Id, letters.Select(l => l.ContactId).ToArray(), letters.Select(l => l.Status).ToArray(), letters.Select(l => l.Reason).ToArray(),
                letters.Select(l => l.Channel).ToArray(), letters.Select(l => l.Message?.ConversationId).ToArray(), letters.Select(l => l.Message?.QueueId).ToArray(),
            ],
            ct)).ToHashSet();
        outbox.QueueMany(tx, [.. letters.Where(l => l.Message is not null && fresh.Contains(l.ContactId)).Select(l => l.Message!)]);
    }

    private TimeSpan Until(DateOnly first) => new DateTimeOffset(first, TimeOnly.MinValue, TimeSpan.Zero) - clock.GetUtcNow();

    /// <summary>A contact, and by which channel they are written to; or why by none.</summary>
    private sealed record Routed(SegmentContact Contact, string? Channel, string? Refusal);

    private sealed record Lettered(Guid ContactId, string Status, string? Reason, OutgoingMessage? Message)
    {
        internal string? Channel { get; init; }
    }

    private static class Sql
    {
        internal const string Receive =
            """
            INSERT INTO campaigns.move_recipients (tenant_id, move_id, contact_id, status, reason, channel, conversation_id, queue_id)
            SELECT kernel.current_tenant_id(), $1, n.contact_id, n.status, n.reason, n.channel, n.conversation_id, n.queue_id
            FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::uuid[]) AS n (contact_id, status, reason, channel, conversation_id, queue_id)
            ON CONFLICT (tenant_id, move_id, contact_id) DO NOTHING
            RETURNING contact_id
            """;

        internal const string Reached = "UPDATE campaigns.moves SET reached = $2 WHERE tenant_id = kernel.current_tenant_id() AND id = $1";
    }
}
