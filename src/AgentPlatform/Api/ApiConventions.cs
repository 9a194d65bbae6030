using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Api;

/// <summary>What an endpoint asks of a key.</summary>
internal sealed record RequiredScope(string Scope);

/// <summary>A limit of its own for an endpoint that is dearer, or called more often, than most.</summary>
internal sealed record RateLimit(int RequestsPerMinute);

/// <summary>An operation on what is the caller's own affair, which a viewer may do, too.</summary>
internal sealed record OpenToViewers;

/// <summary>An operation that is logged, done or refused: what is done to what.</summary>
internal sealed record SensitiveEndpoint(string Action, string ResourceType);

/// <summary>How modules map their endpoints: <c>v1.MapGroup("/contacts").WithTags("Contacts").MapGet(…).RequireScope("contacts:read")</c>.</summary>
public static class ApiConventions
{
    internal const string IdempotencyKeyHeader = "Idempotency-Key";

    /// <summary>Keys need this scope (<c>resource:read</c> or <c>resource:write</c>); without it the answer is 403.</summary>
    public static TBuilder RequireScope<TBuilder>(this TBuilder builder, string scope)
        where TBuilder : IEndpointConventionBuilder =>
        Scopes.IsValid(scope) ? builder.WithMetadata(new RequiredScope(scope)) : throw new ArgumentException($"'{scope}' is not a scope.", nameof(scope));

    /// <summary>Requests per minute and user to this endpoint, in place of <see cref="ApiOptions.RequestsPerMinute"/>.</summary>
    public static TBuilder LimitRate<TBuilder>(this TBuilder builder, int requestsPerMinute)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new RateLimit(requestsPerMinute));

    /// <summary>It changes nothing but the caller's own access: viewers may, who otherwise only read.</summary>
    public static TBuilder AllowViewers<TBuilder>(this TBuilder builder)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new OpenToViewers());

    /// <summary>
    /// Each request is logged with what came of it, also when it is refused: for what decides who may do what. The resource is the <c>id</c> of the address,
    /// or what is created.
    /// </summary>
    public static TBuilder Sensitive<TBuilder>(this TBuilder builder, string action, string resourceType)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new SensitiveEndpoint(action, resourceType));

    /// <summary>The operation's id (camelCase, unique in the API) and its one-line summary in the OpenAPI document.</summary>
    public static TBuilder Describe<TBuilder>(this TBuilder builder, string operationId, string summary)
        where TBuilder : IEndpointConventionBuilder => builder.WithName(operationId).WithSummary(summary);

    /// <summary>The authenticated caller; endpoints under <see cref="ApiPipeline.Prefix"/> always have one.</summary>
    public static Caller Caller(this HttpContext http) =>
        http.Features.Get<Caller>() ?? throw new InvalidOperationException("The request was not authenticated.");

    /// <summary>Whom the request's transactions act for: <c>database.Begin(http.Actor())</c>.</summary>
    public static Actor Actor(this HttpContext http) => http.Caller().Actor;

    /// <summary>The client's Idempotency-Key, when it sent one: a natural key for what the request creates.</summary>
    public static string? IdempotencyKey(this HttpContext http) => http.Request.Headers[IdempotencyKeyHeader].FirstOrDefault();

    /// <summary>The route's template and method: what is limited, and what is logged, without ids and query strings.</summary>
    internal static string Route(this HttpContext http) => (http.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "";

    /// <summary>Null becomes a 404 problem whose code is <c>{what}_not_found</c>.</summary>
    public static Result<T> OrNotFound<T>(this T? value, string what)
        where T : class => value is null ? Problem.NotFound(what) : value;
}
