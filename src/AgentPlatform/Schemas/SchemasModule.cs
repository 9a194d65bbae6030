using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Channels;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Schemas;

public static class SchemasModule
{
    /// <summary>What a tenant's own systems know about contacts: asked over HTTP, cached per session, and what eligibility depends on.</summary>
    public static IServiceCollection AddSchemas(this IServiceCollection services)
    {
        services.AddSingleton<IKeepsPersonalData, KeptOfContacts>();
        services.AddSingleton<SchemaStore>().AddSingleton<CallSchemaApi>().AddSingleton<ISchemaSource, SchemaStates>()
            .AddSingleton<IContactMergeParticipant, MergedStates>()
            .AddSingleton(p => new ManageSchemas(
                p.GetRequiredService<Database>(), p.GetRequiredService<SchemaStore>(), p.GetRequiredService<SecretBox>(), p.GetRequiredService<ActionQueue>(),
                p.GetRequiredService<WorkQueue>(), p.GetRequiredService<EventStore>(), p.GetRequiredService<TimeProvider>()))
            .AddSingleton(p => new ExpireSchemas(
                p.GetRequiredService<Database>(), p.GetRequiredService<ActionQueue>(), p.GetRequiredService<SessionStore>(), p.GetRequiredService<WorkQueue>(),
                p.GetRequiredService<TimeProvider>(), p.GetRequiredService<ILogger<ExpireSchemas>>()));
        // What waits for a schema is found again by the sweep: the engine retries only what may pass soon.
        return services.AddWorkHandler<FetchSchema>(FetchSchema.WorkKind, kind => kind.MaxAttempts = 4);
    }

    /// <summary>Under <c>/api/v1</c>: schemas, contacts/{id}/schemas and sessions/{id}/schemas.</summary>
    public static void MapSchemas(this IEndpointRouteBuilder v1) => SchemasApi.Map(v1);
}
