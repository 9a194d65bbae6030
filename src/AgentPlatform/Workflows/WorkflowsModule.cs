using AgentPlatform.Actions;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Contacts;
using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules;
using AgentPlatform.Schedules.Automations;
using AgentPlatform.Work;
using AgentPlatform.Workflows.Definitions;
using AgentPlatform.Workflows.Forks;
using AgentPlatform.Workflows.Patterns;
using AgentPlatform.Workflows.Running;
using AgentPlatform.Workflows.Sops.Drafting;
using AgentPlatform.Workflows.Sops;
using AgentPlatform.Workflows.Starting;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace AgentPlatform.Workflows;

public static class WorkflowsModule
{
    /// <summary>Workflows; a host adds the <see cref="IWorkflowRuntime"/> that moves them on.</summary>
    public static IServiceCollection AddWorkflows(this IServiceCollection services)
    {
        services.AddSingleton<IKeepsPersonalData, KeptOfContacts>();
        services.AddSingleton<WorkflowCatalogue>().AddSingleton<ManageWorkflows>().AddSingleton<RegistrySequence>()
            .AddSingleton<InstanceStore>().AddSingleton<WakeUps>().AddSingleton<SettleStep>().AddSingleton<StartWorkflow>().AddSingleton<CarryOut>().AddSingleton<AdvanceWorkflow>()
            .AddSingleton<ControlInstance>().AddSingleton<StepApproval>().AddSingleton<ForkInstance>().AddSingleton<FleetForks>().AddSingleton<PatternShelf>()
            .AddSingleton(p => new WorkflowSweep(p.GetRequiredService<Database>(), p.GetRequiredService<WakeUps>(), p.GetRequiredService<TimeProvider>()))
            .AddSingleton(p => new WorkflowEngine(
                p.GetRequiredService<WorkflowCatalogue>(), p.GetRequiredService<StartWorkflow>(), p.GetRequiredService<AdvanceWorkflow>(), p.GetRequiredService<InstanceStore>(),
                p.GetRequiredService<ControlInstance>(), p.GetRequiredService<StepApproval>(), p.GetRequiredService<ForkInstance>(), p.GetRequiredService<ActionAttempts>()));
        services.AddSingleton<IActionListener, StepOutcome>().AddSingleton<IActionListener, TriggeredByAction>().AddSingleton<IContactMergeParticipant, MergedInstances>();
        services.AddSingleton<IAgentTaskHandler, ScheduledStart>().AddSingleton<IAutomation, WorkflowAutomation>().AddEventConsumer<EventStarts>(EventStarts.Consumer, EventStarts.Types);
        services.AddWorkHandler<StopChild>(CarryOut.StopKind, kind => kind.MaxAttempts = 25);
        services.AddWorkHandler<RunFleet>(RunFleet.Kind, kind => kind.MaxAttempts = 25);
        services.AddSops().TryAddSingleton<IWorkflowRuntime, NoWorkflowRuntime>();
        // A wake-up is handed to the runtime, which may be away for a while.
        return services.AddWorkHandler<WakeWorkflow>(WakeUps.Kind, kind =>
        {
            kind.MaxAttempts = 1000;
            kind.ForgetDone = true;
        });
    }

    /// <summary>Under <c>/api/v1</c>: workflows, workflow-instances, workflow-failures, workflow-fleet-forks, workflow-patterns, sops, sop-categories, sop-executions.</summary>
    public static void MapWorkflows(this IEndpointRouteBuilder v1)
    {
        WorkflowsApi.Map(v1);
        InstancesApi.Map(v1);
        ForksApi.Map(v1);
        PatternsApi.Map(v1);
        SopsApi.Map(v1);
        SopExecutionsApi.Map(v1);
    }

    private static IServiceCollection AddSops(this IServiceCollection services)
    {
        services.AddSingleton<SopCategories>().AddSingleton<SopShelf>().AddSingleton<ManageSops>().AddSingleton<SopExecutionStore>().AddSingleton<RequestSopAction>()
            .AddSingleton<RunSop>().AddSingleton<StartSop>().AddSingleton<SteerSop>().AddSingleton<IActionListener, SopActionOutcome>()
            .AddSingleton(p => new SopDesk(
                p.GetRequiredService<Database>(), p.GetRequiredService<SopShelf>(), p.GetRequiredService<SopCategories>(), p.GetRequiredService<SopExecutionStore>(),
                p.GetRequiredService<ManageSops>(), p.GetRequiredService<StartSop>(), p.GetRequiredService<SteerSop>()));
        services.AddEventConsumer<SopTriggers>(SopTriggers.Consumer, EventStarts.Types);
        services.AddWorkHandler<SopStepTimeout>(RunSop.DueKind, kind => kind.MaxAttempts = 25);
        services.AddWorkHandler<SopApprovalTimeout>(RunSop.ApprovalDueKind, kind => kind.MaxAttempts = 25);
        return services.AddWorkHandler<StopAbandonedAction>(RunSop.StopKind, kind => kind.MaxAttempts = 25);
    }
}
