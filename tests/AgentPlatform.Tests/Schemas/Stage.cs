using System.Text.Json.Nodes;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Schemas;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Tests.Sandbox;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Schemas;

/// <summary>A contact whom the tenant's own directory knows as <c>C-7</c>, in a talk whose clock a test moves.</summary>
internal sealed class Stage : IAsyncDisposable
{
    /// <summary>An action for those of whom the directory has e-mail and phone.</summary>
    public static readonly ActionDefinition Enrol = new()
    {
        ActionId = "enrol",
        ActionName = "enrol in the course",
        DisplayName = "Enrol in the course",
        EligibilityCriteria = Json.Of(new { schema_dependencies = new { profile = new { required_keys = new[] { "email", "phone" }, all_must_be = "complete" } } }),
        ResponseTemplate = "You are enrolled.",
    };

    private Stage(Talk talk, FakeDirectory directory, Conversations.StillClock clock) => (Talk, Directory, Clock) = (talk, directory, clock);

    public Talk Talk { get; }

    public FakeDirectory Directory { get; }

    public Conversations.StillClock Clock { get; }

    public Guid SessionId { get; private set; }

    /// <summary>What a schema of people is: e-mail and phone are required, the nickname is not.</summary>
    public SchemaInput Profile => new()
    {
        SchemaId = "profile",
        SchemaName = "Profile",
        ApiEndpoint = $"{Directory.Url}/people/{{{{contact.external_id}}}}",
        ApiAuth = new(SchemaAuth.Bearer, SchemaAuth.Sealed),
        ApiToken = FakeDirectory.Token,
        Keys =
        [
            new("email", "data.contact.email", RequiredForSchema: true, CompletionLogic: new(Validation: "email_format")),
            new("phone", "data.contact.phone", RequiredForSchema: true, CompletionLogic: new(Validation: "phone_e164")),
            new("nickname", "data.nickname"),
        ],
    };

    public static async Task<Stage> StartAsync(params ActionDefinition[] actions)
    {
        var clock = new Conversations.StillClock(TimeProvider.System.GetUtcNow());
        var talk = await Talk.StartAsync(services => services.AddSingleton<TimeProvider>(clock), actions);
        var stage = new Stage(talk, await FakeDirectory.StartAsync(), clock);
        stage.Knows("ada@example.com", "+14155550100");
        await talk.InAsync(tx => tx.ExecuteAsync("UPDATE contacts.customer_profiles SET external_id = 'C-7' WHERE id = $1", [talk.ContactId], default));
        await talk.SayAsync("hello");
        stage.SessionId = (await talk.SessionAsync()).SessionId;
        return stage;
    }

    public void Knows(string? email, string? phone, string? nickname = null) =>
        Directory.People["C-7"] = new JsonObject { ["data"] = new JsonObject { ["contact"] = new JsonObject { ["email"] = email, ["phone"] = phone }, ["nickname"] = nickname } };

    public async Task<SchemaDefinition> DefineAsync(SchemaInput schema)
    {
        var defined = await Talk.Platform.Get<ManageSchemas>().CreateAsync(Talk.Actor, schema, default);
        Assert.True(defined.IsOk, defined.Problem is { } problem ? $"{problem.Code} {Json.Text(problem.Errors)}" : null);
        return defined.Value;
    }

    public async Task<SchemaDefinition> ChangeAsync(SchemaInput schema)
    {
        var changed = await Talk.Platform.Get<ManageSchemas>().ReplaceAsync(Talk.Actor, schema, AgentPlatform.Api.IfMatch.Any, default);
        Assert.True(changed.IsOk, changed.Problem is { } problem ? $"{problem.Code} {Json.Text(problem.Errors)}" : null);
        return changed.Value;
    }

    /// <summary>As the API reads: from the cache while it is fresh, else from the directory.</summary>
    public async Task<Result<ContactSchemaState>> ReadAsync(bool force = false)
    {
        using var scope = Talk.Platform.Services.CreateScope();
        return await scope.ServiceProvider.GetRequiredService<FetchSchema>().ReadAsync(Talk.Actor, SessionId, "profile", force, default);
    }

    public Task<(int Refreshed, int Purged)> SweepAsync() => Talk.Platform.Get<ExpireSchemas>().RunAsync(default);

    /// <summary>The database's clock is the real one: what has expired by the test's has to be expired by its, too.</summary>
    public Task ExpireAsync(TimeSpan ago) => Talk.InAsync(tx => tx.ExecuteAsync(
        "UPDATE schemas.user_schema_state SET cache_expires_at = cache_expires_at - $1, keys_read_at = keys_read_at - $1, next_refresh_at = next_refresh_at - $1, stale_until = stale_until - $1", [ago], default));

    public Task<IReadOnlyList<ContactSchemaState>> RowsAsync() => Talk.InAsync(tx => tx.QueryAsync<ContactSchemaState>("SELECT * FROM schemas.user_schema_state ORDER BY id", [], default));

    /// <summary>All that was said to the contact, in order.</summary>
    public async Task<string[]> SaidAsync() => [.. await Talk.InAsync(tx => tx.QueryAsync<string>(
        "SELECT message_data->>'text' FROM messaging.message_queue WHERE conversation_context_id = $1 ORDER BY id", [Talk.ConversationId], default))];

    public async Task<QueuedAction> RequestAsync() => Assert.Single(await Talk.QueueAsync());

    public async ValueTask DisposeAsync()
    {
        await Talk.DisposeAsync();
        await Directory.DisposeAsync();
    }
}
