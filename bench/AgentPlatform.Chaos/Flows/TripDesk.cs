using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Chaos.Servers;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Workflows;
using AgentPlatform.Workflows.Starting;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentPlatform.Chaos.Flows;

/// <summary>Starts the trips and sends their events while servers die: it says everything again until its commit was heard of.</summary>
internal sealed class TripDesk : IAsyncDisposable
{
    private const int PerTransaction = 20;

    /// <summary>No more are under way at a time, so that kills strike trips at every step.</summary>
    private const int MostOpen = 600;

    private readonly ServiceProvider _services;
    private readonly TripBooks _books;
    private readonly TimeProvider _clock;
    private Actor? _tenant;
    private IReadOnlyList<Guid> _conversations = [];

    private TripDesk(ServiceProvider services, TripBooks books, TimeProvider clock) => (_services, _books, _clock) = (services, books, clock);

    private WorkflowEngine Engine => _services.GetRequiredService<WorkflowEngine>();

    /// <summary>Brings the database up to date, and makes a tenant with the workflows, their actions, and conversations to run them for.</summary>
    internal static async Task<TripDesk> StartAsync(FlowStage stage, TripBooks books, int conversations, TimeProvider clock)
    {
        var desk = new TripDesk(PlatformServices.Behind(stage.Pooler, stage.Postgres).BuildServiceProvider(), books, clock);
        await desk._services.GetRequiredService<Migrator>().MigrateAsync(CancellationToken.None);
        var tenant = (await desk._services.GetRequiredService<TenantProvisioning>().CreateAsync(new NewTenant("Chaos", "chaos", "chaos@example.test"), CancellationToken.None)).Value;
        desk._tenant = Actor.System(tenant.TenantId);
        await using var tx = desk.Begin();
        foreach (var action in TripDefinitions.Actions(stage.Provider.Address))
        {
            Must(await desk._services.GetRequiredService<ActionRegistry>().CreateAsync(tx, tenant.AgentId, action, CancellationToken.None));
        }

        foreach (var (workflow, definition) in TripDefinitions.All(tenant.AgentId))
        {
            Must(await desk.Engine.DefineAsync(tx, workflow, definition, CancellationToken.None));
        }

        desk._conversations = await desk.ConverseAsync(tx, tenant.AgentId, conversations);
        await tx.CommitAsync(CancellationToken.None);
        return desk;
    }

    /// <summary>Starts all, a few at a time, and sends the events that come early.</summary>
    internal async Task StartAllAsync(IEnumerable<Trip> trips, CancellationToken ct)
    {
        foreach (var some in trips.Chunk(PerTransaction))
        {
            while (await _books.TryOpenAsync() is null or > MostOpen || !await TryAsync(tx => StartAsync(tx, some)))
            {
                await PauseAsync(ct);
            }
        }
    }

    /// <summary>Sends their event to those that wait for it, until it is told to stop.</summary>
    internal async Task ConfirmAsync(CancellationToken ct)
    {
        try
        {
            while (true)
            {
                foreach (var some in (await _books.TryAwaitingAsync()).Chunk(PerTransaction))
                {
                    await TryAsync(async tx =>
                    {
                        foreach (var id in some)
                        {
                            await SendAsync(tx, id);
                        }
                    });
                }

                await PauseAsync(ct);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // All is over.
        }
    }

    public ValueTask DisposeAsync() => _services.DisposeAsync();

    private async Task StartAsync(Transaction tx, Trip[] trips)
    {
        foreach (var trip in trips)
        {
            var started = await Engine.StartAsync(tx, new WorkflowStart(TripDefinitions.Trip, _conversations[trip.Conversation], "api", trip.Key)
            {
                Input = JsonSerializer.SerializeToElement(new Dictionary<string, string> { ["n"] = trip.Key, ["end"] = trip.End.ToString() }),
            }, CancellationToken.None);
            Must(started);
            if (trip.EventComesEarly)
            {
                await SendAsync(tx, started.Value.Id);
            }
        }
    }

    /// <summary>What is over meanwhile needs no event.</summary>
    private async Task SendAsync(Transaction tx, Guid instance)
    {
        var sent = await Engine.SignalAsync(tx, instance, TripDefinitions.Event, payload: null, TripDefinitions.Event, CancellationToken.None);
        if (!sent.IsOk && sent.Problem.Code != "workflow_instance_over")
        {
            Must(sent);
        }
    }

    /// <summary>False when it is not known to have been committed: the same keys count once.</summary>
    private async Task<bool> TryAsync(Func<Transaction, Task> work)
    {
        try
        {
            await using var tx = Begin();
            await work(tx);
            await tx.CommitAsync(CancellationToken.None);
            return true;
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            return false;
        }
    }

    private async Task<IReadOnlyList<Guid>> ConverseAsync(Transaction tx, Guid agentId, int count)
    {
        var ids = new List<Guid>();
        for (var i = 0; i < count; i++)
        {
            var number = $"+1415{i:0000000}";
            var contact = await _services.GetRequiredService<ContactDirectory>().GetOrCreateAsync(tx, new ChannelAddress("sms", number), null, CancellationToken.None);
            var conversation = await _services.GetRequiredService<ConversationLog>().OpenAsync(
                tx, new OpenConversation(contact.Id, agentId, "sms", number, null), CancellationToken.None);
            ids.Add(conversation.Id);
        }

        return ids;
    }

    private Transaction Begin() => _services.GetRequiredService<Database>().Begin(_tenant!);

    private Task PauseAsync(CancellationToken ct) => Task.Delay(TimeSpan.FromSeconds(0.3), _clock, ct);

    private static void Must<T>(Result<T> result)
    {
        if (!result.IsOk)
        {
            throw new InvalidOperationException($"{result.Problem.Code}: {result.Problem.Detail ?? result.Problem.Title}");
        }
    }
}
