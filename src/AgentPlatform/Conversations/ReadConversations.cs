using System.Buffers.Binary;
using System.Buffers.Text;
using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Conversations;

/// <summary>Which conversations; null means any.</summary>
public sealed record ConversationFilter(string? Search = null, string? Status = null, string? Channel = null, string? HandledBy = null, Guid? ContactId = null, Guid? AgentId = null)
{
    internal Problem? Problem => new Validation().OneOf("status", Status, required: false, "active", "paused", "resolved", "completed", "closed", "archived")
        .OneOf("channel", Channel, required: false, "sms", "email", "webhook", "web", "console").OneOf("handled_by", HandledBy, required: false, "bot", "human").Problem;
}

internal sealed record MessageFilter(Guid? ConversationId, Guid? ContactId, string? Status, string? Direction)
{
    internal Problem? Problem =>
        new Validation().OneOf("status", Status, required: false, [.. Delivery.Statuses]).OneOf("direction", Direction, required: false, "inbound", "outbound").Problem;
}

/// <summary>One line of a time line: a message, or an event that happened around it.</summary>
internal sealed record TimelineEntry(Guid Id, DateTimeOffset At, string Type, Message? Message, StoredEvent? Event);

/// <summary>Lists of conversations and messages, each in a transaction of its own.</summary>
public sealed class ReadConversations(Database database, ConversationLog log, EventStore events)
{
    /// <summary>The latest updated first.</summary>
    public async Task<Result<Page<Conversation>>> ListAsync(Actor actor, ConversationFilter filter, int? limit, string? cursor, CancellationToken ct)
    {
        var size = PageRequest.Parse(limit, null);
        if ((size.Problem ?? filter.Problem) is { } problem)
        {
            return problem;
        }

        if (!Place.TryDecode(cursor, out var after))
        {
            return Problem.Invalid("cursor", "Is not a cursor this API gave out.");
        }

        await using var tx = database.Begin(actor);
        var rows = await tx.QueryAsync<Conversation>(
            Sql.List,
            [
                string.IsNullOrWhiteSpace(filter.Search) ? null : filter.Search.Trim(), filter.Status, filter.Channel, filter.HandledBy, filter.ContactId,
                filter.AgentId, after?.At, after?.Id, size.Value.Fetch,
            ],
            ct);
        return Place.Cut(rows, size.Value.Limit, c => new Place(c.UpdatedAt, c.Id));
    }

    internal async Task<Result<Conversation>> FindAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await log.FindAsync(tx, id, ct) is { } conversation ? conversation : Problem.NotFound("conversation");
    }

    internal async Task<Result<Page<Message>>> MessagesAsync(Actor actor, MessageFilter filter, PageRequest page, CancellationToken ct)
    {
        if (filter.Problem is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        if (filter.ConversationId is { } conversation && await log.FindAsync(tx, conversation, ct) is null)
        {
            return Problem.NotFound("conversation");
        }

        return Page<Message>.Cut(await MessagesAsync(tx, filter, page, ct), page, m => m.Id);
    }

    internal async Task<Result<Message>> MessageAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await tx.FindAsync<Message>(Sql.Message, [id], ct) is { } message ? message : Problem.NotFound("message");
    }

    /// <summary>Messages and events together, newest first.</summary>
    internal async Task<Result<Page<TimelineEntry>>> TimelineAsync(Actor actor, Guid id, int? limit, string? cursor, CancellationToken ct)
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
        if (await log.FindAsync(tx, id, ct) is null)
        {
            return Problem.NotFound("conversation");
        }

        var messages = await tx.QueryAsync<Message>(Sql.MessagesBefore, [id, after?.At, after?.Id, size.Value.Fetch], ct);
        var happened = await events.LatestAsync(tx, "conversation", id, after is null ? null : (after.At, after.Id), size.Value.Fetch, ct);
        // Not by id alone: an event that is appended idempotently has an id that tells nothing of its time.
        var entries = messages.Select(m => new TimelineEntry(m.Id, m.CreatedAt, $"message.{m.Direction}", m, null))
            .Concat(happened.Select(e => new TimelineEntry(e.Id, e.CreatedAt, e.EventType, null, e)))
            .OrderByDescending(e => e.At).ThenByDescending(e => e.Id)
            .ToList();
        return Place.Cut(entries, size.Value.Limit, e => new Place(e.At, e.Id));
    }

    private static Task<IReadOnlyList<Message>> MessagesAsync(Transaction tx, MessageFilter filter, PageRequest page, CancellationToken ct) =>
        tx.QueryAsync<Message>(Sql.Messages, [filter.ConversationId, filter.ContactId, filter.Status, filter.Direction, page.Before, page.Fetch], ct);

    private static class Sql
    {
        internal const string List =
            """
            SELECT id, conversation_uuid, contact_id, agent_id, user_id, shared, webhook_id, channel, participant_identifier, phone_number, status, handled_by,
                   assigned_user_id, title, topic, data, conversation_summary, last_summary_message_id, messages_since_summary, context_memory, ai_personality,
                   auto_create_tasks, require_confirmation, message_count, tasks_created, last_message_at, started_at, resolved_at, changed_at, created_at,
                   updated_at
            FROM conversations.conversations
            WHERE ($1::text IS NULL OR position(lower($1) IN lower(concat_ws(' ', title, topic, participant_identifier))) > 0)
              AND ($2::text IS NULL OR status = $2)
              AND ($3::text IS NULL OR channel = $3)
              AND ($4::text IS NULL OR handled_by = $4)
              AND ($5::uuid IS NULL OR contact_id = $5)
              AND ($6::uuid IS NULL OR agent_id = $6)
              AND ($7::timestamptz IS NULL OR (updated_at, id) < ($7, $8::uuid))
            ORDER BY updated_at DESC, id DESC LIMIT $9
            """;

        internal const string Messages =
            """
            SELECT id, conversation_id, contact_id, session_id, turn_number, role, direction, content, attachments, status, twilio_message_sid,
                   inbound_message_id, author_user_id, error_code, error_message, created_at, sent_at, delivered_at, failed_at
            FROM conversations.messages
            WHERE ($1::uuid IS NULL OR conversation_id = $1)
              AND ($2::uuid IS NULL OR contact_id = $2)
              AND ($3::text IS NULL OR status = $3)
              AND ($4::text IS NULL OR direction = $4)
              AND ($5::uuid IS NULL OR id < $5)
            ORDER BY id DESC LIMIT $6
            """;

        internal const string MessagesBefore =
            """
            SELECT id, conversation_id, contact_id, session_id, turn_number, role, direction, content, attachments, status, twilio_message_sid,
                   inbound_message_id, author_user_id, error_code, error_message, created_at, sent_at, delivered_at, failed_at
            FROM conversations.messages
            WHERE conversation_id = $1 AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
            ORDER BY created_at DESC, id DESC LIMIT $4
            """;

        internal const string Message =
            """
            SELECT id, conversation_id, contact_id, session_id, turn_number, role, direction, content, attachments, status, twilio_message_sid,
                   inbound_message_id, author_user_id, error_code, error_message, created_at, sent_at, delivered_at, failed_at
            FROM conversations.messages WHERE id = $1
            """;
    }
}

/// <summary>A place in a list ordered by an instant and an id, and its cursor.</summary>
internal sealed record Place(DateTimeOffset At, Guid Id)
{
    internal static Page<T> Cut<T>(IReadOnlyList<T> rows, int limit, Func<T, Place> place) =>
        rows.Count > limit ? new([.. rows.Take(limit)], place(rows[limit - 1]).Encode()) : new(rows, null);

    internal static bool TryDecode(string? text, out Place? place)
    {
        place = null;
        if (text is null)
        {
            return true;
        }

        Span<byte> bytes = stackalloc byte[24];
        if (text.Length != 32 || !Base64Url.TryDecodeFromChars(text, bytes, out var written) || written != 24)
        {
            return false;
        }

        var ticks = BinaryPrimitives.ReadInt64BigEndian(bytes);
        if (ticks < 0 || ticks > DateTimeOffset.MaxValue.Ticks)
        {
            return false;
        }

        place = new(new DateTimeOffset(ticks, TimeSpan.Zero), new Guid(bytes[8..], bigEndian: true));
        return true;
    }

    private string Encode()
    {
        Span<byte> bytes = stackalloc byte[24];
        BinaryPrimitives.WriteInt64BigEndian(bytes, At.UtcTicks);
        Id.TryWriteBytes(bytes[8..], bigEndian: true, out _);
        return Base64Url.EncodeToString(bytes);
    }
}
