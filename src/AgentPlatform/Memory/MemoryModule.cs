using System.ComponentModel.DataAnnotations;
using AgentPlatform.Contacts;
using AgentPlatform.Events;
using AgentPlatform.Memory.Chunks;
using AgentPlatform.Memory.Episodes;
using AgentPlatform.Memory.Graph;
using AgentPlatform.Memory.Searching;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Memory;

public sealed class MemoryOptions
{
    /// <summary>Days without a retrieval after which a chunk weighs half. Default 30.</summary>
    [Range(1, 3650)]
    public int HalfLifeDays { get; set; } = 30;

    /// <summary>A chunk that weighs less than this is forgotten. Default 0.05.</summary>
    [Range(0.0001, 0.9)]
    public double ForgetBelow { get; set; } = 0.05;

    /// <summary>Days for which turns are remembered one by one; their summaries stay. Default 365.</summary>
    [Range(2, 3650)]
    public int TurnDays { get; set; } = 365;

    /// <summary>How many memories a turn's model is told. Default 5.</summary>
    [Range(1, 20)]
    public int RecallCount { get; set; } = 5;

    /// <summary>Similarity times weight from which a memory is told. Default 0.15.</summary>
    [Range(0, 1)]
    public double RecallFrom { get; set; } = 0.15;
}

public static class MemoryModule
{
    public static IServiceCollection AddMemory(this IServiceCollection services)
    {
        services.AddOptions<MemoryOptions>().BindConfiguration("Memory").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<EpisodeStore>().AddSingleton<ManageEpisodes>().AddSingleton<TurnMemory>().AddSingleton<ChunkStore>().AddSingleton<ManageChunks>();
        services.AddSingleton<EntityStore>().AddSingleton<RelationshipStore>().AddSingleton<ManageGraph>().AddSingleton<SearchMemory>().AddSingleton<Recall>();
        services.AddSingleton<MemoryRetention>().AddSingleton<IContactMergeParticipant, MergedContacts>().AddSingleton<IKeepsPersonalData, KeptOfContacts>();
        services.AddWorkHandler<KeepTurn>(TurnMemory.Kind).AddWorkHandler<EmbedEpisodes>(EmbedEpisodes.Kind);
        return services.AddEventConsumer<LearnFromContacts>(LearnFromContacts.Consumer, LearnFromContacts.Types);
    }

    /// <summary>Under <c>/api/v1/memory</c>: search, episodes, chunks, entities, relationships.</summary>
    public static void MapMemory(this IEndpointRouteBuilder v1) => MemoryApi.Map(v1);
}
