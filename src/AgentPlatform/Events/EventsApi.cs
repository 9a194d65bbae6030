using AgentPlatform.Api;
using AgentPlatform.Events.Live;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Events;

internal static class EventsApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var group = v1.MapGroup("/events").WithTags("Events");
        MapReading(group);
        MapConsumers(group);
        group.MapGet("/stream", (HttpContext http, StreamEvents streams, string[]? types, CancellationToken ct) => streams.TenantAsync(http, types ?? [], ct))
            .RequireScope("events:read").Describe("streamEvents", "Follow the tenant's events live; types= names prefixes of event types.")
            .Produces<string>(StatusCodes.Status200OK, "text/event-stream");
        v1.MapGet("/users/me/stream", (HttpContext http, StreamEvents streams, string[]? types, CancellationToken ct) => streams.UserAsync(http, types ?? [], ct))
            .WithTags("Account").RequireScope("events:read")
            .Describe("streamUpdates", "Follow live what becomes of all that you have begun or was handed to you; types= names prefixes of event types.")
            .Produces<string>(StatusCodes.Status200OK, "text/event-stream");
    }

    private static void MapReading(RouteGroupBuilder group)
    {
        group.MapGet("", async (
                HttpContext http, ReadEvents events, string? aggregate_type, Guid? aggregate_id, string? event_type, int? limit, string? cursor, CancellationToken ct) =>
                await PageRequest.Parse(limit, cursor)
                    .ThenAsync(page => events.ListAsync(http.Actor(), new EventFilter(aggregate_type, aggregate_id, event_type), page, ct)).ToHttpAsync())
            .RequireScope("events:read").Describe("listEvents", "List events, newest first; event_type may end in .* to mean all that begin so.").Produces<Page<EventView>>();
        group.MapGet("/{id:guid}", async (HttpContext http, ReadEvents events, Guid id, CancellationToken ct) =>
                (await events.FindAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope("events:read").Describe("getEvent", "Read an event.").Produces<EventView>();
        group.MapGet("/history/{aggregateType}/{aggregateId:guid}", async (
                HttpContext http, ReadEvents events, string aggregateType, Guid aggregateId, int? after_version, CancellationToken ct) =>
                (await events.ReplayAsync(http.Actor(), aggregateType, aggregateId, after_version ?? 0, ct)).ToHttp())
            .RequireScope("events:read").Describe("getHistory", "Read an aggregate's events in version order, archived ones included.")
            .Produces<Page<StoredEvent>>();
    }

    private static void MapConsumers(RouteGroupBuilder group)
    {
        group.MapGet("/consumers", async (HttpContext http, ManageConsumers consumers, CancellationToken ct) =>
                TypedResults.Json(await consumers.ListAsync(http.Actor(), ct), Json.Options))
            .RequireScope("events:read").Describe("listConsumers", "List the consumers of events and how far they are.").Produces<Page<ConsumerView>>();
        group.MapGet("/consumers/{name}", async (HttpContext http, ManageConsumers consumers, string name, CancellationToken ct) =>
                (await consumers.FindAsync(http.Actor(), name, ct)).ToHttp())
            .RequireScope("events:read").Describe("getConsumer", "Read a consumer and its lag.").Produces<ConsumerView>();
        group.MapPost("/consumers/{name}/resume", async (HttpContext http, ManageConsumers consumers, string name, ResumeConsumer? body, CancellationToken ct) =>
                (await consumers.ResumeAsync(http.Actor(), name, body ?? new ResumeConsumer(), ct)).ToHttp())
            .RequireScope("events:write").Describe("resumeConsumer", "Set a stopped consumer going again, at the event it failed at or after it.").Produces<ConsumerView>();
    }
}
