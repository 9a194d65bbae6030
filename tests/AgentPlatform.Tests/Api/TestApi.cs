using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Identity;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Tests.Api;

/// <summary>The API pipeline over a database of the test's own, served on loopback, and a tenant to use it with.</summary>
public sealed class TestApi : IAsyncDisposable
{
    private readonly WebApplication _server;
    private readonly HttpClient _http;

    private TestApi(TestPlatform platform, WebApplication server, ProvisionedTenant tenant)
    {
        Platform = platform;
        _server = server;
        Tenant = tenant;
        _http = new HttpClient { BaseAddress = new Uri(server.Urls.First()) };
    }

    public TestPlatform Platform { get; }

    /// <summary>The tenant whose owner's key requests carry unless they say otherwise.</summary>
    public ProvisionedTenant Tenant { get; }

    public HttpClient Http => _http;

    public Actor Owner => new(Tenant.TenantId, Tenant.OwnerId, "owner");

    public static async Task<TestApi> StartAsync(Action<IServiceCollection>? configure = null, params (string Key, string Value)[] settings)
    {
        var platform = await TestPlatform.StartAsync(
            services =>
            {
                AddWebHost(services);
                configure?.Invoke(services);
            },
            settings);
        return await OverAsync(platform, await platform.ProvisionAsync());
    }

    /// <summary>What a web host brings along.</summary>
    public static void AddWebHost(IServiceCollection services)
    {
        services.AddSingleton(new DiagnosticListener("Microsoft.AspNetCore"));
        services.AddSingleton<IHostEnvironment>(new HostingEnvironment { ApplicationName = "AgentPlatform", EnvironmentName = "Production" });
    }

    /// <summary>The pipeline of a platform that is there, with <see cref="AddWebHost"/> among its services; it is disposed with this.</summary>
    public static async Task<TestApi> OverAsync(TestPlatform platform, ProvisionedTenant tenant)
    {
        var pipeline = ApiPipeline.Build(platform.Services);
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        var server = builder.Build();
        server.Run(async http =>
        {
            // What the function api/{*path} does: the pipeline routes for itself, over the platform's services.
            await using var scope = platform.Services.CreateAsyncScope();
            http.RequestServices = scope.ServiceProvider;
            http.SetEndpoint(null);
            http.Request.RouteValues = [];
            await pipeline(http);
        });
        await server.StartAsync();
        return new TestApi(platform, server, tenant);
    }

    /// <summary>A key of a new member with this role.</summary>
    public async Task<string> KeyAsync(string role, params string[] scopes) => (await MemberAsync(role, scopes)).Key;

    public async Task<(Guid UserId, string Key)> MemberAsync(string role, params string[] scopes)
    {
        var added = await SendAsync(HttpMethod.Post, "/api/v1/members", new { email = $"{TimeProvider.System.NewId()}@example.test", role });
        var userId = added.Json.GetProperty("user_id").GetGuid();
        var issued = await Platform.AsAsync(Owner, tx =>
            Platform.Get<KeyRing>().IssueAsync(tx, userId, new NewApiKey("Test", role) { Scopes = scopes is [] ? ["*"] : scopes }, CancellationToken.None));
        return (userId, issued.Secret);
    }

    public Task<ApiAnswer> GetAsync(string path, string? key = null) => SendAsync(HttpMethod.Get, path, key: key);

    public Task<ApiAnswer> PostAsync(string path, object? body, string? key = null, string? idempotencyKey = null) =>
        SendAsync(HttpMethod.Post, path, body, key, idempotencyKey is null ? [] : [("Idempotency-Key", idempotencyKey)]);

    public Task<ApiAnswer> SendAsync(HttpMethod method, string path, object? body = null, string? key = null, params (string Name, string Value)[] headers) =>
        SendAsync(method, path, body is null ? null : new StringContent(body as string ?? Json.Text(body), Encoding.UTF8, "application/json"), key, headers);

    public async Task<ApiAnswer> SendAsync(HttpMethod method, string path, HttpContent? content, string? key, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        if (key != "")
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key ?? Tenant.ApiKey);
        }

        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await _http.SendAsync(request);
        return await ApiAnswer.ReadAsync(response);
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _server.StopAsync();
        await _server.DisposeAsync();
        await Platform.DisposeAsync();
    }
}

/// <summary>What the API answered.</summary>
public sealed record ApiAnswer(int Status, string Body, IReadOnlyDictionary<string, string> Headers)
{
    public JsonElement Json => JsonSerializer.Deserialize<JsonElement>(Body);

    /// <summary>The stable code of a problem.</summary>
    public string Code => Json.GetProperty("code").GetString()!;

    public string? Header(string name) => Headers.GetValueOrDefault(name);

    internal static async Task<ApiAnswer> ReadAsync(HttpResponseMessage response) =>
        new(
            (int)response.StatusCode,
            await response.Content.ReadAsStringAsync(),
            response.Headers.Concat(response.Content.Headers).ToDictionary(h => h.Key, h => string.Join(", ", h.Value), StringComparer.OrdinalIgnoreCase));
}
