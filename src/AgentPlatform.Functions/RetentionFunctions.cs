using AgentPlatform.Actions.Checkpoints;
using AgentPlatform.Alerts;
using AgentPlatform.Audit;
using AgentPlatform.Brain.Shadows;
using AgentPlatform.Channels;
using AgentPlatform.Conversations.Drafts;
using AgentPlatform.Conversations.Retention;
using AgentPlatform.Costs;
using AgentPlatform.Events;
using AgentPlatform.Identity;
using AgentPlatform.Knowledge.Patterns;
using AgentPlatform.Memory;
using AgentPlatform.Models;
using AgentPlatform.Schedules;

namespace AgentPlatform.Functions;

/// <summary>
/// Old events and tasks go to the archive; old request logs, answers, rate windows, deliveries of webhooks, messages, turns, sessions, calls of models, turns of shadows, reservations,
/// followers, alerts, audits, expired checkpoints, patterns that came to nothing and memories that faded go; the coming months get their partitions.
/// </summary>
public sealed class RetentionFunctions(
    EventArchive archive, IdentityRetention identity, MessagePartitions partitions, TaskArchive tasks, CheckpointRetention checkpoints, WebhookLogRetention webhooks,
    CallRetention calls, ShadowRetention shadows, ReservationRetention reservations, ConversationFollowers followers, PatternRetention patterns,
    AlertRetention alerts, MemoryRetention memory, AuditRetention audits, ConversationRetention conversations)
{
    [Function("EventArchive")]
    public Task ArchiveEvents([TimerTrigger("0 10 3 * * *")] TimerInfo timer, CancellationToken ct) => archive.RunAsync(ct);

    [Function("IdentityRetention")]
    public Task PruneIdentity([TimerTrigger("0 5 * * * *")] TimerInfo timer, CancellationToken ct) => identity.PruneAsync(ct);

    [Function("MessagePartitions")]
    public Task MakePartitions([TimerTrigger("0 20 3 * * *")] TimerInfo timer, CancellationToken ct) => partitions.EnsureAsync(ct);

    [Function("TaskArchive")]
    public Task ArchiveTasks([TimerTrigger("0 30 3 * * *")] TimerInfo timer, CancellationToken ct) => tasks.RunAsync(ct);

    [Function("CheckpointRetention")]
    public Task PruneCheckpoints([TimerTrigger("0 15 * * * *")] TimerInfo timer, CancellationToken ct) => checkpoints.PruneAsync(ct);

    [Function("WebhookLogRetention")]
    public Task PruneWebhookLogs([TimerTrigger("0 35 3 * * *")] TimerInfo timer, CancellationToken ct) => webhooks.PruneAsync(ct);

    [Function("ModelCallRetention")]
    public Task PruneModelCalls([TimerTrigger("0 40 3 * * *")] TimerInfo timer, CancellationToken ct) => calls.PruneAsync(ct);

    [Function("ShadowRetention")]
    public Task PruneShadows([TimerTrigger("0 45 3 * * *")] TimerInfo timer, CancellationToken ct) => shadows.PruneAsync(ct);

    [Function("ReservationRetention")]
    public Task PruneReservations([TimerTrigger("0 50 3 * * *")] TimerInfo timer, CancellationToken ct) => reservations.PruneAsync(ct);

    [Function("FollowerRetention")]
    public Task PruneFollowers([TimerTrigger("0 0 4 * * *")] TimerInfo timer, CancellationToken ct) => followers.PruneAsync(ct);

    [Function("PatternRetention")]
    public Task PrunePatterns([TimerTrigger("0 5 4 * * *")] TimerInfo timer, CancellationToken ct) => patterns.PruneAsync(ct);

    [Function("AlertRetention")]
    public Task PruneAlerts([TimerTrigger("0 25 * * * *")] TimerInfo timer, CancellationToken ct) => alerts.PruneAsync(ct);

    [Function("MemoryRetention")]
    public Task PruneMemory([TimerTrigger("0 15 4 * * *")] TimerInfo timer, CancellationToken ct) => memory.PruneAsync(ct);

    [Function("ConversationRetention")]
    public Task PruneConversations([TimerTrigger("0 20 4 * * *")] TimerInfo timer, CancellationToken ct) => conversations.PruneAsync(ct);

    [Function("AuditRetention")]
    public Task PruneAudits([TimerTrigger("0 10 4 * * *")] TimerInfo timer, CancellationToken ct) => audits.PruneAsync(ct);
}
