using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Api;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Api;

/// <summary>What linters of OpenAPI documents ask for, and what the guide promises of every operation.</summary>
public sealed partial class OpenApiTests : IAsyncLifetime
{
    private TestApi _api = null!;
    private readonly ConcurrentDictionary<string, ConcurrentDictionary<Type, bool>> _typesOf = new(StringComparer.Ordinal);
    private JsonElement _document;

    public async Task InitializeAsync()
    {
        _api = await TestApi.StartAsync(services => services.PostConfigure<OpenApiOptions>(ApiDocument.Name, NoteComponents));
        var answer = await _api.GetAsync("/api/openapi.json", key: "");
        Assert.Equal(200, answer.Status);
        _document = answer.Json;
        if (Environment.GetEnvironmentVariable("AGENTPLATFORM_OPENAPI_OUT") is { } file)
        {
            await File.WriteAllTextAsync(file, answer.Body);
        }
    }

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public void The_document_is_openapi_3_1_with_a_license_a_contact_and_a_security_scheme()
    {
        Assert.StartsWith("3.1", _document.GetProperty("openapi").GetString(), StringComparison.Ordinal);
        Assert.True(_document.GetProperty("info").TryGetProperty("license", out _) && _document.GetProperty("info").TryGetProperty("contact", out _));
        Assert.Equal("bearer", _document.GetProperty("components").GetProperty("securitySchemes").GetProperty("api_key").GetProperty("scheme").GetString());
        Assert.NotEmpty(_document.GetProperty("security").EnumerateArray());
        Assert.NotEmpty(_document.GetProperty("servers").EnumerateArray());
    }

    [Fact]
    public void Every_operation_has_a_unique_id_a_summary_a_described_tag_a_success_and_problems()
    {
        var tags = _document.GetProperty("tags").EnumerateArray().Where(t => t.TryGetProperty("description", out _)).Select(t => t.GetProperty("name").GetString()).ToHashSet();
        var operations = Operations().ToList();

        Assert.All(operations, o => Assert.Matches(OperationId(), o.Operation.GetProperty("operationId").GetString()!));
        Assert.Equal(operations.Count, operations.Select(o => o.Operation.GetProperty("operationId").GetString()).Distinct().Count());
        Assert.Empty(operations.Where(o => string.IsNullOrWhiteSpace(o.Operation.GetProperty("summary").GetString())).Select(o => o.Name));
        Assert.Empty(operations.Where(o => !tags.Contains(o.Operation.GetProperty("tags").EnumerateArray().Single().GetString())).Select(o => o.Name));
        Assert.Empty(operations.Where(o => !o.Operation.GetProperty("responses").EnumerateObject().Any(r => r.Name[0] is '2')).Select(o => o.Name));
        Assert.Empty(operations.Where(o => !o.Operation.GetProperty("responses").GetProperty("400").GetProperty("content").TryGetProperty("application/problem+json", out _)).Select(o => o.Name));
    }

    [Fact]
    public void A_component_describes_one_type_alone()
    {
        Assert.True(_typesOf.Count > 100, "The components were not noted.");
        Assert.Empty(_typesOf.Where(c => c.Value.Count > 1).Select(c => $"{c.Key}: {string.Join(", ", c.Value.Keys)}"));
    }

    [Fact]
    public void Only_an_approvals_link_and_the_ways_in_are_used_without_a_key()
    {
        var open = Operations().Where(o => o.Operation.TryGetProperty("security", out var security) && security.GetArrayLength() == 0);

        Assert.Equal(
            [
                "get /api/v1/approval-links/{token}", "post /api/v1/approval-links/{token}", "post /api/v1/auth/login", "post /api/v1/auth/password-resets",
                "post /api/v1/auth/password-resets/complete", "post /api/v1/auth/refresh",
            ],
            open.Select(o => o.Name).Order(StringComparer.Ordinal));
        Assert.All(open, o => Assert.False(o.Operation.GetProperty("responses").TryGetProperty("401", out _)));
    }

    [Fact]
    public void If_Match_is_promised_where_it_is_checked_and_412_with_it()
    {
        var promised = Operations().Where(o => Headers(o.Operation).Contains("If-Match")).Select(o => o.Name).ToList();

        Assert.Equal(promised, Operations().Where(o => o.Operation.GetProperty("responses").TryGetProperty("412", out _)).Select(o => o.Name));
        Assert.Contains("post /api/v1/campaigns/{id}/start", promised);
        Assert.DoesNotContain("delete /api/v1/sessions/{id}", promised);
    }

    /// <summary>What is not read with an ETag has none to name; and an erasure is of the person, whatever has been changed meanwhile.</summary>
    [Fact]
    public void Who_reads_a_version_may_name_it_when_changing_it()
    {
        string[] withoutVersion =
        [
            "delete /api/v1/alerts/{id}", "delete /api/v1/approvals/{approvalId}/links/{id}", "delete /api/v1/auth/sessions/{id}", "delete /api/v1/contacts/{id}",
            "delete /api/v1/contacts/{id}/assets/{assetId}", "delete /api/v1/inbox/{id}", "delete /api/v1/locks/{id}", "delete /api/v1/memory/chunks/{id}",
            "delete /api/v1/memory/contacts/{id}", "delete /api/v1/memory/entities/{id}", "delete /api/v1/memory/episodes/{id}", "delete /api/v1/sessions/{id}",
            "delete /api/v1/work/limits/{id}", "delete /api/v1/work/pauses/{id}", "put /api/v1/contacts/{contactId}/message-budget", "put /api/v1/contacts/{id}/fields/{name}",
            "put /api/v1/memory/entities", "put /api/v1/memory/relationships",
            "put /api/v1/sessions/{id}/variables/{name}", "put /api/v1/users/me/profile",
        ];
        var unguarded = Operations().Where(o => o.Name.Split(' ')[0] is "put" or "patch" or "delete" && !Headers(o.Operation).Contains("If-Match")).Select(o => o.Name);

        Assert.Equal(withoutVersion, unguarded.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Lists_are_pages_and_refuse_filters_that_nothing_can_fit()
    {
        var known = Operations().Where(o => o.Name.StartsWith("get ", StringComparison.Ordinal)).ToList();
        var filters = known.Where(o => !o.Name.Contains('{')).SelectMany(o => Query(o.Operation).Where(Closed.Contains).Select(p => $"{o.Name[4..]}?{p}=mispelt")).ToList();

        Assert.Empty(known.Where(o => o.Operation.GetProperty("responses").GetProperty("200").GetRawText().Contains("\"array\"", StringComparison.Ordinal)).Select(o => o.Name));
        Assert.True(filters.Count > 30, $"Only {filters.Count} filters.");
        foreach (var filter in filters)
        {
            Assert.True((await _api.GetAsync(filter)).Status == 400, filter);
        }
    }

    [Theory]
    [InlineData("/conversations", "status", "conversation_status")]
    [InlineData("/conversations", "channel", "conversation_channel")]
    [InlineData("/conversations", "handled_by", "conversation_handled_by")]
    [InlineData("/messages", "status", "message_status")]
    [InlineData("/messages", "direction", "message_direction")]
    [InlineData("/inbound-messages", "status", "inbound_messages_status")]
    [InlineData("/outbound-messages", "status", "outbound_messages_status")]
    [InlineData("/webhook-logs", "status", "webhook_logs_status")]
    [InlineData("/message-queue", "status", "message_queue_status")]
    [InlineData("/work", "state", "items_state_known")]
    [InlineData("/tasks", "status", "task_status")]
    [InlineData("/intents", "status", "intent_ledger_status_known")]
    [InlineData("/intents", "match_type", "intent_ledger_match_type_known")]
    public async Task Every_value_that_is_stored_can_be_asked_for(string path, string filter, string constraint)
    {
        var check = await _api.Platform.Postgres.ScalarAsync<string>($"SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = '{constraint}'");
        var values = Literal().Matches(check!).Select(m => m.Groups["value"].Value).ToList();

        Assert.NotEmpty(values);
        foreach (var value in values)
        {
            Assert.True((await _api.GetAsync($"/api/v1{path}?{filter}={value}")).Status == 200, value);
        }
    }

    [Fact]
    public void Every_array_says_what_is_in_it() => Assert.Empty(ArraysWithoutItems("", _document));

    [Fact]
    public void Names_on_the_wire_are_snake_case()
    {
        var properties = _document.GetProperty("components").GetProperty("schemas").EnumerateObject()
            .SelectMany(s => s.Value.TryGetProperty("properties", out var p) ? p.EnumerateObject().Select(n => $"{s.Name}.{n.Name}") : []);
        var parameters = Operations().SelectMany(o => o.Operation.TryGetProperty("parameters", out var p) ? p.EnumerateArray() : default)
            .Where(p => p.GetProperty("in").GetString() == "query").Select(p => p.GetProperty("name").GetString()!);

        Assert.All(properties, p => Assert.Matches(SnakeCase(), p[(p.IndexOf('.', StringComparison.Ordinal) + 1)..]));
        Assert.All(parameters, p => Assert.Matches(SnakeCase(), p));
    }

    [Fact]
    public void Every_endpoint_of_the_api_asks_for_a_scope_but_those_where_what_is_sent_is_itself_the_permission() =>
        Assert.All(
            _api.Platform.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>().Where(e => e.RoutePattern.RawText?.StartsWith(ApiPipeline.Prefix, StringComparison.Ordinal) == true),
            e => Assert.True(
                e.Metadata.GetMetadata<RequiredScope>() is not null || (e.Metadata.GetMetadata<PublicEndpoint>() is not null && OpenRoutes.Contains(e.RoutePattern.RawText)),
                e.RoutePattern.RawText));

    private static readonly string[] OpenRoutes =
    [
        "/api/v1/approval-links/{token}/", "/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/password-resets", "/api/v1/auth/password-resets/complete",
    ];

    private static IEnumerable<string> ArraysWithoutItems(string path, JsonElement at) => at.ValueKind switch
    {
        JsonValueKind.Array => at.EnumerateArray().SelectMany((item, i) => ArraysWithoutItems($"{path}/{i}", item)),
        JsonValueKind.Object => at.EnumerateObject().SelectMany(p => ArraysWithoutItems($"{path}/{p.Name}", p.Value))
            .Concat(at.TryGetProperty("type", out var type) && type.GetRawText().Contains("\"array\"", StringComparison.Ordinal) && !at.TryGetProperty("items", out _) ? [path] : []),
        _ => [],
    };

    private void NoteComponents(OpenApiOptions options)
    {
        var named = options.CreateSchemaReferenceId;
        options.CreateSchemaReferenceId = type =>
        {
            if (named(type) is not { } id)
            {
                return null;
            }

            _typesOf.GetOrAdd(id, _ => []).TryAdd(Nullable.GetUnderlyingType(type.Type) ?? type.Type, true);
            return id;
        };
    }

    /// <summary>Filters whose values are a closed list wherever they are asked for.</summary>
    private static readonly string[] Closed = ["status", "state", "channel", "direction", "handled_by", "match_type", "severity", "priority", "by", "control"];

    private static IEnumerable<string> Query(JsonElement operation) =>
        operation.TryGetProperty("parameters", out var all) ? all.EnumerateArray().Where(p => p.GetProperty("in").GetString() == "query").Select(p => p.GetProperty("name").GetString()!) : [];

    private static IEnumerable<string?> Headers(JsonElement operation) =>
        operation.TryGetProperty("parameters", out var all) ? all.EnumerateArray().Where(p => p.GetProperty("in").GetString() == "header").Select(p => p.GetProperty("name").GetString()) : [];

    private IEnumerable<(string Name, JsonElement Operation)> Operations() =>
        from path in _document.GetProperty("paths").EnumerateObject()
        from operation in path.Value.EnumerateObject()
        where operation.Name != "parameters"
        select ($"{operation.Name} {path.Name}", operation.Value);

    [GeneratedRegex("^[a-z][A-Za-z]+$")]
    private static partial Regex OperationId();

    [GeneratedRegex("'(?<value>[a-z_]+)'", RegexOptions.ExplicitCapture)]
    private static partial Regex Literal();

    [GeneratedRegex("^[a-z][a-z0-9_]*$")]
    private static partial Regex SnakeCase();
}
