using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Tests;

/// <summary>
/// The platform's services over a database of the test's own. Nothing runs by itself: a test says <see cref="DrainAsync"/>
/// when work shall be done.
/// </summary>
public sealed class TestPlatform : IAsyncDisposable
{
    /// <summary>Looks for events that wait, a minute of them.</summary>
    private const int Patience = 240;

    private static readonly KeyValuePair<string, string?>[] Defaults =
    [
        // A busy machine makes a look seem dear; a drain that puts it off would return before what is due.
        new("Work:LookAtLeastEverySeconds", "0.25"),

        // Training that comes due in the middle of a test would be one more item in the queue that it looks at.
        new("Brain:TrainAfterSeconds", "3600"),

        // A test that runs at night is about something else.
        new("Messaging:QuietHoursStart", "00:00"), new("Messaging:QuietHoursEnd", "00:00"),

        // A page's or a list's test asks more often than one person would.
        new("Api:RequestsPerMinute", "100000"),
    ];

    private readonly TestDatabase _database;
    private readonly ServiceProvider _services;
    private readonly bool _ownsDatabase;

    private TestPlatform(TestDatabase database, ServiceProvider services, bool ownsDatabase = true)
    {
        _database = database;
        _services = services;
        _ownsDatabase = ownsDatabase;
    }

    public Database Database => Get<Database>();

    public TestDatabase Postgres => _database;

    public IServiceProvider Services => _services;

    public static async Task<TestPlatform> StartAsync(Action<IServiceCollection>? configure = null, params (string Key, string Value)[] settings)
    {
        var database = await TestDatabase.CreateAsync();
        return Start(database, database.ConnectionString, configure, settings);
    }

    /// <summary>The same with a pooler of transactions between the platform and the database.</summary>
    public static async Task<TestPlatform> StartBehindAsync(int poolerPort, Action<IServiceCollection> configure)
    {
        var database = await TestDatabase.CreateAsync();
        var connection = new NpgsqlConnectionStringBuilder(database.ConnectionString) { Port = poolerPort };
        return Start(database, connection.ConnectionString, configure, [("Postgres:Pooler", "transaction")]);
    }

    /// <summary>Over a database that is there, by a connection string of the test's own.</summary>
    public static TestPlatform Start(TestDatabase database, string connectionString, Action<IServiceCollection>? configure, params (string Key, string Value)[] settings) =>
        Start(database, connectionString, configure, settings, ownsDatabase: true);

    /// <summary>Another process over the same database; disposed before this one.</summary>
    public TestPlatform Twin(Action<IServiceCollection>? configure = null, params (string Key, string Value)[] settings) =>
        Start(_database, _database.ConnectionString, configure, settings, ownsDatabase: false);

    /// <summary>The same, by a connection string of the test's own.</summary>
    public TestPlatform TwinBehind(string connectionString, params (string Key, string Value)[] settings) =>
        Start(_database, connectionString, configure: null, settings, ownsDatabase: false);

    private static TestPlatform Start(
        TestDatabase database, string connectionString, Action<IServiceCollection>? configure, (string Key, string Value)[] settings, bool ownsDatabase)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(Defaults)
            .AddInMemoryCollection([new("ConnectionStrings:AgentPlatform", connectionString), .. settings.Select(s => KeyValuePair.Create(s.Key, (string?)s.Value))])
            .Build();
        var services = new ServiceCollection()
            .AddSingleton<IConfiguration>(configuration)
            .AddLogging(logging => logging.SetMinimumLevel(LogLevel.None))
            .AddAgentPlatform(configuration);
        configure?.Invoke(services);
        return new TestPlatform(database, services.BuildServiceProvider(), ownsDatabase);
    }

    public T Get<T>()
        where T : notnull => _services.GetRequiredService<T>();

    /// <summary>Runs everything that is due, and what that makes due.</summary>
    public Task<int> DrainAsync() => Get<WorkRunner>().DrainAsync(CancellationToken.None);

    /// <summary>
    /// Also what events make due. An event is read only when no older transaction runs in its database; it takes a moment to tell those of other
    /// databases, of tests beside this one, from them.
    /// </summary>
    public async Task<int> DrainWithEventsAsync()
    {
        var ran = await DrainAsync();
        for (var patience = Patience; patience > 0 && await WaitsForOthersAsync(); patience--)
        {
            await Task.Delay(ConsumeEvents.Unsettled, TimeProvider.System);
            ran += await DrainAsync();
        }

        return ran;
    }

    /// <summary>One transaction as <paramref name="actor"/>, committed.</summary>
    public async Task<T> AsAsync<T>(Actor actor, Func<Transaction, Task<T>> work)
    {
        await using var tx = Database.Begin(actor);
        var value = await work(tx);
        await tx.CommitAsync(CancellationToken.None);
        return value;
    }

    public Task AsAsync(Actor actor, Func<Transaction, Task> work) =>
        AsAsync(actor, async tx =>
        {
            await work(tx);
            return true;
        });

    /// <summary>A tenant of its own, and the platform acting for it.</summary>
    public async Task<Actor> NewTenantAsync(string name = "Acme") => Actor.System((await ProvisionAsync(name)).TenantId);

    /// <summary>A tenant with its owner, one agent and an API key.</summary>
    public async Task<ProvisionedTenant> ProvisionAsync(string name = "Acme")
    {
        var unique = TimeProvider.System.NewId();
        return (await Get<TenantProvisioning>().CreateAsync(new NewTenant(name, $"t-{unique}", $"{unique}@example.test"), CancellationToken.None)).Value;
    }

    /// <summary>True while events wait, and not for a transaction that a test holds open.</summary>
    private async Task<bool> WaitsForOthersAsync()
    {
        const string waits =
            """
            SELECT EXISTS (SELECT FROM work.items WHERE kind = $1 AND state = 'ready' AND run_at <= now() + $2)
                AND NOT EXISTS (
                    SELECT FROM pg_stat_activity
                    WHERE datname = current_database() AND backend_xid IS NOT NULL AND state = 'idle in transaction' AND state_change < clock_timestamp() - $2)
            """;
        await using var tx = Database.BeginWorker();
        return await tx.SingleAsync<bool>(waits, [ConsumeEvents.Kind, ConsumeEvents.Unsettled], default);
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        if (_ownsDatabase)
        {
            await _database.DisposeAsync();
        }
    }
}
