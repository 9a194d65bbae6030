using System.ComponentModel.DataAnnotations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work.Operate;
using Azure.Core;
using Azure.Storage.Queues;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Work;

public sealed class WorkOptions
{
    /// <summary>Items that run at the same time in one process. Default 32.</summary>
    [Range(1, 1000)]
    public int Concurrency { get; set; } = 32;

    /// <summary>
    /// Items that may be claimed before there is room to run them: never more than run in the time of a round trip to the database, so that only
    /// very short ones are claimed ahead. Default 1000.
    /// </summary>
    [Range(0, 10_000)]
    public int Ahead { get; set; } = 1000;

    /// <summary>Round trips to the queue that one process has under way at a time, while there is enough for them. Default 2.</summary>
    [Range(1, 16)]
    public int RoundTrips { get; set; } = 2;

    /// <summary>Seconds after which the work of a host that died is taken over; renewed at a third of it. Default 30.</summary>
    [Range(1, 600)]
    public int LeaseSeconds { get; set; } = 30;

    /// <summary>Seconds that work nobody told of waits at most, where an old snapshot makes looking for it so dear that it is put off. Default 15.</summary>
    [Range(0.25, 600)]
    public double LookAtLeastEverySeconds { get; set; } = 15;

    /// <summary>Seconds after which a snapshot is old: it may hold vacuum back. Default 300.</summary>
    [Range(1, 86_400)]
    public int SnapshotSeconds { get; set; } = 300;

    /// <summary>Transactions after which a snapshot is old, whatever its age: also one of a replica or a slot. Default 1000000.</summary>
    [Range(1, int.MaxValue)]
    public int SnapshotTransactions { get; set; } = 1_000_000;

    /// <summary>Dead rows in the queue from which an old snapshot is warned of. Default 100000.</summary>
    [Range(1, int.MaxValue)]
    public int WarnDeadRows { get; set; } = 100_000;

    /// <summary>Dead rows in the queue from which less urgent work is slowed while a snapshot is old. Default 1000000.</summary>
    [Range(1, int.MaxValue)]
    public int ThrottleDeadRows { get; set; } = 1_000_000;

    /// <summary>The priority from which work is slowed then: 0 all of it, 101 none. Default 50.</summary>
    [Range(0, 101)]
    public short ThrottlePriority { get; set; } = 50;

    /// <summary>Seconds between two claims of such work by one process. Default 1.</summary>
    [Range(0.05, 60)]
    public double ThrottlePauseSeconds { get; set; } = 1;

    /// <summary>Days that finished items are kept. Default 7.</summary>
    [Range(1, 365)]
    public int RetentionDays { get; set; } = 7;
}

public static class WorkModule
{
    public static void MapWork(this IEndpointRouteBuilder v1) => OperateWork.Map(v1);

    public static IServiceCollection AddWork(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<WorkOptions>().BindConfiguration("Work").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<WorkKinds>();
        services.AddSingleton<WorkQueue>().AddSingleton<IKeepsTraces>(p => p.GetRequiredService<WorkQueue>());
        services.AddSingleton<OperateWork>();
        services.AddSingleton<Redrives>();
        services.AddWorkHandler<RedriveDead>(RedriveDead.Kind);
        services.AddSingleton<Pauses>();
        services.AddSingleton(p => new WorkDesk(p.GetRequiredService<Database>(), p.GetRequiredService<OperateWork>(), p.GetRequiredService<Pauses>(), p.GetRequiredService<Redrives>()));
        services.AddSingleton<VacuumAlarm>();
        services.AddSingleton(p => new WorkMetrics(p.GetRequiredService<Database>(), p.GetRequiredService<VacuumAlarm>()));
        services.AddSingleton<Limits>();
        services.AddSingleton<WorkLeases>();
        services.AddSingleton<WorkExecutor>();
        services.AddSingleton<WorkRetention>();
        services.AddSingleton(p => new WorkRunner(
            p.GetRequiredService<WorkLeases>(),
            p.GetRequiredService<WorkExecutor>(),
            p.GetRequiredService<IOptions<WorkOptions>>(),
            p.GetRequiredService<ForegroundLoad>(),
            p.GetRequiredService<TimeProvider>(),
            p.GetRequiredService<ILogger<WorkRunner>>()));
        return OpenQueue(configuration.GetSection("AzureWebJobsStorage")) is { } queue ? services.AddQueueNudge(queue) : services.AddInProcessNudge();
    }

    /// <summary>The queue in the host's own storage: by connection string, or by account and the identity this process runs as.</summary>
    private static Func<IServiceProvider, QueueClient>? OpenQueue(IConfigurationSection storage)
    {
        var options = new QueueClientOptions { MessageEncoding = QueueMessageEncoding.Base64 };
        if (storage.Value is { Length: > 0 } connection)
        {
            return _ => new QueueClient(connection, StorageQueueNudge.QueueName, options);
        }

        var service = storage["queueServiceUri"] ?? (storage["accountName"] is { Length: > 0 } account ? $"https://{account}.queue.core.windows.net" : null);
        return service is null ? null : p => new QueueClient(new Uri($"{service.TrimEnd('/')}/{StorageQueueNudge.QueueName}"), p.GetRequiredService<TokenCredential>(), options);
    }

    private static IServiceCollection AddQueueNudge(this IServiceCollection services, Func<IServiceProvider, QueueClient> queue) =>
        services.AddSingleton<IWorkNudge>(p => new StorageQueueNudge(queue(p), p.GetRequiredService<ILogger<StorageQueueNudge>>()));

    private static IServiceCollection AddInProcessNudge(this IServiceCollection services) =>
        services.AddSingleton<InProcessNudge>().AddSingleton<IWorkNudge>(p => p.GetRequiredService<InProcessNudge>()).AddHostedService<WorkPump>();
}
