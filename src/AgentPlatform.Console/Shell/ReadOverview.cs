using AgentPlatform.Console.Simulator;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Console.Shell;

/// <summary>A conversation in a list.</summary>
public sealed record ConversationLine(Guid Id, string With, string Channel, string Agent, string Status, int Messages, DateTimeOffset LastAt);

/// <summary>What the overview shows of a tenant.</summary>
public sealed record Overview(string TenantName, IReadOnlyList<Agent> Agents, IReadOnlyList<ConversationLine> Conversations, string? OlderCursor);

internal sealed class ReadOverview(Database database, ManageTenants tenants, AgentDirectory agents, ReadConversations conversations, ContactDirectory contacts)
{
    private const int PerPage = 20;

    internal async Task<Result<Overview>> ReadAsync(Actor actor, string? cursor, CancellationToken ct)
    {
        var page = await conversations.ListAsync(actor, new ConversationFilter(), PerPage, cursor, ct);
        if (!page.IsOk)
        {
            return page.Problem;
        }

        var tenant = await tenants.FindAsync(actor, actor.TenantId, ct);
        await using var tx = database.Begin(actor);
        var known = (await agents.ListAsync(tx, new PageRequest(PageRequest.MaxLimit, null), ct)).Items;
        var lines = new List<ConversationLine>();
        foreach (var conversation in page.Value.Items)
        {
            var contact = conversation.ContactId is { } id ? await contacts.FindAsync(tx, id, ct) : null;
            lines.Add(Line(conversation, contact, known));
        }

        return new Overview(tenant.IsOk ? tenant.Value.Name : "Workspace", known, lines, page.Value.NextCursor);
    }

    private static ConversationLine Line(Conversation conversation, Contact? contact, IReadOnlyList<Agent> agents) => new(
        conversation.Id, Names.Of(contact, conversation), conversation.Channel, agents.FirstOrDefault(a => a.Id == conversation.AgentId)?.Name ?? "none",
        conversation.Status, conversation.MessageCount, conversation.LastMessageAt ?? conversation.StartedAt);
}
