using System.Text.Json;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules;

namespace AgentPlatform.Messaging;

/// <summary>
/// What a follow-up task knows: <c>conversation_id</c>, <c>last_step</c> (where the talk stopped, e.g. <c>requested_email</c>) and, if
/// the one who scheduled it has words for it, <c>message</c>.
/// </summary>
public sealed record FollowUpContext(Guid? ConversationId, string? LastStep, string? Message = null);

/// <summary>
/// Writes to a person who has gone quiet. Nothing is queued when they have written since the task was made, opted out, or the bot is
/// not to speak in that conversation; the task's result says which. What is queued is unasked: budgets and quiet hours apply.
/// </summary>
public sealed class FollowUp(ConversationLog conversations, ContactDirectory contacts, Outbox outbox)
{
    /// <summary>The task that an agent makes when onboarding stops; its context is a <see cref="FollowUpContext"/>.</summary>
    public const string ReEngagementCheck = "re_engagement_check";

    /// <summary>The task "write to them tomorrow"; its context is a <see cref="FollowUpContext"/>.</summary>
    public const string ScheduleFollowup = "schedule_followup";

    private static readonly string[] Roles = ["bouncer", "concierge", "innovator"];

    internal async Task<AgentTaskOutcome> RunAsync(AgentTask task, Transaction tx, CancellationToken ct)
    {
        if (Read(task.ContextJson) is not { ConversationId: { } id } context)
        {
            return new AgentTaskOutcome.Failed("The context holds no conversation_id.");
        }

        if (await conversations.FindAsync(tx, id, ct) is not { ContactId: { } contactId } conversation
            || await contacts.FindAsync(tx, contactId, ct) is not { } contact)
        {
            return new AgentTaskOutcome.Failed($"There is no conversation {id} with a contact.");
        }

        var optedOut = await contacts.IsOptedOutAsync(tx, contact.Id, conversation.Channel, ct);
        if (Pointless(task, conversation, contact, optedOut) is { } reason)
        {
            return new AgentTaskOutcome.Completed(new { queued = false, reason });
        }

        var text = Text(context, contact);
        outbox.Queue(tx, new OutgoingMessage(contact.Id, id, Roles.Contains(task.AgentType) ? task.AgentType : "agent", text)
        {
            Proactive = true,
            Priority = task.Priority,
            RequiresFreshContext = true,
            SupersedeKey = "followup",
            IdempotencyKey = $"task:{task.Id:n}",
        });
        return new AgentTaskOutcome.Completed(new { queued = true, text });
    }

    private static FollowUpContext? Read(JsonElement context)
    {
        try
        {
            return Json.Read<FollowUpContext>(context);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    internal static string? Pointless(AgentTask task, Conversation conversation, Contact contact, bool optedOut) =>
        optedOut ? "opted_out"
        : contact.LastActiveAt > task.CreatedAt ? "wrote_since"
        : !conversation.BotMayReply ? "conversation_not_active"
        : task.TaskType == ReEngagementCheck && contact.Verified ? "already_verified"
        : null;

    internal static string Text(FollowUpContext context, Contact contact)
    {
        var greeting = contact.FirstName is { Length: > 0 } name ? $"Hi {name}, are you still there?" : "Hi, are you still there?";
        return context switch
        {
            { Message: { Length: > 0 } message } => $"{greeting} {message}",
            { LastStep: { Length: > 0 } step } => $"{greeting} We stopped at: {step.Replace('_', ' ')}. Just reply here to go on.",
            _ => $"{greeting} Just reply here to go on.",
        };
    }
}

/// <summary>Task <c>schedule_followup</c>.</summary>
internal sealed class ScheduledFollowUp(FollowUp followUp) : IAgentTaskHandler
{
    public string TaskType => FollowUp.ScheduleFollowup;

    public Task<AgentTaskOutcome> RunAsync(AgentTask task, Transaction tx, CancellationToken ct) => followUp.RunAsync(task, tx, ct);
}

/// <summary>Task <c>re_engagement_check</c>.</summary>
internal sealed class ReEngagementCheck(FollowUp followUp) : IAgentTaskHandler
{
    public string TaskType => FollowUp.ReEngagementCheck;

    public Task<AgentTaskOutcome> RunAsync(AgentTask task, Transaction tx, CancellationToken ct) => followUp.RunAsync(task, tx, ct);
}
