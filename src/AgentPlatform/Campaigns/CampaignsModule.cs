using System.ComponentModel.DataAnnotations;
using AgentPlatform.Campaigns.Foundations;
using AgentPlatform.Campaigns.Generation;
using AgentPlatform.Campaigns.Icps;
using AgentPlatform.Campaigns.Moves;
using AgentPlatform.Campaigns.Outcomes;
using AgentPlatform.Contacts;
using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Campaigns;

public sealed class CampaignsOptions
{
    /// <summary>Contacts that an outreach writes to in one transaction; a pause takes effect after it. Default 200.</summary>
    [Range(1, 1000)]
    public int BatchSize { get; set; } = 200;
}

public static class CampaignsModule
{
    public static IServiceCollection AddCampaigns(this IServiceCollection services)
    {
        services.AddOptions<CampaignsOptions>().BindConfiguration("Campaigns").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton(p => new FoundationStore(p.GetRequiredService<EventStore>(), p.GetRequiredService<TimeProvider>()));
        services.AddSingleton<ManageIcps>().AddSingleton<ManageCampaigns>().AddSingleton<ManageMoves>().AddSingleton<RunningMoves>().AddSingleton<SettleMove>().AddSingleton<AskAgent>();
        services.AddSingleton<IMoveRunner, Outreach>().AddSingleton<IMoveRunner, Research>().AddSingleton<IMoveRunner, DraftContent>();
        services.AddSingleton<IContactMergeParticipant, MergedContacts>().AddSingleton<IKeepsPersonalData, KeptOfContacts>();
        services.AddWorkHandler<EndCampaign>(EndCampaign.Kind).AddWorkHandler<UpdateMetrics>(UpdateMetrics.Kind, kind => kind.ForgetDone = true);
        // Several models may be asked one after the other, two minutes each at most.
        services.AddWorkHandler<ProcessCampaign>(ProcessCampaign.Kind, kind => kind.Timeout = TimeSpan.FromMinutes(15));
        return services.AddWorkHandler<RunMove>(RunMove.Kind, kind => kind.Timeout = TimeSpan.FromMinutes(15));
    }

    /// <summary>Under <c>/api/v1</c>: foundation, icp-profiles, campaigns, moves.</summary>
    public static void MapCampaigns(this IEndpointRouteBuilder v1)
    {
        FoundationApi.Map(v1);
        IcpsApi.Map(v1);
        CampaignsApi.Map(v1);
        MovesApi.Map(v1);
    }
}
