using System.Collections.Concurrent;
using System.Net;
using System.Text;
using AgentPlatform.Functions;
using AgentPlatform.Tests.LocalHost;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace AgentPlatform.Tests.Telemetry;

public sealed class TelemetryTests : IAsyncLifetime
{
    /// <summary>What the collector got, by path. Protobuf carries text as it is.</summary>
    private readonly ConcurrentQueue<(string Path, string Body)> _received = new();
    private readonly WebApplication _collector = WebApplication.CreateSlimBuilder().Build();
    private TestDatabase _database = null!;

    public async Task InitializeAsync()
    {
        _database = await TestDatabase.CreateAsync();
        _collector.Urls.Add("http://127.0.0.1:0");
        _collector.MapPost("/v1/{signal}", async (string signal, HttpRequest request) =>
        {
            using var body = new MemoryStream();
            await request.Body.CopyToAsync(body);
            _received.Enqueue((signal, Encoding.Latin1.GetString(body.ToArray())));
        });
        await _collector.StartAsync();
    }

    public async Task DisposeAsync()
    {
        await _collector.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Fact]
    public async Task A_collector_gets_traces_metrics_and_logs_and_never_a_webhooks_token()
    {
        var token = $"secret-{Guid.CreateVersion7(TimeProvider.System.GetUtcNow()):N}";
        var webhook = Guid.CreateVersion7(TimeProvider.System.GetUtcNow());
        await using (var app = await StartAsync(("OTEL_EXPORTER_OTLP_ENDPOINT", _collector.Urls.Single()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")))
        {
            using var body = new StringContent("a=b", null, "application/x-www-form-urlencoded");
            using var answer = await app.Client.PostAsync($"webhooks/twilio/{webhook}/sms?token={token}", body);
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
            using var link = await app.Client.GetAsync($"api/v1/approval-links/{new string('a', 24)}{webhook:N}00000000");
            app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("test").LogWarning("A line for the collector");
            // The request's own span ends after its answer has gone out; what is left is sent when the host ends.
            app.Services.GetRequiredService<MeterProvider>().ForceFlush();
        }

        Assert.Equal(["logs", "metrics", "traces"], _received.Select(r => r.Path).Distinct().Order(StringComparer.Ordinal));
        Assert.Contains(_received, r => r.Path == "logs" && r.Body.Contains("A line for the collector", StringComparison.Ordinal));
        var traces = string.Concat(_received.Where(r => r.Path == "traces").Select(r => r.Body));
        Assert.Contains("/webhooks/twilio/{token}/sms", traces, StringComparison.Ordinal);
        Assert.Contains("/api/v1/approval-links/{token}", traces, StringComparison.Ordinal);
        Assert.Contains("agentplatform", traces, StringComparison.Ordinal);
        Assert.All(_received, r => Assert.DoesNotContain(webhook.ToString("N"), r.Body, StringComparison.OrdinalIgnoreCase));
        Assert.All(_received, r => Assert.DoesNotContain(webhook.ToString(), r.Body, StringComparison.OrdinalIgnoreCase));
        Assert.All(_received, r => Assert.DoesNotContain(token, r.Body, StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task Without_a_collector_nothing_is_collected()
    {
        await using var app = await StartAsync();
        Assert.Null(app.Services.GetService<TracerProvider>());
        Assert.Empty(_received);
    }

    private async Task<LocalHostApp> StartAsync(params (string Key, string Value)[] settings) =>
        await LocalHostApp.StartAsync(new(typeof(WorkFunctions).Assembly.GetTypes())
        {
            Database = _database,
            LocalSettings = new { Values = settings.ToDictionary(s => s.Key, s => s.Value) },
            Configure = builder => builder.Services.AddAgentPlatform(builder.Configuration).AddSingleton<Pipelines>(),
        });
}
