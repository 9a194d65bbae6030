using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Identity;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Actions;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Brain;

/// <summary>
/// A contact who talks to an agent over the web channel, on real Postgres. <see cref="SayAsync"/> takes the turn and whatever it made
/// due, and returns what was said back.
/// </summary>
public sealed class Talk : IAsyncDisposable
{
    private DateTimeOffset _lastSeen = DateTimeOffset.UnixEpoch;

    private Talk(TestPlatform platform, FakeEndpoint endpoint, ProvisionedTenant tenant)
    {
        (Platform, Endpoint, Tenant, Actor, AgentId) = (platform, endpoint, tenant, Actor.System(tenant.TenantId), tenant.AgentId);
    }

    public TestPlatform Platform { get; }

    public FakeEndpoint Endpoint { get; }

    public ProvisionedTenant Tenant { get; }

    public Actor Actor { get; private set; }

    public Guid AgentId { get; private set; }

    public Guid ConversationId { get; private set; }

    public Guid ContactId { get; private set; }

    public static Task<Talk> StartAsync(params ActionDefinition[] actions) => StartAsync(_ => { }, actions);

    public static async Task<Talk> StartAsync(Action<IServiceCollection> configure, params ActionDefinition[] actions)
    {
        var platform = await TestPlatform.StartAsync(configure, ("Actions:AllowPrivateTargets", "true"), ("Channels:Custom:AllowPrivateTargets", "true"), ("Models:AllowPrivateTargets", "true"));
        var tenant = await platform.ProvisionAsync();
        var talk = new Talk(platform, await FakeEndpoint.StartAsync(), tenant);
        await talk.OfferAsync(actions);
        await talk.MeetAsync();
        return talk;
    }

    /// <summary>Adds actions to the agent; <c>{endpoint}</c> in their URL becomes the fake's.</summary>
    public Task OfferAsync(params ActionDefinition[] actions) => InAsync(async tx =>
    {
        foreach (var action in actions)
        {
            var ready = action with { ApiEndpoint = action.ApiEndpoint?.Replace("{endpoint}", Endpoint.Url, StringComparison.Ordinal) };
            var created = await Platform.Get<ActionRegistry>().CreateAsync(tx, AgentId, ready, default);
            Assert.True(created.IsOk, created.Problem is { } problem ? Json.Text(problem.Errors) : null);
        }
    });

    /// <summary>Another visitor of the same agent.</summary>
    public async Task MeetAsync()
    {
        var taken = await InAsync(tx => Platform.Get<Chat>().StartAsync(tx, AgentId, new StartChat(null, null, null), default));
        (ConversationId, ContactId) = (taken.Value.ConversationId, taken.Value.ContactId);
    }

    public async Task<string> SayAsync(params string[] texts)
    {
        await HearAsync(texts);
        await Platform.DrainAsync();
        return await RepliesAsync();
    }

    /// <summary>The messages arrive; nobody answers yet.</summary>
    public async Task HearAsync(params string[] texts)
    {
        foreach (var text in texts)
        {
            var taken = await InAsync(tx => Platform.Get<Chat>().SayAsync(tx, ConversationId, new ChatText(text), default));
            Assert.True(taken.IsOk, taken.Problem?.Title);
        }
    }

    /// <summary>What was queued for the contact since the last look.</summary>
    public async Task<string> RepliesAsync()
    {
        var rows = await InAsync(tx => tx.QueryAsync<Reply>(
            "SELECT created_at, message_data->>'text' AS text FROM messaging.message_queue WHERE conversation_context_id = $1 AND created_at > $2 ORDER BY created_at", [ConversationId, _lastSeen], default));
        _lastSeen = rows.Count > 0 ? rows[^1].CreatedAt : _lastSeen;
        return string.Join('\n', rows.Select(row => row.Text));
    }

    public Task<Contact> ContactAsync() => InAsync(async tx => (await Platform.Get<ContactDirectory>().FindAsync(tx, ContactId, default))!);

    public Task<ConversationSession> SessionAsync() => InAsync(async tx =>
        await Platform.Get<SessionStore>().LoadOrStartAsync(tx, ConversationId, AgentId, ContactId, new ChannelAddress("web", "unused"), default));

    /// <summary>Oldest first.</summary>
    public Task<IReadOnlyList<LedgerIntent>> IntentsAsync() => InAsync(tx =>
        tx.QueryAsync<LedgerIntent>("SELECT * FROM brain.intent_ledger WHERE conversation_id = $1 ORDER BY turn_number, sequence_order", [ConversationId], default));

    public Task<IReadOnlyList<QueuedAction>> QueueAsync() => InAsync(tx =>
        tx.QueryAsync<QueuedAction>("SELECT * FROM actions.action_queue WHERE conversation_id = $1 ORDER BY added_at", [ConversationId], default));

    public Task<IReadOnlyList<ActionExecution>> ExecutionsAsync() => InAsync(tx =>
        tx.QueryAsync<ActionExecution>("SELECT * FROM actions.action_execution_log WHERE conversation_id = $1 ORDER BY started_at, retry_attempt", [ConversationId], default));

    public Task<IReadOnlyList<string>> EventsAsync() => InAsync(tx =>
        tx.QueryAsync<string>("SELECT event_type FROM events.events WHERE aggregate_id = $1 ORDER BY version", [ConversationId], default));

    public Task<T> InAsync<T>(Func<Transaction, Task<T>> work) => Platform.AsAsync(Actor, work);

    public Task InAsync(Func<Transaction, Task> work) => Platform.AsAsync(Actor, work);

    /// <summary>A waiting retry becomes due at once.</summary>
    public Task HastenAsync() => InAsync(async tx =>
    {
        tx.Post("UPDATE actions.action_queue SET next_retry_at = now() - interval '1 second' WHERE status = 'retrying'");
        await tx.ExecuteAsync("UPDATE work.items SET run_at = now() WHERE state = 'ready'", [], default);
    });

    public async ValueTask DisposeAsync()
    {
        await Endpoint.DisposeAsync();
        await Platform.DisposeAsync();
    }

    private sealed record Reply(DateTimeOffset CreatedAt, string Text);
}

/// <summary>The job-search assistant of seed 000's examples.</summary>
public static class Jobs
{
    public static readonly ActionDefinition Search = new()
    {
        ActionId = "search_jobs",
        ActionName = "search jobs",
        DisplayName = "Search jobs",
        Category = "job_search",
        Synonyms = Json.Of(new[] { "find jobs", "job openings", "look for work" }),
        ParamsRequired = Json.Of(new[] { "job_title" }),
        ParamsOptional = Json.Of(new[] { "location" }),
        ParamValidation = Json.Of(new
        {
            job_title = new { type = "string", min_length = 2, prompt = "Which job title?", message = "A job title has at least two letters.", extract = new[] { "find me {value} jobs", "search {value} jobs", "jobs as {value}" } },
            location = new { type = "string", extract = new[] { "in {value}" } },
        }),
        ExecutionType = "http",
        ApiEndpoint = "{endpoint}/jobs?title={{job_title}}&location={{location}}",
        ApiMethod = "GET",
        ResponseType = "list",
        ResponseTemplate = "Here is what I found for {{params.job_title}}:",
        RetryPolicy = Json.Of(new { initial_delay_seconds = 2 }),
    };

    public static readonly ActionDefinition Apply = new()
    {
        ActionId = "apply_job",
        ActionName = "apply for a job",
        DisplayName = "Apply for this job",
        Category = "job_search",
        Synonyms = Json.Of(new[] { "apply", "send my application" }),
        ParamsRequired = Json.Of(new[] { "job_id", "email" }),
        ParamValidation = Json.Of(new { job_id = new { prompt = "Which job?" }, email = new { type = "email", prompt = "What is your e-mail address?", message = "That is no e-mail address." } }),
        Opposites = Json.Of(new[] { "cancel_application" }),
        ExecutionType = "http",
        ApiEndpoint = "{endpoint}/applications",
        ApiMethod = "POST",
        ApiIdempotent = true,
        ApiBody = Json.Of(new { job = "{{job_id}}", applicant = new { email = "{{email}}" } }),
        ResponseTemplate = "Your application for {{params.job_id}} is in.",
        Priority = "high",
    };

    public static readonly ActionDefinition CancelApplication = new()
    {
        ActionId = "cancel_application",
        ActionName = "cancel application",
        DisplayName = "Cancel the application",
        Synonyms = Json.Of(new[] { "withdraw my application" }),
        ResponseTemplate = "Your application is withdrawn.",
    };

    public const string Found =
        """{"jobs":[{"job_id":"J1","title":"Software Engineer","company":"Acme"},{"job_id":"J2","title":"Backend Engineer","company":"Globex"}]}""";
}
