using AgentPlatform.Api;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations.Drafts;
using AgentPlatform.Events.Live;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Conversations;

internal static class ConversationEndpoints
{
    internal static IEndpointRouteBuilder MapConversations(IEndpointRouteBuilder v1)
    {
        var conversations = v1.MapGroup("/conversations").WithTags("Conversations");
        MapReads(conversations);
        MapChanges(conversations);
        MapMoves(conversations);
        MapMessages(v1.MapGroup("/messages").WithTags("Messages"));
        MapSessions(v1.MapGroup("/sessions").WithTags("Sessions"));
        MapAudit(v1);
        v1.MapGet("/turn-usage", UsageAsync).WithTags("Conversations").RequireScope("conversations:read")
            .Describe("reportTurnUsage", "Tokens, cost and latency of the tenant's turns, by day, week or month.").Produces<Page<TurnUsage>>();
        return v1;
    }

    private static async Task<IResult> UsageAsync(
        HttpContext http, Database database, TimeProvider clock, CancellationToken ct, string by = "day", DateOnly? from = null, DateOnly? to = null, Guid? agent_instance_id = null)
    {
        var days = ReportDays.Of(from, to, clock);
        if (days.Check(new Validation().OneOf("by", by, required: true, "day", "week", "month")).Problem is { } invalid)
        {
            return invalid.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        return ((Result<Page<TurnUsage>>)new Page<TurnUsage>(await TurnLog.UsageAsync(tx, by, days.From, days.To, agent_instance_id, ct), null)).ToHttp();
    }

    private static void MapReads(RouteGroupBuilder conversations)
    {
        conversations.MapGet("", async (
            HttpContext http, ReadConversations read, string? q, string? status, string? channel, string? handled_by, Guid? contact_id, Guid? agent_id,
            int? limit, string? cursor, CancellationToken ct) =>
            (await read.ListAsync(http.Actor(), new ConversationFilter(q, status, channel, handled_by, contact_id, agent_id), limit, cursor, ct)).ToHttp())
            .RequireScope("conversations:read").Describe("listConversations", "Conversations, the latest updated first.").Produces<Page<Conversation>>();

        conversations.MapGet("/{id:guid}", async (HttpContext http, ReadConversations read, Guid id, CancellationToken ct) =>
            (await read.FindAsync(http.Actor(), id, ct)).ToHttp(c => c.ChangedAt))
            .RequireScope("conversations:read").Describe("readConversation", "One conversation.").Produces<Conversation>();

        conversations.MapGet("/{id:guid}/messages", async (
            HttpContext http, ReadConversations read, Guid id, int? limit, string? cursor, CancellationToken ct) =>
        {
            var page = PageRequest.Parse(limit, cursor);
            return (page.IsOk ? await read.MessagesAsync(http.Actor(), new MessageFilter(id, null, null, null), page.Value, ct) : page.Problem).ToHttp();
        }).RequireScope("conversations:read").Describe("listConversationMessages", "The messages, newest first.").Produces<Page<Message>>();

        conversations.MapGet("/{id:guid}/timeline", async (
            HttpContext http, ReadConversations read, Guid id, int? limit, string? cursor, CancellationToken ct) =>
            (await read.TimelineAsync(http.Actor(), id, limit, cursor, ct)).ToHttp())
            .RequireScope("conversations:read").Describe("readConversationTimeline", "Messages and events together, newest first.")
            .Produces<Page<TimelineEntry>>();

        conversations.MapGet("/{id:guid}/stream", (HttpContext http, StreamEvents streams, ConversationFollowers followers, Guid id, CancellationToken ct) =>
            streams.AggregateAsync(http, "conversation", id, ct, followers.Begin(http.Actor(), id).StayAsync))
            .RequireScope("conversations:read").Describe("streamConversation", "Follow a conversation live: its events, and drafts of the reply that is being written.")
            .Produces<string>(StatusCodes.Status200OK, "text/event-stream");

        conversations.MapGet("/{id:guid}/turns", async (
            HttpContext http, Database database, TurnLog turns, Guid id, int? limit, string? cursor, CancellationToken ct) =>
            await http.PageAsync(database, limit, cursor, (tx, page) => turns.ListAsync(tx, id, page, ct)))
            .RequireScope("conversations:read").Describe("listConversationTurns", "The record of every turn, newest first.").Produces<Page<StoredTurn>>();
    }

    private static void MapChanges(RouteGroupBuilder conversations)
    {
        conversations.MapPost("", async (HttpContext http, ChangeConversation change, ConversationBody body, CancellationToken ct) =>
            (await change.OpenAsync(http.Actor(), body, ct)).ToCreated(c => $"/api/v1/conversations/{c.Id}", c => c.ChangedAt))
            .RequireScope("conversations:write").Describe("openConversation", "Open a conversation with a contact, or one of your own.")
            .Produces<Conversation>(201);

        conversations.MapPatch("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ChangeConversation change, Guid id, ConversationPatch body, CancellationToken ct) =>
            (await change.PatchAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(c => c.ChangedAt))
            .RequireScope("conversations:write").Describe("patchConversation", "Change title, topic, data or how the bot behaves.").Produces<Conversation>();

        conversations.MapPost("/{id:guid}/hand-over", async (HttpContext http, IfMatch ifMatch, ChangeConversation change, Guid id, HandOverBody? body, CancellationToken ct) =>
            (await change.MoveAsync(http.Actor(), id, ConversationMove.HandOver, body?.UserId, ifMatch, ct)).ToHttp(c => c.ChangedAt))
            .RequireScope("conversations:write").Describe("handOverConversation", "A human takes over: the bot no longer replies.").Produces<Conversation>();
    }

    private static void MapMoves(RouteGroupBuilder conversations)
    {
        MapMove(conversations, "pause", ConversationMove.Pause, "The bot no longer replies until resumed.");
        MapMove(conversations, "resume", ConversationMove.Resume, "The bot replies again.");
        MapMove(conversations, "resolve", ConversationMove.Resolve, "The matter is settled.");
        MapMove(conversations, "complete", ConversationMove.Complete, "The conversation has reached its end.");
        MapMove(conversations, "close", ConversationMove.Close, "End it without a result.");
        MapMove(conversations, "archive", ConversationMove.Archive, "Put it away for good.");
    }

    private static void MapMove(RouteGroupBuilder conversations, string verb, ConversationMove move, string summary) =>
        conversations.MapPost($"/{{id:guid}}/{verb}", async (HttpContext http, IfMatch ifMatch, ChangeConversation change, Guid id, CancellationToken ct) =>
            (await change.MoveAsync(http.Actor(), id, move, null, ifMatch, ct)).ToHttp(c => c.ChangedAt))
            .RequireScope("conversations:write").Describe($"{verb}Conversation", summary).Produces<Conversation>();

    private static void MapMessages(RouteGroupBuilder messages)
    {
        messages.MapGet("", async (
            HttpContext http, ReadConversations read, Guid? conversation_id, Guid? contact_id, string? status, string? direction, int? limit, string? cursor,
            CancellationToken ct) =>
        {
            var page = PageRequest.Parse(limit, cursor);
            var filter = new MessageFilter(conversation_id, contact_id, status, direction);
            return (page.IsOk ? await read.MessagesAsync(http.Actor(), filter, page.Value, ct) : page.Problem).ToHttp();
        }).RequireScope("conversations:read").Describe("listMessages", "Messages of all conversations, newest first.").Produces<Page<Message>>();

        messages.MapGet("/{id:guid}", async (HttpContext http, ReadConversations read, Guid id, CancellationToken ct) =>
            (await read.MessageAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope("conversations:read").Describe("readMessage", "One message and its delivery.").Produces<Message>();
    }

    private static void MapSessions(RouteGroupBuilder sessions)
    {
        sessions.MapGet("", async (
            HttpContext http, SessionApi api, Guid? agent_id, Guid? contact_id, string? channel, string? address, int? limit, string? cursor, CancellationToken ct) =>
            (await api.ListAsync(http.Actor(), new SessionFilter(agent_id, contact_id, channel, address), limit, cursor, ct)).ToHttp())
            .RequireScope("conversations:read").Describe("listSessions", "The living sessions of an agent, a contact or an address, the latest used first.")
            .Produces<Page<ConversationSession>>();

        sessions.MapGet("/{id:guid}", async (
            HttpContext http, SessionApi api, Guid id, CancellationToken ct) =>
                (await api.ReadAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope("conversations:read").Describe("readSession", "One living session with its state.").Produces<ConversationSession>();

        sessions.MapPost("/{id:guid}/end", async (
            HttpContext http, SessionApi api, Guid id, CancellationToken ct) =>
                (await api.EndAsync(http.Actor(), id, ct)).ToNoContent())
            .RequireScope("conversations:write").Describe("endSession", "End a session: the next message starts a new one.").Produces(204);

        sessions.MapDelete("/{id:guid}", async (
            HttpContext http, SessionApi api, Guid id, CancellationToken ct) =>
                (await api.DeleteAsync(http.Actor(), id, ct)).ToNoContent())
            .RequireScope("conversations:write").Describe("deleteSession", "Delete a session; its turn records stay.").Produces(204);
    }

    private static void MapAudit(IEndpointRouteBuilder v1) =>
        v1.MapGet("/audit-events", async (
            HttpContext http, Database database, AuditLog audit, Guid? session_id, string? event_type, int? limit, string? cursor, CancellationToken ct) =>
            await http.PageAsync(database, limit, cursor, (tx, page) => audit.ListAsync(tx, session_id, event_type, page, ct)))
            .WithTags("Audit").RequireScope("audit:read").Describe("listAuditEvents", "What happened in sessions and turns, newest first.")
            .Produces<Page<StoredAuditEvent>>();

    internal sealed record HandOverBody(Guid? UserId);
}

internal sealed record SessionFilter(Guid? AgentId, Guid? ContactId, string? Channel, string? Address);

/// <summary>Sessions for the API: looking on keeps nothing hot.</summary>
internal sealed class SessionApi(Database database, SessionStore sessions)
{
    internal async Task<Result<Page<ConversationSession>>> ListAsync(Actor actor, SessionFilter filter, int? limit, string? cursor, CancellationToken ct)
    {
        var size = PageRequest.Parse(limit, null);
        if (!size.IsOk)
        {
            return size.Problem;
        }

        if (!Place.TryDecode(cursor, out var after))
        {
            return Problem.Invalid("cursor", "Is not a cursor this API gave out.");
        }

        await using var tx = database.Begin(actor);
        switch (filter.AgentId, filter.ContactId, filter.Channel, filter.Address)
        {
            case ({ } agent, null, null, null):
                return Cut(await sessions.ListByAgentAsync(tx, agent, after, size.Value.Fetch, ct));
            case (null, { } contact, null, null):
                return Cut(await sessions.ListByCustomerAsync(tx, contact, after, size.Value.Fetch, ct));
            case (null, null, { } channel, { } address) when ContactDirectory.TryNormalize(new ChannelAddress(channel, address), out var at):
                return new Page<ConversationSession>(await sessions.PeekByChannelAsync(tx, at, ct) is { } session ? [session] : [], null);
            default:
                return Problem.BadRequest("ambiguous_filter", "Give agent_id, or contact_id, or channel and address.");
        }

        Page<ConversationSession> Cut(IReadOnlyList<ConversationSession> rows) => Place.Cut(rows, size.Value.Limit, s => new Place(s.LastActivityAt, s.SessionId));
    }

    internal async Task<Result<ConversationSession>> ReadAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await sessions.PeekAsync(tx, id, ct) is { } session ? session : Problem.NotFound("session");
    }

    internal Task<Result<Guid>> EndAsync(Actor actor, Guid id, CancellationToken ct) =>
        DoAsync(actor, id, tx => sessions.EndAsync(tx, id, "ended by the API", ct), ct);

    internal Task<Result<Guid>> DeleteAsync(Actor actor, Guid id, CancellationToken ct) => DoAsync(actor, id, tx => sessions.DeleteAsync(tx, id, ct), ct);

    private async Task<Result<Guid>> DoAsync(Actor actor, Guid id, Func<Transaction, Task<bool>> work, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (!await work(tx))
        {
            return Problem.NotFound("session");
        }

        await tx.CommitAsync(ct);
        return id;
    }
}
