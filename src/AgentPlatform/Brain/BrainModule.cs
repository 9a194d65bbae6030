using System.ComponentModel.DataAnnotations;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents;
using AgentPlatform.Agents.Prompts;
using AgentPlatform.Brain.Applying;
using AgentPlatform.Brain.Approvals;
using AgentPlatform.Brain.Feedback;
using AgentPlatform.Brain.Instances;
using AgentPlatform.Brain.Nlu.Models;
using AgentPlatform.Brain.Notices;
using AgentPlatform.Brain.Resolving;
using AgentPlatform.Brain.Rules;
using AgentPlatform.Brain.Scenarios;
using AgentPlatform.Brain.Shadows;
using AgentPlatform.Brain.Thinking;
using AgentPlatform.Brain.Verification;
using AgentPlatform.Channels;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Costs;
using AgentPlatform.Identity.Login;
using AgentPlatform.Memory;
using AgentPlatform.Messaging;
using AgentPlatform.Models;
using AgentPlatform.Postgres;
using AgentPlatform.Schemas;
using AgentPlatform.Tenancy;
using AgentPlatform.Tenancy.Instances;
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

    /// <summary>A request that only the trained classifier recognises is confirmed with the contact below this confidence. Default 0.75.</summary>
    [Range(0, 1)]
    public decimal ConfirmModelBelow { get; set; } = 0.75m;

    /// <summary>What the trained classifier is less sure of than this is not understood. Default 0.50.</summary>
    [Range(0, 1)]
    public decimal BelieveModelFrom { get; set; } = 0.50m;

    /// <summary>Seconds that an agent's registry, scenarios and rules are left unchanged before its classifier is trained anew. Default 2.</summary>
    [Range(0, 3600)]
    public int TrainAfterSeconds { get; set; } = 2;

    /// <summary>Memory for classifiers in one process, in megabytes; those that were not asked for the longest are read again when needed. Default 256.</summary>
    [Range(1, 65536)]
    public int ModelCacheMegabytes { get; set; } = 256;

    /// <summary>Earlier intents kept in the session's state. Default 20.</summary>
    [Range(1, 200)]
    public int RememberedIntents { get; set; } = 20;

    /// <summary>Minutes after which a request that still lacks a parameter is dropped instead of asked about again. Default 60.</summary>
    [Range(1, 24 * 60)]
    public int AbandonMinutes { get; set; } = 60;

    /// <summary>Hours of silence after which a contact is reminded, once, of the onboarding question left open. Default 24.</summary>
    [Range(1, 24 * 30)]
    public int ReEngageHours { get; set; } = 24;

    /// <summary>Seconds that a turn waits for the tool that tells a variable's value. Default 5.</summary>
    [Range(1, 30)]
    public int ResolveSeconds { get; set; } = 5;

    /// <summary>Minutes for which such a value holds in a talk before the tool is asked again. Default 60.</summary>
    [Range(1, 7 * 24 * 60)]
    public int ResolvedMinutes { get; set; } = 60;

    /// <summary>Minutes after which a tool that did not tell is asked again. Default 5.</summary>
    [Range(1, 24 * 60)]
    public int ResolveAgainMinutes { get; set; } = 5;

    /// <summary>Items of a list result that are shown and can be picked. Default 5.</summary>
    [Range(1, 10)]
    public int ListItems { get; set; } = 5;

    internal BrainOptions Copy() => (BrainOptions)MemberwiseClone();
}

public static class BrainModule
{
    public const string TurnWork = "conversation.turn";

    public static IServiceCollection AddBrain(this IServiceCollection services)
    {
        services.AddSingleton<IKeepsPersonalData, KeptOfContacts>();
        services.AddOptions<BrainOptions>().BindConfiguration("Brain").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<IntentLedger>().AddSingleton<SessionMirror>().AddSingleton<TurnScenes>().AddSingleton<ApplyTurn>().AddSingleton<KeepMemories>().AddSingleton<Chat>().AddSingleton<CancelIntent>()
            .AddSingleton<ScenarioPlaces>().AddSingleton<AgentBooks>().AddSingleton<ConsultModel>().AddSingleton<DraftReply>().AddSingleton<ServingInstance>()
            .AddSingleton<CompareInstances>().AddSingleton<ResolveVariables>().AddSingleton<ITextEmbedder, HashedEmbedder>();
        services.AddSingleton<ShadowStore>().AddSingleton<CandidateNames>().AddSingleton<CandidateBooks>().AddSingleton<CandidateClassifiers>().AddSingleton<ManageShadows>()
            .AddSingleton<SampleTurn>().AddSingleton<ShadowRetention>();
        services.AddSingleton(p => new VerifyEmail(
            p.GetRequiredService<Database>(), p.GetRequiredService<EmailProofs>(), p.GetRequiredService<ChannelDirectory>(), p.GetRequiredService<ConversationLog>(),
            p.GetRequiredService<Outbox>(), p.GetRequiredService<PublicAddress>(), p.GetRequiredService<TimeProvider>()));
        services.AddSingleton(p => new AgentDesk(
            p.GetRequiredService<Database>(), p.GetRequiredService<AgentDirectory>(), p.GetRequiredService<InstanceDirectory>(), p.GetRequiredService<TemplateSetStore>(),
            p.GetRequiredService<ModelCatalog>(), p.GetRequiredService<CompareInstances>(), p.GetRequiredService<ManageTemplateSets>(), p.GetRequiredService<ManageInstances>()));
        services.AddWorkHandler<TellApprovers>(RequestApproval.NoticeKind).AddWorkHandler<TellBudgetAlert>(BudgetAlerts.NoticeKind);
        services.AddWorkHandler<TellPasswordLink>(PasswordLinks.NoticeKind, kind => kind.MaxAttempts = 6);
        services.AddSingleton<IActionListener, ActionFeedback>().AddSingleton<ISchemaListener, SchemaFeedback>().AddSingleton<IntentModels>().AddSingleton<TrainRequests>()
            .AddSingleton<IRegistryListener>(p => p.GetRequiredService<TrainRequests>()).AddSingleton<ISentenceListener>(p => p.GetRequiredService<TrainRequests>());
        services.AddWorkHandler<TrainModel>(TrainModel.Kind, kind =>
        {
            kind.MaxAttempts = 5;
            kind.Timeout = TimeSpan.FromMinutes(10);
        });
        services.AddWorkHandler<DecideShadow>(DecideShadow.Kind, kind =>
        {
            kind.MaxAttempts = 3;
            kind.Timeout = TimeSpan.FromMinutes(15);
        });
        return services.AddWorkHandler<TurnHandler>(TurnWork, kind =>
        {
            kind.MaxAttempts = 8;
            // Six models may be asked one after the other, two minutes each at most.
            kind.Timeout = TimeSpan.FromMinutes(15);
        });
    }

    public static IEndpointRouteBuilder MapBrain(this IEndpointRouteBuilder routes)
    {
        CompareInstances.Map(routes);
        ShadowsApi.Map(routes);
        return NluApi.Map(BrainApi.Map(routes));
    }
}
