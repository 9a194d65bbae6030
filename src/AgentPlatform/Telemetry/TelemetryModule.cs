using System.Diagnostics;
using System.Reflection;
using Azure.Core;
using Azure.Monitor.OpenTelemetry.Exporter;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace AgentPlatform.Telemetry;

/// <summary>
/// Traces, metrics and logs over OpenTelemetry: to a collector when <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> names one, to Azure Monitor when
/// <c>APPLICATIONINSIGHTS_CONNECTION_STRING</c> is set. With neither, nothing is collected and nothing is loaded.
/// </summary>
public static class TelemetryModule
{
    /// <summary>Characters of an id of ours.</summary>
    private const int IdLength = 36;

    public static IServiceCollection AddTelemetry(this IServiceCollection services, IConfiguration configuration)
    {
        var collector = configuration["OTEL_EXPORTER_OTLP_ENDPOINT"] is { Length: > 0 };
        var azure = configuration["APPLICATIONINSIGHTS_CONNECTION_STRING"] is { Length: > 0 } text ? text : null;
        if (collector || azure is not null)
        {
            Collect(services, configuration, collector, azure);
        }

        return services;
    }

    /// <summary>A method of its own: the libraries it names are loaded when it is called, and a process without a collector does not.</summary>
    private static void Collect(IServiceCollection services, IConfiguration configuration, bool collector, string? azure)
    {
        var version = Assembly.GetExecutingAssembly().GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;
        var telemetry = services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService("agentplatform", serviceVersion: version))
            .WithTracing(traces => traces
                .AddSource("AgentPlatform.*", "Npgsql")
                .AddAspNetCoreInstrumentation(o => o.EnrichWithHttpRequest = Discreet)
                .AddHttpClientInstrumentation(o => o.EnrichWithHttpRequestMessage = Discreet))
            .WithMetrics(metrics => metrics.AddMeter("AgentPlatform.*", "Npgsql").AddAspNetCoreInstrumentation())
            .WithLogging();
        if (collector)
        {
            telemetry.UseOtlpExporter();
        }

        if (azure is not null)
        {
            services.AddOptions<AzureMonitorExporterOptions>().Configure<IServiceProvider>((options, provider) =>
            {
                options.ConnectionString = azure;
                // Where local keys are off, the identity of this process publishes.
                options.Credential = configuration["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"] is { Length: > 0 } ? provider.GetRequiredService<TokenCredential>() : null;
            });
            telemetry.UseAzureMonitorExporter();
        }
    }

    /// <summary>A token in a path is a secret: a webhook's, and whatever is too long to be the id of something, as in the links that people are sent.</summary>
    private static void Discreet(Activity activity, HttpRequest request)
    {
        var path = request.Path.Value ?? "";
        var idsAreTokens = path.StartsWith("/webhooks/", StringComparison.OrdinalIgnoreCase) || path.StartsWith("/demo/", StringComparison.OrdinalIgnoreCase);
        activity.SetTag("url.path", string.Join('/', path.Split('/').Select(part => part.Length > IdLength || (idsAreTokens && Guid.TryParse(part, out _)) ? "{token}" : part)));
        activity.SetTag("url.query", null);
    }

    /// <summary>An action's endpoint may carry a token anywhere in its address: a trace keeps the server's name.</summary>
    private static void Discreet(Activity activity, HttpRequestMessage request) => activity.SetTag("url.full", request.RequestUri?.GetLeftPart(UriPartial.Authority));
}
