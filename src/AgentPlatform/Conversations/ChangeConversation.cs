using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Contacts;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using Npgsql;

namespace AgentPlatform.Conversations;

/// <summary>
/// A conversation to be opened: with a contact on a channel (the living one is found, else it is made), or, without a contact, an
/// operator's own thread, for which <see cref="Data"/> is required.
/// </summary>
internal sealed record ConversationBody(Guid? ContactId, Guid? AgentId, string? Channel, string? Title, string? Topic, JsonElement? Data, bool Shared = true);

/// <summary>What may be changed; what is absent stays.</summary>
internal sealed record ConversationPatch(
    string? Title, string? Topic, JsonElement? Data, string? AiPersonality, bool? AutoCreateTasks, bool? RequireConfirmation, bool? Shared);

internal sealed class ChangeConversation(
    Database database, ConversationLog log, ContactDirectory contacts, AgentDirectory agents, SessionStore sessions, AuditLog audit, EventStore events,
    TimeProvider clock)
{
    internal async Task<Result<Conversation>> OpenAsync(Actor actor, ConversationBody body, CancellationToken ct)
    {
        if (Check(body.Title, body.Topic, null, body.Data) is { } invalid)
        {
            return invalid;
        }

        try
        {
            await using var tx = database.Begin(actor);
            var opened = body.ContactId is { } contact ? await OpenWithContactAsync(tx, contact, body, ct) : await OpenOwnAsync(tx, actor, body, ct);
            if (opened.IsOk)
            {
                await tx.CommitAsync(ct);
            }

            return opened;
        }
        catch (PostgresException e) when (e.ConstraintName == "conversation_agent")
        {
            return Problem.Invalid("agent_id", "There is no such agent.");
        }
    }

    internal Task<Result<Conversation>> PatchAsync(Actor actor, Guid id, ConversationPatch patch, IfMatch ifMatch, CancellationToken ct) =>
        ChangeAsync(actor, id, ifMatch, async (tx, conversation) =>
        {
            if (Check(patch.Title, patch.Topic, patch.AiPersonality, patch.Data) is { } invalid)
            {
                return invalid;
            }

            tx.Post(
                Sql.Patch, id, patch.Title, patch.Topic, Json.Param(patch.Data), patch.AiPersonality, patch.AutoCreateTasks, patch.RequireConfirmation,
                patch.Shared, conversation.UserId ?? (actor.UserId == Guid.Empty ? null : actor.UserId));
            return await FindAsync(tx, id, ct);
        }, ct);

    /// <summary>Pause, resume, hand over, resolve, complete, close, archive.</summary>
    internal Task<Result<Conversation>> MoveAsync(Actor actor, Guid id, ConversationMove move, Guid? assignTo, IfMatch ifMatch, CancellationToken ct) =>
        ChangeAsync(actor, id, ifMatch, async (tx, conversation) =>
        {
            var decided = ConversationLife.Decide(conversation, move);
            if (!decided.IsOk)
            {
                return decided.Problem;
            }

            var (status, handledBy) = decided.Value;
            var assignee = handledBy == "human" ? assignTo ?? conversation.AssignedUserId ?? (actor.UserId == Guid.Empty ? null : actor.UserId) : null;
            tx.Post(Sql.Move, id, status, handledBy, assignee, status == "resolved" ? clock.GetUtcNow() : null);
            if (ConversationLife.IsOver(status))
            {
                await sessions.EndOfAsync(tx, id, $"conversation {status}", ct);
            }

            var change = new { from = conversation.Status, to = status, handled_by = handledBy, assigned_user_id = assignee };
            events.Append(tx, new NewEvent("conversation.status_changed", "conversation", id, change));
            if (assignee is { } user && user != conversation.AssignedUserId)
            {
                events.Give(tx, "conversation", id, user);
            }

            var record = new { conversation_id = id, change.from, change.to, handled_by = handledBy, by = actor.UserId };
            audit.Append(tx, new AuditEvent("conversation.status_changed", record));
            return await FindAsync(tx, id, ct);
        }, ct);

    private async Task<Result<Conversation>> ChangeAsync(
        Actor actor, Guid id, IfMatch ifMatch, Func<Transaction, Conversation, Task<Result<Conversation>>> change, CancellationToken ct)
    {
        try
        {
            await using var tx = database.Begin(actor);
            // The lock first: what is read after it cannot be changed by another before the commit.
            await tx.ExecuteAsync(Sql.Lock, [id], ct);
            if (await log.FindAsync(tx, id, ct) is not { } conversation)
            {
                return Problem.NotFound("conversation");
            }

            var result = ifMatch.Check(conversation.ChangedAt) is { } stale ? stale : await change(tx, conversation);
            if (result.IsOk)
            {
                await tx.CommitAsync(ct);
            }

            return result;
        }
        catch (PostgresException e) when (e.ConstraintName == "bot_conversations_user_participant_idx")
        {
            return Problem.Conflict("conversation_replaced", "The contact has another living conversation on this channel by now.");
        }
        catch (PostgresException e) when (e.ConstraintName == "conversations_assigned_user_id_fkey")
        {
            return Problem.Invalid("user_id", "There is no such user.");
        }
    }

    private async Task<Result<Conversation>> OpenWithContactAsync(Transaction tx, Guid contactId, ConversationBody body, CancellationToken ct)
    {
        if (await contacts.FindAsync(tx, contactId, ct) is not { } contact)
        {
            return Problem.NotFound("contact");
        }

        var channel = body.Channel ?? ChannelAddress.Web;
        var address = await contacts.AddressAsync(tx, contact.Id, channel, ct) ?? (channel == ChannelAddress.Web ? contact.Id.ToString() : null);
        if (address is null)
        {
            return Problem.Unprocessable("contact_unreachable", $"The contact has no address on channel '{channel}'.");
        }

        var agentId = body.AgentId ?? contact.PocAgentId ?? (await agents.DefaultAsync(tx, ct)).Id;
        var conversation = await log.OpenAsync(tx, new OpenConversation(contact.Id, agentId, channel, address, null), ct);
        tx.Post(Sql.Patch, conversation.Id, body.Title, body.Topic, Json.Param(body.Data), null, null, null, body.Shared ? null : false, tx.Actor!.UserId);
        return await FindAsync(tx, conversation.Id, ct);
    }

    private async Task<Result<Conversation>> OpenOwnAsync(Transaction tx, Actor actor, ConversationBody body, CancellationToken ct)
    {
        if (body.Data is not { } data)
        {
            return Problem.Invalid("data", "Is required for a conversation without a contact.");
        }

        if (actor.UserId == Guid.Empty)
        {
            return Problem.Invalid("contact_id", "Is required: nobody is signed in who could own the conversation.");
        }

        var id = clock.NewId();
        tx.Post(Sql.CreateOwn, id, body.AgentId, actor.UserId, body.Shared, body.Title, body.Topic, Json.Param(data));
        return await FindAsync(tx, id, ct);
    }

    private async Task<Result<Conversation>> FindAsync(Transaction tx, Guid id, CancellationToken ct) => (await log.FindAsync(tx, id, ct))!;

    private static Problem? Check(string? title, string? topic, string? personality, JsonElement? data) =>
        title?.Length > 500 ? Problem.Invalid("title", "Must be at most 500 characters.")
        : topic?.Length > 255 ? Problem.Invalid("topic", "Must be at most 255 characters.")
        : personality is { Length: 0 or > 50 } ? Problem.Invalid("ai_personality", "Must be 1 to 50 characters.")
        : data is { ValueKind: not JsonValueKind.Object } ? Problem.Invalid("data", "Must be a JSON object.")
        : null;

    private static class Sql
    {
        internal const string Lock = "UPDATE conversations.conversations SET changed_at = changed_at WHERE id = $1";

        internal const string CreateOwn =
            """
            INSERT INTO conversations.conversations (tenant_id, id, agent_id, user_id, shared, channel, participant_identifier, title, topic, data)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, 'console', $3::uuid::text, $5, $6, $7)
            """;

        internal const string Patch =
            """
            UPDATE conversations.conversations
            SET title = coalesce($2, title),
                topic = coalesce($3, topic),
                data = coalesce($4, data),
                ai_personality = coalesce($5, ai_personality),
                auto_create_tasks = coalesce($6, auto_create_tasks),
                require_confirmation = coalesce($7, require_confirmation),
                shared = coalesce($8, shared),
                user_id = CASE WHEN NOT coalesce($8, shared) THEN coalesce(user_id, $9) ELSE user_id END,
                changed_at = clock_timestamp()
            WHERE id = $1
            """;

        internal const string Move =
            """
            UPDATE conversations.conversations
            SET status = $2, handled_by = $3, assigned_user_id = $4, resolved_at = coalesce($5, resolved_at), changed_at = clock_timestamp()
            WHERE id = $1
            """;
    }
}

/// <summary>What can be done to a conversation.</summary>
internal enum ConversationMove
{
    Pause,
    Resume,
    HandOver,
    Resolve,
    Complete,
    Close,
    Archive,
}

/// <summary>Which moves a conversation's state allows.</summary>
internal static class ConversationLife
{
    internal static bool IsOver(string status) => status is not ("active" or "paused");

    internal static Result<(string Status, string HandledBy)> Decide(Conversation c, ConversationMove move) => (move, c.Status) switch
    {
        (ConversationMove.Pause, "active") => ("paused", c.HandledBy),
        (ConversationMove.Resume, "active" or "paused" or "resolved" or "completed") => ("active", "bot"),
        (ConversationMove.HandOver, "active" or "paused") => ("active", "human"),
        (ConversationMove.Resolve, "active" or "paused") => ("resolved", c.HandledBy),
        (ConversationMove.Complete, "active" or "paused" or "resolved") => ("completed", c.HandledBy),
        (ConversationMove.Close, not ("closed" or "archived")) => ("closed", c.HandledBy),
        (ConversationMove.Archive, not "archived") => ("archived", c.HandledBy),
        _ => Problem.Conflict("conversation_state", $"A conversation that is {c.Status} cannot do that."),
    };
}
