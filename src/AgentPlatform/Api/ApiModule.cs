using System.ComponentModel.DataAnnotations;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Api;

public sealed class ApiOptions
{
    /// <summary>Bytes a request body may have. Default 1 MiB.</summary>
    [Range(1024, 100 * 1024 * 1024)]
    public int MaxBodyBytes { get; set; } = 1024 * 1024;

    /// <summary>Requests one user may make to one endpoint in a minute. Default 600.</summary>
    [Range(1, 1_000_000)]
    public int RequestsPerMinute { get; set; } = 600;

    /// <summary>
    /// Proxies (addresses or CIDR networks) whose X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host, and <see cref="LocationHeaders"/>, are
    /// believed. Default none.
    /// </summary>
    public string[] TrustedProxies { get; set; } = [];

    /// <summary>What a trusted proxy tells of where a client is, and in which header: <c>country</c> in <c>CF-IPCountry</c>. Default none.</summary>
    public Dictionary<string, string> LocationHeaders { get; set; } = new(StringComparer.Ordinal);
}

/// <summary>Who may call, and the endpoints of the modules, each of which maps its own under <c>/api/v1</c>.</summary>
internal sealed record ApiRoutes(Action<IApplicationBuilder> UseIdentity, Action<IEndpointRouteBuilder> Map);

public static class ApiModule
{
    public static IServiceCollection AddApi(
        this IServiceCollection services, Action<IApplicationBuilder> useIdentity, Action<IEndpointRouteBuilder> map)
    {
        services.AddOptions<ApiOptions>().BindConfiguration("Api").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton(new ApiRoutes(useIdentity, map));
        services.AddSingleton<ClientOrigins>();
        services.AddRouting();
        services.AddOpenApi(ApiDocument.Name, ApiDocument.Configure);
        services.Configure<JsonOptions>(options =>
        {
            Json.Configure(options.SerializerOptions);
            options.SerializerOptions.AllowDuplicateProperties = false;
        });
        // A body that does not bind becomes an exception, so that one place words the problem.
        services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        return services;
    }
}
