using AgentPlatform.Brain;
using AgentPlatform.Schemas;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Schemas;

public sealed class SchemaApiTests : IAsyncLifetime
{
    private TestApi _api = null!;
    private FakeDirectory _directory = null!;

    public async Task InitializeAsync()
    {
        _api = await TestApi.StartAsync(null, ("Actions:AllowPrivateTargets", "true"), ("Channels:EncryptionKeys:0", Convert.ToBase64String(new byte[32])));
        _directory = await FakeDirectory.StartAsync();
    }

    public async Task DisposeAsync()
    {
        await _api.DisposeAsync();
        await _directory.DisposeAsync();
    }

    [Fact]
    [Behaviour("brain-schema-unique-per-brand")]
    public async Task Each_brand_has_its_own_definition_of_a_schema_with_its_own_endpoint_and_token()
    {
        var other = await _api.Platform.ProvisionAsync("Other");
        Assert.Equal(201, (await _api.PostAsync("/api/v1/schemas", Body())).Status);
        var again = await _api.PostAsync("/api/v1/schemas", Body());
        Assert.Equal((409, "schema_id_taken"), (again.Status, again.Code));

        Assert.Equal(201, (await _api.PostAsync("/api/v1/schemas", Body("https://other.example/{{contact.id}}", "another-token-1234"), other.ApiKey)).Status);

        var (mine, theirs) = (await _api.GetAsync("/api/v1/schemas/profile"), await _api.GetAsync("/api/v1/schemas/profile", other.ApiKey));
        Assert.Equal(($"{_directory.Url}/people/ada", "…oken"), (Text(mine, "api_endpoint"), Text(mine, "token_hint")));
        Assert.Equal(("https://other.example/{{contact.id}}", "…1234"), (Text(theirs, "api_endpoint"), Text(theirs, "token_hint")));
        Assert.Single((await _api.GetAsync("/api/v1/schemas?is_active=true")).Json.GetProperty("items").EnumerateArray());
        Assert.Empty((await _api.GetAsync("/api/v1/schemas?is_active=false")).Json.GetProperty("items").EnumerateArray());
    }

    [Fact]
    public async Task A_definition_is_refused_field_by_field()
    {
        var refused = await _api.PostAsync("/api/v1/schemas", new
        {
            schema_id = "Bad Id",
            api_endpoint = "https://{{host}}/x",
            api_auth = new { type = "bearer_token", token_source = "plain" },
            api_headers = new { Authorization = "Bearer x" },
            api_timeout_seconds = 0,
            stale_cache_threshold_seconds = 10,
            keys = new[] { new { key_name = "A", api_field_path = "", data_type = "text", completion_logic = new { validation = "iban", validation_regex = "(?=a)" } } },
            api_error_handling = new Dictionary<string, string> { ["teapot"] = "retry", ["404"] = "shrug" },
        });

        Assert.Equal((400, "validation_failed"), (refused.Status, refused.Code));
        Assert.Equal(
            [
                "api_auth.token_source", "api_endpoint", "api_error_handling.404", "api_error_handling.teapot", "api_headers", "api_timeout_seconds", "keys[0].api_field_path",
                "keys[0].completion_logic.validation", "keys[0].completion_logic.validation_regex", "keys[0].data_type", "keys[0].key_name", "schema_id", "schema_name",
                "stale_cache_threshold_seconds",
            ],
            refused.Json.GetProperty("errors").EnumerateObject().Select(e => e.Name).Order(StringComparer.Ordinal));
        Assert.Equal("api_token", Assert.Single((await _api.PostAsync("/api/v1/schemas", Body(token: null))).Json.GetProperty("errors").EnumerateObject()).Name);
    }

    [Fact]
    public async Task Null_is_the_default_and_no_key_is_refused()
    {
        const string Definition =
            """
            {"schema_id":"profile","schema_name":"Profile","api_endpoint":"https://crm.example/","api_auth":null,"api_headers":null,"api_error_handling":null,"schema_completion_logic":null,"keys":KEYS}
            """;

        foreach (var keys in new[] { "null", "[]", "[null]" })
        {
            var refused = await _api.SendAsync(HttpMethod.Post, "/api/v1/schemas", Definition.Replace("KEYS", keys, StringComparison.Ordinal));
            Assert.Equal("keys", Assert.Single(refused.Json.GetProperty("errors").EnumerateObject()).Name);
        }

        var made = await _api.SendAsync(HttpMethod.Post, "/api/v1/schemas", Definition.Replace("KEYS", """[{"key_name":"email","api_field_path":"email"}]""", StringComparison.Ordinal));
        Assert.Equal((201, "1.0", "none"), (made.Status, Text(made, "version"), made.Json.GetProperty("api_auth").GetProperty("type").GetString()));
        Assert.Equal((10, 300, 600, true, true), (
            Number("api_timeout_seconds"), Number("cache_ttl_seconds"), Number("stale_cache_threshold_seconds"),
            made.Json.GetProperty("cache_on_error").GetBoolean(), made.Json.GetProperty("is_active").GetBoolean()));

        int Number(string name) => made.Json.GetProperty(name).GetInt32();
    }

    [Fact]
    [Behaviour("brain-schema-auth-bearer")]
    public async Task A_token_stays_with_its_host_and_is_never_shown()
    {
        await _api.PostAsync("/api/v1/schemas", Body());

        var elsewhere = await _api.SendAsync(HttpMethod.Put, "/api/v1/schemas/profile", Body("https://evil.example/", token: null));
        Assert.Equal("api_token", Assert.Single(elsewhere.Json.GetProperty("errors").EnumerateObject()).Name);

        var kept = await _api.SendAsync(HttpMethod.Put, "/api/v1/schemas/profile", Body($"{_directory.Url}/other", token: null));
        Assert.Equal((200, "…oken", "1.1"), (kept.Status, Text(kept, "token_hint"), Text(kept, "version")));
        Assert.DoesNotContain("sealed_token", kept.Body, StringComparison.Ordinal);
        Assert.DoesNotContain(FakeDirectory.Token, kept.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_change_is_made_to_the_version_that_was_read_and_a_deletion_takes_the_cache_along()
    {
        var made = await _api.PostAsync("/api/v1/schemas", Body());
        var session = await SessionAsync();
        Assert.Equal(200, (await _api.GetAsync($"/api/v1/sessions/{session}/schemas/profile")).Status);
        Assert.Equal(200, (await _api.SendAsync(HttpMethod.Put, "/api/v1/schemas/profile", Body(token: null), null, ("If-Match", made.Header("ETag")!))).Status);
        Assert.Equal("precondition_failed", (await _api.SendAsync(HttpMethod.Put, "/api/v1/schemas/profile", Body(token: null), null, ("If-Match", made.Header("ETag")!))).Code);

        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, "/api/v1/schemas/profile")).Status);

        Assert.Equal("schema_not_found", (await _api.GetAsync("/api/v1/schemas/profile")).Code);
        Assert.Equal("schema_not_found", (await _api.GetAsync($"/api/v1/sessions/{session}/schemas/profile")).Code);
        Assert.Empty((await _api.GetAsync($"/api/v1/sessions/{session}/schemas")).Json.GetProperty("items").EnumerateArray());
    }

    [Fact]
    [Behaviour("brain-schema-cache-ttl")]
    public async Task States_are_listed_read_through_the_cache_and_refreshed_on_demand()
    {
        await _api.PostAsync("/api/v1/schemas", Body());
        var session = await SessionAsync();
        var viewer = await _api.KeyAsync("viewer");
        Assert.Empty((await _api.GetAsync($"/api/v1/sessions/{session}/schemas")).Json.GetProperty("items").EnumerateArray());

        var read = await _api.GetAsync($"/api/v1/sessions/{session}/schemas/profile");
        await _api.GetAsync($"/api/v1/sessions/{session}/schemas/profile");
        Assert.Equal(("complete", "fresh", 1), (Text(read, "schema_status"), Text(read, "freshness"), _directory.Questions.Count));

        Assert.Equal(200, (await _api.PostAsync($"/api/v1/sessions/{session}/schemas/profile/refresh", null)).Status);
        Assert.Equal(2, _directory.Questions.Count);
        Assert.Equal(403, (await _api.PostAsync($"/api/v1/sessions/{session}/schemas/profile/refresh", null, viewer)).Status);

        var contact = read.Json.GetProperty("contact_id").GetGuid();
        foreach (var list in new[] { $"/api/v1/sessions/{session}/schemas", $"/api/v1/contacts/{contact}/schemas" })
        {
            Assert.Equal("profile", Assert.Single((await _api.GetAsync(list)).Json.GetProperty("items").EnumerateArray()).GetProperty("schema_id").GetString());
        }

        var other = await _api.Platform.ProvisionAsync("Other");
        Assert.Equal("session_not_found", (await _api.GetAsync($"/api/v1/sessions/{session}/schemas/profile", other.ApiKey)).Code);
    }

    private object Body(string? endpoint = null, string? token = FakeDirectory.Token) => new
    {
        schema_id = "profile",
        schema_name = "Profile",
        api_endpoint = endpoint ?? $"{_directory.Url}/people/ada",
        api_auth = new { type = "bearer_token", token_source = SchemaAuth.Sealed },
        api_token = token,
        keys = new[] { new { key_name = "email", api_field_path = "email", required_for_schema = true } },
    };

    private async Task<Guid> SessionAsync()
    {
        _directory.People["ada"] = new System.Text.Json.Nodes.JsonObject { ["email"] = "ada@example.com" };
        var platform = AgentPlatform.Postgres.Actor.System(_api.Tenant.TenantId);
        var chat = await _api.Platform.AsAsync(platform, tx => _api.Platform.Get<Chat>().StartAsync(tx, _api.Tenant.AgentId, new StartChat(null, null, null), default));
        await _api.Platform.AsAsync(platform, tx => _api.Platform.Get<Chat>().SayAsync(tx, chat.Value.ConversationId, new ChatText("hello"), default));
        await _api.Platform.DrainAsync();
        return await _api.Platform.Postgres.ScalarAsync<Guid>("SELECT id FROM conversations.sessions WHERE conversation_id = $1", chat.Value.ConversationId);
    }

    private static string? Text(ApiAnswer answer, string name) => answer.Json.GetProperty(name).GetString();
}
