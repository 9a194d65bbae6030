using System.Text.Json;
using AgentPlatform.LocalHost;
using AgentPlatform.LocalHost.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.LocalHost;

/// <summary>A functions app made of a test's own function classes, on Kestrel at a free port and a database of its own.</summary>
internal sealed class LocalHostApp : IAsyncDisposable
{
    private readonly LocalApplication _app;
    private readonly StringWriter _output;
    private readonly TestDatabase? _ownDatabase;

    private LocalHostApp(LocalApplication app, StringWriter output, string root, TestDatabase database, TestDatabase? ownDatabase)
    {
        _app = app;
        _output = output;
        _ownDatabase = ownDatabase;
        Root = root;
        Database = database;
        Client = new HttpClient { BaseAddress = new Uri(app.Address) };
    }

    internal HttpClient Client { get; }

    internal TestDatabase Database { get; }

    internal string Output => _output.ToString();

    /// <summary>The folder of host.json, local.settings.json and the key file.</summary>
    internal string Root { get; }

    internal IServiceProvider Services => _app.Services;

    internal static async Task<LocalHostApp> StartAsync(Setup setup)
    {
        var own = setup.Database is null ? await TestDatabase.CreateEmptyAsync() : null;
        var database = setup.Database ?? own!;
        var (builder, root) = Prepare(setup, database.ConnectionString);
        var output = new StringWriter();
        var errors = new StringWriter();
        var app = builder.Build(new Terminal(output, errors, _ => { }));
        await app.StartAsync();
        Assert.Equal("", errors.ToString());
        return new LocalHostApp(app, output, root, database, own);
    }

    /// <summary>A builder over a folder with the setup's files, and that folder.</summary>
    internal static (FunctionsApplicationBuilder Builder, string Root) Prepare(Setup setup, string connectionString)
    {
        var root = setup.Root ?? Directory.CreateTempSubdirectory("agentplatform-host-").FullName;
        File.WriteAllText(Path.Combine(root, "host.json"), setup.HostJson);
        if (setup.LocalSettings is { } settings)
        {
            File.WriteAllText(Path.Combine(root, "local.settings.json"), JsonSerializer.Serialize(settings));
        }

        string[] args =
        [
            "--port", "0", "--ConnectionStrings:AgentPlatform", connectionString, "--Host:KeyFile", Path.Combine(root, "keys.json"),
            .. setup.Settings.SelectMany(s => new[] { $"--{s.Key}", s.Value }),
        ];
        var builder = new FunctionsApplicationBuilder(args, setup.Functions, root);
        builder.ConfigureFunctionsWebApplication();
        if (setup.Clock is { } clock)
        {
            builder.Services.AddSingleton(clock);
        }

        setup.Configure?.Invoke(builder);
        return (builder, root);
    }

    internal Task StopAsync(CancellationToken ct = default) => _app.StopAsync(ct);

    internal Dictionary<string, string> Keys() => JsonSerializer.Deserialize<Dictionary<string, string>>(File.ReadAllText(Path.Combine(Root, "keys.json")))!;

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
        if (_ownDatabase is not null)
        {
            await _ownDatabase.DisposeAsync();
        }
    }

    internal sealed record Setup(params Type[] Functions)
    {
        internal TestDatabase? Database { get; init; }

        internal string HostJson { get; init; } = """{ "version": "2.0", "extensions": { "http": { "routePrefix": "" } } }""";

        internal object? LocalSettings { get; init; }

        internal string? Root { get; init; }

        internal TimeProvider? Clock { get; init; }

        internal (string Key, string Value)[] Settings { get; init; } = [];

        internal Action<FunctionsApplicationBuilder>? Configure { get; init; }
    }
}
