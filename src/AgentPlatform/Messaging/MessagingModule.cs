using System.ComponentModel.DataAnnotations;
using AgentPlatform.Contacts;
using AgentPlatform.Messaging.Pacing;
using AgentPlatform.Operations;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Messaging;

public sealed class MessagingOptions
{
    /// <summary>Calls to a provider before a message is given up. Default 6.</summary>
    [Range(1, 50)]
    public int MaxAttempts { get; set; } = 6;

    /// <summary>Questions to a provider about a lost answer before the outcome is left unknown. Default 10.</summary>
    [Range(1, 100)]
    public int MaxProbes { get; set; } = 10;

    /// <summary>Seconds before the second attempt; it doubles with each further one, up to five minutes. Default 2.</summary>
    [Range(0.01, 300)]
    public double RetrySeconds { get; set; } = 2;

    /// <summary>When nobody is written to unasked who has no quiet hours of their own, in their own time; none when it equals the end. Default 21:00:00.</summary>
    public TimeOnly QuietHoursStart { get; set; } = new(21, 0);

    /// <summary>When those hours are over. Default 08:00:00.</summary>
    public TimeOnly QuietHoursEnd { get; set; } = new(8, 0);

    internal QuietWindow QuietWindow => new(QuietHoursStart, QuietHoursEnd);
}

public static class MessagingModule
{
    public const string DispatchKind = "messaging.dispatch";

    public static IServiceCollection AddMessaging(this IServiceCollection services)
    {
        services.AddSingleton<IKeepsPersonalData, KeptOfContacts>();
        services.AddOptions<MessagingOptions>().BindConfiguration("Messaging").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<Outbox>().AddSingleton<Letters>().AddSingleton<Budgets>().AddSingleton<Recall>().AddSingleton<SendFacts>().AddSingleton<SendEffects>().AddSingleton<SettleSend>().AddSingleton<QueueActions>().AddSingleton<ReplyAsHuman>().AddSingleton<ContactBudgets>();
        services.AddSingleton<IContactMergeParticipant, MergedContacts>();
        services.AddSingleton<FollowUp>();
        services.AddSingleton<IHealthSource, QueueHealth>();
        services.AddSingleton<IAgentTaskHandler, ScheduledFollowUp>().AddSingleton<IAgentTaskHandler, ReEngagementCheck>();
        // The handler counts attempts itself, on the effect: waiting for a provider's answer is not an attempt.
        return services.AddWorkHandler<DispatchMessage>(DispatchKind, kind => kind.MaxAttempts = 200);
    }

    public static void MapMessaging(this IEndpointRouteBuilder v1)
    {
        MessagingEndpoints.MapQueue(v1);
        MessagingEndpoints.MapReplies(v1);
        MessagingEndpoints.MapBudgets(v1);
    }
}
