using AgentPlatform.Actions.Execution;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Resilience;
using AgentPlatform.Work;

namespace AgentPlatform.Schemas;

/// <summary>Told, in the transaction that writes it, that a state was read or could not be: what waited for it is looked at again. An exception undoes the step.</summary>
public interface ISchemaListener
{
    Task ReadAsync(Transaction tx, SchemaRead read, CancellationToken ct);
}

/// <summary>The state is null when the schema is not there to be read any more.</summary>
public sealed record SchemaRead(Guid SessionId, Guid ContactId, Guid ConversationId, string SchemaId, ContactSchemaState? State);

internal sealed record FetchWork(Guid SessionId, string SchemaId);

/// <summary>
/// Asks a tenant's system about the contact of a session, and caches the answer. The call is made between two transactions; the second locks the
/// session first, as turns do.
/// </summary>
internal sealed class FetchSchema(
    Database database, SchemaStore store, SessionStore sessions, ContactDirectory contacts, CircuitBreaker circuits, CallSchemaApi api, EventStore events,
    IEnumerable<ISchemaListener> listeners, TimeProvider clock) : IWorkHandler
{
    internal const string WorkKind = "schemas.fetch";

    /// <summary>Somebody waits for the answer: before what nobody waits for.</summary>
    private const short Urgent = 20;

    /// <summary>One fetch waits at a time, and one runs; the one behind it finds the answer there.</summary>
    internal static NewWork WorkOf(Guid sessionId, string schemaId, Guid key) => new(WorkKind, key.ToString(), new FetchWork(sessionId, schemaId))
    {
        SerialKey = $"schemas:{sessionId}:{schemaId}",
        MergeKey = $"{sessionId}:{schemaId}",
        Priority = Urgent,
    };

    /// <summary>The state as it is when it is fresh, and unless <paramref name="force"/>; else as the tenant's system tells it now.</summary>
    internal async Task<Result<ContactSchemaState>> ReadAsync(Actor actor, Guid sessionId, string schemaId, bool force, CancellationToken ct)
    {
        var begun = await BeginAsync(actor, new(sessionId, schemaId), force, ct);
        if (begun.Problem is { } problem)
        {
            return problem;
        }

        if (begun.Call is not { } call)
        {
            return begun.Fresh!;
        }

        var state = await SettleAsync(actor, call, await AnswerAsync(call, ct), work: null, ct);
        return state is null ? Problem.NotFound("session")
            : state.Serves ? state
            : new Problem("schema_unavailable", 502, "The schema's API does not tell what it knows of this contact.", state.ApiError);
    }

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var (actor, work) = (Actor.System(item.TenantId), item.Read<FetchWork>());
        var begun = await BeginAsync(actor, work, force: false, ct);
        if (begun.Call is not { } call)
        {
            return await NothingToAskAsync(actor, item, work, begun, ct);
        }

        await SettleAsync(actor, call, await AnswerAsync(call, ct), item, ct);
        return WorkOutcome.Settled;
    }

    private async Task<Begun> BeginAsync(Actor actor, FetchWork work, bool force, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        tx.Gather();
        var (defined, cached) = (store.FindAsync(tx, work.SchemaId, ct), store.StateAsync(tx, work.SessionId, work.SchemaId, ct));
        var (living, troubled) = (sessions.PeekAsync(tx, work.SessionId, ct), circuits.TroubledAsync(tx, ct));
        await tx.AskAsync(ct);
        if (await living is not { } session)
        {
            return new(Problem.NotFound("session"));
        }

        if (await defined is not { } schema)
        {
            return new(Problem.NotFound("schema"));
        }

        if (!schema.IsActive)
        {
            return new(Problem.Conflict("schema_inactive", "The schema is not active; nothing is fetched for it."));
        }

        if (await cached is { Freshness: Freshness.Fresh } fresh && !force)
        {
            return new(null) { Fresh = fresh };
        }

        tx.Gather();
        var who = contacts.FindAsync(tx, session.CustomerProfileId, ct);
        var entering = circuits.EnterAsync(tx, await troubled, EffectRules.ServiceOf(schema.ApiEndpoint), TimeSpan.FromSeconds(schema.ApiTimeoutSeconds), ct);
        await tx.AskAsync(ct);
        var call = new Call(schema, session, await who, await entering);
        await tx.CommitAsync(ct);
        return new(null) { Call = call };
    }

    /// <summary>An endpoint that is left alone for a while is a failure like any other: cached keys may serve.</summary>
    private async Task<FetchAnswer> AnswerAsync(Call call, CancellationToken ct) => call.Passage.Wait is { } wait
        ? new(CacheRules.Nothing, null, 0) { Failure = new(ErrorKind.CircuitOpen, $"{call.Passage.Service} has failed too often, and is left alone for a while.") { After = wait } }
        : await api.AskAsync(call.Schema, call.Session, call.Contact, ct);

    /// <summary>Null when the session ended while it was asked: then nobody wants to know.</summary>
    private async Task<ContactSchemaState?> SettleAsync(Actor actor, Call call, FetchAnswer answer, WorkItem? work, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        tx.Gather();
        var (locking, caching) = (sessions.FindAsync(tx, call.Session.SessionId, ct), store.StateAsync(tx, call.Session.SessionId, call.Schema.SchemaId, ct));
        await tx.AskAsync(ct);
        if (call.Passage.Wait is null)
        {
            await circuits.LeaveAsync(tx, call.Passage, VerdictOf(answer.Failure), answer.Failure?.Message, ct);
        }

        var (session, attempt) = (await locking, work?.Attempt ?? 1);
        var state = session is null ? null : await StoreAsync(tx, call.Schema, session, await caching, answer, attempt, ct);
        var retries = state?.ApiError is not null && ErrorReaction.To(call.Schema, answer.Failure!) == ErrorReaction.Retry && work?.IsLastAttempt == false;
        work?.Settle(tx, retries ? new WorkOutcome.Retry(state!.ApiError!, CacheRules.RetryAfter(answer.Failure!, attempt)) : new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return state;
    }

    private async Task<ContactSchemaState> StoreAsync(
        Transaction tx, SchemaDefinition schema, ConversationSession session, ContactSchemaState? cached, FetchAnswer answer, int attempt, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var before = (cached ?? new() { SchemaId = schema.SchemaId, SchemaVersion = "" }) with
        {
            SessionId = session.SessionId,
            ContactId = session.CustomerProfileId,
            AgentId = session.AgentId,
            ConversationId = session.ConversationId,
        };
        var state = (await store.PutAsync(tx, CacheRules.After(schema, before, answer, attempt, now), ct)).At(now);
        events.Append(tx, new NewEvent(state.ApiError is null ? "schema.fetched" : "schema.fetch_failed", "conversation", session.ConversationId, new
        {
            schema_id = schema.SchemaId,
            schema_version = schema.Version,
            session_id = session.SessionId,
            schema_status = state.SchemaStatus,
            response_status = state.ApiResponseStatus,
            response_time_ms = state.ApiResponseTimeMs,
            freshness = state.Freshness,
        })
        { CreatedBy = "schemas" });
        await TellAsync(tx, new(session.SessionId, session.CustomerProfileId, session.ConversationId, schema.SchemaId, state), ct);
        return state;
    }

    /// <summary>Another has fetched it meanwhile, or it can no longer be: whoever began to wait in between is looked at all the same.</summary>
    private async Task<WorkOutcome> NothingToAskAsync(Actor actor, WorkItem item, FetchWork work, Begun begun, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await sessions.FindAsync(tx, work.SessionId, ct) is not { } session)
        {
            // Else the sweep would find it again and again.
            store.Forget(tx, work.SessionId, work.SchemaId);
            item.Settle(tx, new WorkOutcome.Cancel("The session is over."));
            await tx.CommitAsync(ct);
            return WorkOutcome.Settled;
        }

        await TellAsync(tx, new(session.SessionId, session.CustomerProfileId, session.ConversationId, work.SchemaId, begun.Fresh), ct);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private async Task TellAsync(Transaction tx, SchemaRead read, CancellationToken ct)
    {
        foreach (var listener in listeners)
        {
            await listener.ReadAsync(tx, read, ct);
        }
    }

    private static ServiceVerdict VerdictOf(FetchFailure? failure) => failure switch
    {
        { Kind: ErrorKind.Configuration or ErrorReaction.NotIdentified } => ServiceVerdict.Untried,
        { Kind: ErrorKind.ApiError, Status: 425 or 429 } => ServiceVerdict.Healthy,
        { Kind: ErrorKind.ApiError or ErrorKind.NetworkError or ErrorKind.Timeout } => ServiceVerdict.Broken,
        _ => ServiceVerdict.Healthy,
    };

    private sealed record Call(SchemaDefinition Schema, ConversationSession Session, Contact? Contact, Passage Passage);

    private sealed record Begun(Problem? Problem)
    {
        internal ContactSchemaState? Fresh { get; init; }
        internal Call? Call { get; init; }
    }
}
