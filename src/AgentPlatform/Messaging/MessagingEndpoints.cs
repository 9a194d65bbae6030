using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging.Pacing;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Messaging;

internal static class MessagingEndpoints
{
    private static readonly string[] Statuses = ["queued", "held", "approved", "sent", "superseded", "failed", "cancelled"];

    internal static void MapQueue(IEndpointRouteBuilder v1)
    {
        var group = v1.MapGroup("/message-queue").WithTags("Messages");
        group.MapGet("", async (
                HttpContext http, Database database, string? status, Guid? contact_id, Guid? conversation_id, int? limit, string? cursor, CancellationToken ct) =>
                await http.PageAsync(
                    database, limit, cursor, (tx, page) => QueueActions.ListAsync(tx, status, contact_id, conversation_id, page, ct),
                    new Validation().OneOf("status", status, required: false, Statuses).Problem))
            .RequireScope("messages:read").Describe("listQueuedMessages", "List what agents want to say, and what became of it.").Produces<Page<QueuedMessage>>();
        group.MapGet("/{id:guid}", async (HttpContext http, QueueActions queue, Guid id, CancellationToken ct) => (await queue.FindAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope("messages:read").Describe("getQueuedMessage", "Read a queued message.").Produces<QueuedMessage>();
        group.MapGet("/{id:guid}/effects", async (HttpContext http, QueueActions queue, Guid id, CancellationToken ct) => (await queue.EffectsAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope("messages:read").Describe("listMessageEffects", "The call to the provider that sends a message: its attempts, the questions what became of it, and how it ended.").Produces<Page<StoredEffect>>();
        group.MapPost("/{id:guid}/cancel", async (HttpContext http, QueueActions queue, Guid id, CancellationToken ct) => (await queue.CancelAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope("messages:write").Describe("cancelQueuedMessage", "Call a message back that has not been decided on.").Produces<QueuedMessage>();
        group.MapPost("/{id:guid}/release", async (HttpContext http, QueueActions queue, Guid id, CancellationToken ct) => (await queue.ReleaseAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope("messages:write").Describe("releaseQueuedMessage", "Have a held message decided on again at once.").Produces<QueuedMessage>();
    }

    internal static void MapReplies(IEndpointRouteBuilder v1) =>
        v1.MapPost("/conversations/{id:guid}/replies", async (HttpContext http, ReplyAsHuman reply, Guid id, ReplyBody body, CancellationToken ct) =>
                (await reply.HandleAsync(http.Actor(), id, body, http.IdempotencyKey(), ct)).ToAccepted())
            .WithTags("Conversations").RequireScope("conversations:write").Describe("replyAsHuman", "Say something to the contact yourself.").Produces<Reply>(202);

    internal static void MapBudgets(IEndpointRouteBuilder v1)
    {
        var group = v1.MapGroup("/contacts/{contactId:guid}/message-budget").WithTags("Contacts");
        group.MapGet("", async (HttpContext http, ContactBudgets budgets, Guid contactId, CancellationToken ct) => (await budgets.ReadAsync(http.Actor(), contactId, ct)).ToHttp())
            .RequireScope("contacts:read").Describe("getMessageBudget", "How many unasked messages a contact got today, and may get.").Produces<MessageBudget>();
        group.MapPut("", async (HttpContext http, ContactBudgets budgets, Guid contactId, MessageBudgetInput body, CancellationToken ct) =>
                (await budgets.ChangeAsync(http.Actor(), contactId, body, ct)).ToHttp())
            .RequireScope("contacts:write").Describe("changeMessageBudget", "Change a contact's limits, from today on.").Produces<MessageBudget>();
    }
}
