using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.LocalHost.Invocation;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.Metrics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.LocalHost;

/// <summary>Builds a functions app that runs in this process on Kestrel. Its members are those of the official builder.</summary>
public sealed class FunctionsApplicationBuilder : IHostApplicationBuilder, IFunctionsWorkerApplicationBuilder
{
    private readonly WebApplicationBuilder _web;
    private readonly IEnumerable<Type> _types;
    private readonly string _root;
    private bool _hasBuilt;

    internal FunctionsApplicationBuilder(string[] args, IEnumerable<Type> types, string? root = null)
    {
        _types = types;
        _root = root ?? System.Environment.GetEnvironmentVariable("AzureWebJobsScriptRoot") ?? AppContext.BaseDirectory;
        _web = WebApplication.CreateSlimBuilder(new WebApplicationOptions
        {
            Args = args,
            ContentRootPath = _root,
            EnvironmentName = System.Environment.GetEnvironmentVariable("AZURE_FUNCTIONS_ENVIRONMENT") ?? Environments.Development,
        });

        // First, so that environment variables and the command line win over the file.
        _web.Configuration.Sources.Insert(0, new MemoryConfigurationSource { InitialData = LocalSettings.Read(_root) });
        Services.TryAddSingleton(TimeProvider.System);
        // The first hosted service starts first: nothing of the app runs on a database that is not migrated.
        Services.AddHostedService<HostStartup>();
    }

    /// <summary>The app's services.</summary>
    public IServiceCollection Services => _web.Services;

    /// <summary>Settings: local.settings.json, environment variables, command line; the later wins.</summary>
    public ConfigurationManager Configuration => _web.Configuration;

    /// <inheritdoc/>
    public IHostEnvironment Environment => _web.Environment;

    /// <inheritdoc/>
    public ILoggingBuilder Logging => _web.Logging;

    /// <inheritdoc/>
    public IMetricsBuilder Metrics => _web.Metrics;

    /// <inheritdoc/>
    public IDictionary<object, object> Properties => ((IHostApplicationBuilder)_web).Properties;

    IConfigurationManager IHostApplicationBuilder.Configuration => Configuration;

    internal bool ServesHttp { get; set; }

    /// <inheritdoc/>
    public void ConfigureContainer<TContainerBuilder>(IServiceProviderFactory<TContainerBuilder> factory, Action<TContainerBuilder>? configure = null)
        where TContainerBuilder : notnull => ((IHostApplicationBuilder)_web).ConfigureContainer(factory, configure);

    /// <inheritdoc/>
    public IFunctionsWorkerApplicationBuilder Use(Func<FunctionExecutionDelegate, FunctionExecutionDelegate> middleware)
    {
        Services.AddSingleton(middleware);
        return this;
    }

    /// <summary>The app, ready to run.</summary>
    public IHost Build() => FunctionsApplication.OrExit(() => Build(Terminal.OfProcess));

    internal LocalApplication Build(Terminal terminal)
    {
        if (_hasBuilt)
        {
            throw new InvalidOperationException("The application has already been built.");
        }

        _hasBuilt = true;
        var host = HostJson.Read(_root, Configuration);
        var catalog = FunctionCatalog.Find(_types);
        if (!ServesHttp && catalog.Of<HttpTriggerAttribute>().Any())
        {
            throw new SettingException("This app has HTTP triggers; its Program.cs must call ConfigureFunctionsWebApplication().");
        }

        _web.AddRuntime(host, catalog);
        var app = _web.Build();
        app.MapRuntime(host, catalog);
        return new LocalApplication(app, host, terminal);
    }
}

/// <summary>ASP.NET Core in functions.</summary>
public static class FunctionsApplicationBuilderAspNetCoreExtensions
{
    /// <summary>Lets HTTP triggers take ASP.NET Core's request and return its results.</summary>
    public static FunctionsApplicationBuilder ConfigureFunctionsWebApplication(this FunctionsApplicationBuilder builder) =>
        builder.ConfigureFunctionsWebApplication(_ => { });

    /// <summary>The same, with a place to add middleware.</summary>
    public static FunctionsApplicationBuilder ConfigureFunctionsWebApplication(
        this FunctionsApplicationBuilder builder, Action<IFunctionsWorkerApplicationBuilder> configureWorker)
    {
        ArgumentNullException.ThrowIfNull(configureWorker);
        builder.ServesHttp = true;
        // The executors of IActionResult; typed results need nothing.
        builder.Services.AddMvcCore();
        configureWorker(builder);
        return builder;
    }
}
