using System.ComponentModel.DataAnnotations;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations.Drafts;
using AgentPlatform.Conversations.Retention;
using AgentPlatform.Conversations.Summaries;
using AgentPlatform.Events.Live;
using AgentPlatform.Operations;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Conversations;

public sealed class ConversationsOptions
{
    /// <summary>Minutes that a session stays hot after its last use. Default 30.</summary>
    [Range(1, 1440)]
    public int SessionHotMinutes { get; set; } = 30;

    /// <summary>Days that a session is kept after its last save. Default 7.</summary>
    [Range(1, 365)]
    public int SessionPersistDays { get; set; } = 7;

    /// <summary>Months for which message partitions are made ahead. Default 3.</summary>
    [Range(1, 24)]
    public int PartitionMonthsAhead { get; set; } = 3;

    /// <summary>Days that messages are kept, 0 for ever; a month goes when its last day is past them. Default 0.</summary>
    [KeepDays]
    public int MessageRetentionDays { get; set; }

    /// <summary>Days that records of turns and their events are kept, 0 for ever. Default 90.</summary>
    [KeepDays]
    public int TurnRetentionDays { get; set; } = 90;

    /// <summary>Days that a session is kept after it ran out, with its intents, requests, attempts and workflows; 0 for ever. Default 365.</summary>
    [KeepDays]
    public int SessionRetentionDays { get; set; } = 365;
}

public static class ConversationsModule
{
    public static IServiceCollection AddConversations(this IServiceCollection services)
    {
        services.AddSingleton<IKeepsPersonalData, KeptOfContacts>();
        services.AddOptions<ConversationsOptions>().BindConfiguration("Conversations").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<IHealthSource, ConversationHealth>();
        services.AddSingleton<AuditLog>();
        services.AddSingleton<SessionStore>();
        services.AddSingleton<TurnLog>();
        services.AddSingleton<ConversationLog>();
        services.AddSingleton(p => new ConversationFollowers(p.GetRequiredService<Database>(), p.GetRequiredService<TimeProvider>()));
        services.AddSingleton(p => new ReplyDrafts(p.GetRequiredService<LiveNotes>(), p.GetRequiredService<ConversationFollowers>()));
        services.AddSingleton<MessagePartitions>();
        services.AddSingleton<ConversationRetention>();
        services.AddSingleton<ReadConversations>();
        services.AddSingleton<ChangeConversation>();
        services.AddSingleton<SessionApi>();
        services.AddSingleton<IContactMergeParticipant, MoveConversations>();
        services.AddScoped<IAgentTaskHandler, SummarizeConversation>();
        return services;
    }

    /// <summary>Under <c>/api/v1</c>: conversations, messages, sessions, audit events.</summary>
    public static IEndpointRouteBuilder MapConversations(this IEndpointRouteBuilder v1) => ConversationEndpoints.MapConversations(v1);
}
