using AgentPlatform.Api;
using AgentPlatform.Identity.Idempotency;
using AgentPlatform.Identity.Login;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Identity;

public static class IdentityModule
{
    public static IServiceCollection AddIdentity(this IServiceCollection services)
    {
        services.AddSingleton<UserDirectory>();
        services.AddSingleton<KeyRing>();
        services.AddSingleton<Authenticator>();
        services.AddSingleton<KeySessions>();
        services.AddLogin();
        services.AddSingleton<DataProtectionKeys>();
        services.AddSingleton<IdempotencyStore>();
        services.AddSingleton<ManageKeys>();
        services.AddSingleton<ManageAccount>();
        services.AddSingleton<IdentityRetention>();
        services.AddSingleton<RequestLog>();
        services.AddHostedService(provider => provider.GetRequiredService<RequestLog>());
        return services;
    }

    /// <summary>Who calls, what it sends, and whether it did so before: after routing, in this order.</summary>
    internal static void UseIdentity(IApplicationBuilder app)
    {
        app.UseMiddleware<KeyAuthentication>();
        app.UseMiddleware<BodyReader>();
        app.UseMiddleware<IdempotentRequests>();
    }

    public static void MapIdentity(this IEndpointRouteBuilder v1)
    {
        MapKeys(v1);
        MapAccount(v1);
        LoginApi.Map(v1);
    }

    private static void MapKeys(IEndpointRouteBuilder v1)
    {
        var group = v1.MapGroup("/keys").WithTags("API keys");
        group.MapGet("", async (HttpContext http, ManageKeys keys, int? limit, string? cursor, CancellationToken ct) =>
                await PageRequest.Parse(limit, cursor).ThenAsync(page => keys.ListAsync(http.Actor(), page, ct)).ToHttpAsync())
            .RequireScope("keys:read").Describe("listKeys", "List your API keys; owners and admins see the whole tenant's.").Produces<Page<ApiKey>>();
        group.MapPost("", async (HttpContext http, ManageKeys keys, CreateKey body, CancellationToken ct) =>
                (await keys.CreateAsync(http.Caller(), body, ct)).ToCreated(key => $"/api/v1/keys/{key.Id}"))
            .RequireScope("keys:write").Sensitive("key.issue", "api_key").Describe("createKey", "Create an API key; its secret is in this answer only.").Produces<CreatedKey>(StatusCodes.Status201Created);
        group.MapGet("/{id:guid}", async (HttpContext http, ManageKeys keys, Guid id, CancellationToken ct) =>
                (await keys.FindAsync(http.Actor(), id, ct)).ToHttp(key => key.UpdatedAt))
            .RequireScope("keys:read").Describe("getKey", "Read an API key.").Produces<ApiKey>();
        group.MapDelete("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageKeys keys, Guid id, CancellationToken ct) =>
                (await keys.RevokeAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("keys:write").Sensitive("key.revoke", "api_key").Describe("revokeKey", "Revoke an API key at once.").Produces(StatusCodes.Status204NoContent);
        v1.MapGet("/requests", async (HttpContext http, ManageKeys keys, Guid? key_id, int? limit, string? cursor, CancellationToken ct) =>
                await PageRequest.Parse(limit, cursor).ThenAsync(page => keys.RequestsAsync(http.Actor(), key_id, page, ct)).ToHttpAsync())
            .WithTags("API keys").RequireScope("keys:read").Describe("listRequests", "List the API requests of the last 30 days.").Produces<Page<ApiRequest>>();
    }

    private static void MapAccount(IEndpointRouteBuilder v1)
    {
        var group = v1.MapGroup("/users/me").WithTags("Account");
        group.MapGet("", async (HttpContext http, ManageAccount account, CancellationToken ct) =>
                (await account.FindAsync(http.Actor(), ct)).ToHttp(user => user.UpdatedAt))
            .RequireScope("account:read").Describe("getAccount", "Read your account.").Produces<User>();
        group.MapPatch("", async (HttpContext http, IfMatch ifMatch, ManageAccount account, ChangeAccount body, CancellationToken ct) =>
                (await account.ChangeAsync(http.Actor(), body, ifMatch, ct)).ToHttp(user => user.UpdatedAt))
            .RequireScope("account:write").Describe("changeAccount", "Change your account.").Produces<User>();
        group.MapDelete("", async (HttpContext http, IfMatch ifMatch, ManageAccount account, CancellationToken ct) =>
                (await account.CloseAsync(http.Actor(), ifMatch, ct)).ToNoContent())
            .RequireScope("account:write").Sensitive("account.close", "user").Describe("closeAccount", "Close your account: all its keys are refused from now on.").Produces(StatusCodes.Status204NoContent);
        group.MapGet("/profile", async (HttpContext http, ManageAccount account, CancellationToken ct) =>
                (await account.FindProfileAsync(http.Actor(), ct)).ToHttp())
            .RequireScope("account:read").Describe("getProfile", "Read your business profile.").Produces<BusinessProfile>();
        group.MapPut("/profile", async (HttpContext http, ManageAccount account, BusinessProfile body, CancellationToken ct) =>
                (await account.SaveProfileAsync(http.Actor(), body, ct)).ToHttp())
            .RequireScope("account:write").Describe("saveProfile", "Hand in your business profile, which completes the onboarding.").Produces<BusinessProfile>();
    }
}
