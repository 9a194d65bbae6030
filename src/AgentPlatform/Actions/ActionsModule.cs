using System.ComponentModel.DataAnnotations;
using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Actions.Checkpoints;
using AgentPlatform.Actions.Controls;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Channels.Custom;
using AgentPlatform.Contacts;
using AgentPlatform.Events;
using AgentPlatform.Operations;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Actions;

public sealed class ActionsOptions
{
    /// <summary>Secrets that registry entries refer to by name. Default none.</summary>
    public Dictionary<string, ActionSecret> Secrets { get; set; } = new(StringComparer.Ordinal);

    /// <summary>Whether endpoints may lie on loopback and private networks. Default false; the demo sets it for its own endpoints.</summary>
    public bool AllowPrivateTargets { get; set; }

    /// <summary>Hours after which a blocked request is given up instead of being taken up again. Default 24.</summary>
    [Range(1, 24 * 30)]
    public int BlockedHours { get; set; } = 24;

    /// <summary>Days after which a checkpoint can no longer be resumed from, and is removed. Default 7.</summary>
    [Range(1, 365)]
    public int CheckpointDays { get; set; } = 7;

    /// <summary>Minutes without a sign of life after which an executing request is looked after. Default 15, which is longer than any call.</summary>
    [Range(13, 24 * 60)]
    public int StuckMinutes { get; set; } = 15;

    /// <summary>
    /// The secret's value, only for a tenant and a host it was made for: an entry that points elsewhere must not carry it away.
    /// </summary>
    internal string Reveal(Guid tenantId, string name, string host) =>
        Secrets.TryGetValue(name, out var secret)
        && (secret.Tenant is null || secret.Tenant == tenantId)
        && secret.Hosts.Contains(host, StringComparer.OrdinalIgnoreCase)
            ? secret.Value
            : throw new SecretException($"No secret '{name}' is set for this tenant and the host {host}.");
}

/// <summary>A secret of the settings.</summary>
public sealed class ActionSecret
{
    /// <summary>A token, a key, or <c>user:password</c> for basic authentication.</summary>
    [Required]
    public string Value { get; set; } = "";

    /// <summary>The only hosts it is sent to. Default none.</summary>
    public string[] Hosts { get; set; } = [];

    /// <summary>The only tenant that may use it; every tenant when null.</summary>
    public Guid? Tenant { get; set; }
}

/// <summary>A registry entry names a secret that is not there for it.</summary>
internal sealed class SecretException(string message) : Exception(message);

public static class ActionsModule
{
    public const string WorkKind = "actions.execute";
    internal const string AcknowledgementKind = "actions.acknowledgement";

    public static IServiceCollection AddActions(this IServiceCollection services)
    {
        services.AddSingleton<IKeepsPersonalData, KeptOfContacts>();
        services.AddOptions<ActionsOptions>().BindConfiguration("Actions").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton(p => new ReadAction(p.GetRequiredService<HttpAction>()));
        services.AddSingleton<KnownErrors>().AddSingleton<IActionsLogSource, ExecutionsInLog>().AddSingleton<ActionRegistry>().AddSingleton<RequestStates>().AddSingleton<ManageTools>().AddSingleton<ActionListeners>().AddSingleton<LocalActions>().AddSingleton<IContactMergeParticipant, MergedRequests>()
            .AddSingleton(p => new ActionQueue(
                p.GetRequiredService<WorkQueue>(), p.GetRequiredService<EventStore>(), p.GetRequiredService<ActionRegistry>(),
                p.GetRequiredService<ActionListeners>(), p.GetRequiredService<RequestApproval>(), p.GetRequiredService<ExecutionControls>(),
                p.GetRequiredService<AbandonedEffects>(), p.GetRequiredService<RequestStates>(), p.GetRequiredService<IOptions<ActionsOptions>>(), p.GetRequiredService<TimeProvider>()))
           .AddSingleton<RequestApproval>().AddSingleton<DecideApproval>().AddSingleton<ApprovalLinks>()
           .AddSingleton(p => new ApprovalDesk(
                p.GetRequiredService<Database>(), p.GetRequiredService<DecideApproval>(), p.GetRequiredService<ApprovalLinks>(), p.GetRequiredService<MemberDirectory>(), p.GetRequiredService<TimeProvider>()))
           .AddSingleton(p => new ApprovalCodes(p.GetRequiredService<DecideApproval>(), p.GetRequiredService<TimeProvider>())).AddSingleton<ExecutionControls>().AddSingleton<ControlExecution>()
           .AddSingleton<ExecutionLog>().AddSingleton<ActionAttempts>().AddSingleton<DeadLetters>().AddSingleton<EndpointClient>().AddSingleton<HttpAction>().AddSingleton<ActionEffects>()
           .AddSingleton<CallEndpoint>().AddSingleton<RunSteps>().AddSingleton<SettleAttempt>().AddSingleton<CheckpointStore>().AddSingleton<WriteCheckpoint>().AddSingleton<ResumeExecution>()
           .AddSingleton<CheckpointRetention>().AddSingleton<AbandonedEffects>().AddSingleton<SettleEffect>()
           .AddSingleton(p => new RecoverStuck(
                p.GetRequiredService<Database>(), p.GetRequiredService<WorkQueue>(), p.GetRequiredService<EventStore>(), p.GetRequiredService<IOptions<ActionsOptions>>(),
                p.GetRequiredService<TimeProvider>(), p.GetRequiredService<ILogger<ExecuteAction>>()))
           .AddSingleton<AcknowledgeExecution>().AddSingleton<RollbackExecution>().AddSingleton<ReplayDeadLetter>();
        services.AddHttpClient(EndpointClient.ClientName).RemoveAllLoggers().ConfigurePrimaryHttpMessageHandler(p =>
            PublicTargets.Handler(p.GetRequiredService<IOptions<ActionsOptions>>().Value.AllowPrivateTargets));
        services.AddWorkHandler<ExpireApproval>(RequestApproval.TimeoutKind);
        services.AddWorkHandler<SettleAbandoned>(AbandonedEffects.WorkKind, kind => kind.MaxAttempts = 8);
        services.AddWorkHandler<EscalateFailure>(EscalateFailure.WorkKind, kind => kind.MaxAttempts = 8);
        services.AddWorkHandler<EndAcknowledgementWait>(AcknowledgementKind);
        // A failed call is retried by the row's own policy; the engine's attempts count crashes of our side only. A call may take five
        // minutes, and the question before it as long.
        return services.AddWorkHandler<ExecuteAction>(WorkKind, kind =>
        {
            kind.MaxAttempts = 25;
            kind.Timeout = TimeSpan.FromMinutes(12);
        });
    }

    public static IEndpointRouteBuilder MapActions(this IEndpointRouteBuilder routes)
    {
        ApprovalsApi.Map(routes);
        ApprovalLinksApi.Map(routes);
        ControlsApi.Map(routes);
        CheckpointsApi.Map(routes);
        EffectsApi.Map(routes);
        ToolsApi.Map(routes);
        return ActionsApi.Map(routes);
    }
}
