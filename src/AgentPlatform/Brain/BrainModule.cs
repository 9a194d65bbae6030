using System.ComponentModel.DataAnnotations;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Brain.Approvals;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Brain;

public sealed class BrainOptions
{
    /// <summary>Likeness, 0 to 100, from which a misspelt phrase still counts. Default 80.</summary>
    [Range(50, 100)]
    public int FuzzyThreshold { get; set; } = 80;

    /// <summary>A fuzzy match below this confidence is confirmed with the contact first. Default 0.60.</summary>
    [Range(0, 1)]
    public decimal ConfirmBelow { get; set; } = 0.60m;

    /// <summary>Earlier intents kept in the session's state. Default 20.</summary>
    [Range(1, 200)]
    public int RememberedIntents { get; set; } = 20;

    /// <summary>Minutes after which a request that still lacks a parameter is dropped instead of asked about again. Default 60.</summary>
    [Range(1, 24 * 60)]
    public int AbandonMinutes { get; set; } = 60;

    /// <summary>Hours of silence after which a contact is reminded, once, of the onboarding question left open. Default 24.</summary>
    [Range(1, 24 * 30)]
    public int ReEngageHours { get; set; } = 24;

    /// <summary>Items of a list result that are shown and can be picked. Default 5.</summary>
    [Range(1, 10)]
    public int ListItems { get; set; } = 5;
}

public static class BrainModule
{
    public const string TurnWork = "conversation.turn";

    public static IServiceCollection AddBrain(this IServiceCollection services)
    {
        services.AddOptions<BrainOptions>().BindConfiguration("Brain").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<IntentLedger>().AddSingleton<SessionMirror>().AddSingleton<ApplyTurn>().AddSingleton<Chat>().AddSingleton<CancelIntent>();
        services.AddSingleton<IActionListener, ActionFeedback>();
        services.AddWorkHandler<TellApprovers>(RequestApproval.NoticeKind);
        return services.AddWorkHandler<TurnHandler>(TurnWork, kind => kind.MaxAttempts = 8);
    }

    public static IEndpointRouteBuilder MapBrain(this IEndpointRouteBuilder routes) => BrainApi.Map(routes);
}
