using System.Globalization;
using System.Net;
using AgentPlatform.LocalHost.Durable;
using AgentPlatform.LocalHost.Http;
using AgentPlatform.LocalHost.Invocation;
using AgentPlatform.LocalHost.Queues;
using AgentPlatform.LocalHost.Timers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.LocalHost.Hosting;

/// <summary>What the runtime adds to an app: server, database, keys, listeners, endpoints.</summary>
internal static class RuntimeSetup
{
    // The Functions host's own limit of a request body.
    private const long MaxRequestBody = 100 * 1024 * 1024;

    internal static void AddRuntime(this WebApplicationBuilder web, HostJson host, FunctionCatalog catalog)
    {
        var services = web.Services;
        var connection = ConnectionString(web.Configuration);
        services.TryAddSingleton(_ => NpgsqlDataSource.Create(connection));
        services.AddSingleton(host);
        services.AddSingleton(catalog);
        services.AddSingleton<FunctionExecutor>();
        services.AddSingleton<HttpFunctions>();
        services.AddSingleton(new KeyFile(web.Configuration["Host:KeyFile"] ?? Path.Combine(".local", "host-keys.json")));
        services.AddSingleton<HostKeys>();
        services.AddSingleton<QueueSignals>();
        services.AddSingleton<QueueFactory>();
        // After the app's own hosted services, so that these still serve the functions while listeners drain.
        services.AddHostedService<QueueListeners>();
        services.AddSingleton<TimerStore>();
        services.AddHostedService<TimerListeners>();
        services.AddHostedService<IdleMemory>();
        services.AddDurable(host.Durable);
        services.AddRouting();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<MatcherPolicy, FunctionMethodPolicy>());
        services.Configure<HostOptions>(o => o.ShutdownTimeout = DrainLimit(web.Configuration));
        services.Configure<ConsoleLifetimeOptions>(o => o.SuppressStatusMessages = true);
        AddLogging(web, host);
        Listen(web);
    }

    internal static void MapRuntime(this WebApplication app, HostJson host, FunctionCatalog catalog)
    {
        // A WebApplication puts authentication and authorization before its endpoints as soon as their services exist. Here they belong to
        // the app's own pipeline behind a function; on Azure nothing runs before it either.
        var properties = ((IApplicationBuilder)app).Properties;
        properties["__AuthenticationMiddlewareSet"] = true;
        properties["__AuthorizationMiddlewareSet"] = true;

        IEndpointRouteBuilder routes = app;
        routes.DataSources.Add(new DefaultEndpointDataSource(app.Services.GetRequiredService<HttpFunctions>().Endpoints()));
        routes.MapAdmin(
            catalog, app.Services.GetRequiredService<FunctionExecutor>(), app.Services.GetRequiredService<HostKeys>(), host,
            app.Services.GetRequiredService<TimeProvider>(), app.Logger);
        routes.MapDurable(
            catalog, app.Services.GetRequiredService<HostKeys>(), app.Services.GetRequiredService<PostgresDurableClient>(), app.Services.GetRequiredService<InstanceReader>());
    }

    private static string ConnectionString(ConfigurationManager configuration)
    {
        var text = configuration.GetConnectionString("AgentPlatform");
        if (string.IsNullOrWhiteSpace(text))
        {
            throw new SettingException("The setting ConnectionStrings__AgentPlatform is missing: set it to a Postgres connection string.");
        }

        try
        {
            return new NpgsqlConnectionStringBuilder(text).Host is { Length: > 0 }
                ? text
                : throw new SettingException("The setting ConnectionStrings__AgentPlatform names no Host.");
        }
        catch (Exception e) when (e is ArgumentException or FormatException or KeyNotFoundException)
        {
            throw new SettingException($"The setting ConnectionStrings__AgentPlatform is no Postgres connection string: {e.Message.ReplaceLineEndings(" ")}");
        }
    }

    private static TimeSpan DrainLimit(ConfigurationManager configuration) => configuration["Host:DrainLimit"] is not { } text
        ? TimeSpan.FromSeconds(30)
        : TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var limit) && limit > TimeSpan.Zero ? limit
        : throw new SettingException($"The setting Host__DrainLimit must be a time like 00:00:30, not '{text}'.");

    private static void AddLogging(WebApplicationBuilder web, HostJson host)
    {
        web.Logging.AddSimpleConsole(o =>
        {
            o.SingleLine = true;
            o.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z' ";
            o.UseUtcTimestamp = true;
        });
        web.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning);
        web.Logging.AddFilter("Microsoft.Hosting.Lifetime", LogLevel.Warning);
        web.Logging.AddFilter("Npgsql", LogLevel.Warning);
        web.Logging.AddConfiguration(host.Logging);
    }

    private static void Listen(WebApplicationBuilder web)
    {
        web.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = MaxRequestBody;
        });
        // ASPNETCORE_URLS, when given, decides alone; for a container or a reverse proxy.
        if (string.IsNullOrEmpty(web.Configuration["urls"]))
        {
            var port = Port(web.Configuration);
            web.WebHost.ConfigureKestrel(kestrel => ListenOn(kestrel, port));
        }
    }

    // Kestrel cannot choose one free port for both loopback addresses.
    private static void ListenOn(KestrelServerOptions kestrel, int port)
    {
        if (port == 0)
        {
            kestrel.Listen(IPAddress.Loopback, 0);
        }
        else
        {
            kestrel.ListenLocalhost(port);
        }
    }

    private static int Port(ConfigurationManager configuration)
    {
        var text = configuration["port"] ?? configuration["Host:LocalHttpPort"];
        return text is null ? 7071
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port <= IPEndPoint.MaxPort ? port
            : throw new SettingException($"'{text}' is no port: use --port N or Host:LocalHttpPort in local.settings.json.");
    }
}
