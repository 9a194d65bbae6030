using System.Text.Json;

namespace AgentPlatform.Tests.Api;

/// <summary>What is well-formed and yet nothing that can be kept or counted with is refused, or done without; it is never a failure of ours.</summary>
public sealed class HostileRequestTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task No_question_at_the_edges_of_its_parameters_is_answered_with_a_500()
    {
        var document = (await _api.GetAsync("/api/openapi.json", key: "")).Json;
        var questions = document.GetProperty("paths").EnumerateObject().Where(p => p.Value.TryGetProperty("get", out _) && !p.Name.EndsWith("/stream", StringComparison.Ordinal))
            .SelectMany(p => Questions(p.Name, p.Value.GetProperty("get"))).ToList();
        Assert.True(questions.Count > 300, $"Only {questions.Count} questions.");
        var failed = new List<string>();
        foreach (var question in questions)
        {
            if (await _api.GetAsync(question) is { Status: >= 500 } answer)
            {
                failed.Add($"{answer.Status} {question}");
            }
        }

        Assert.Empty(failed);
    }

    [Theory]
    [InlineData("/api/v1/costs?to=0001-01-01", 400)]
    [InlineData("/api/v1/turn-usage?to=0001-01-30", 400)]
    [InlineData("/api/v1/costs?from=1969-12-31&to=1970-01-02", 400)]
    [InlineData("/api/v1/costs?to=1970-01-02", 200)]
    [InlineData("/api/v1/turn-usage?to=9999-12-31", 200)]
    [InlineData("/api/v1/audit-logs?from=2026-03-01T00:00:00%2B02:00", 200)]
    public async Task Days_begin_where_a_report_can_begin(string question, int status) => Assert.Equal(status, (await _api.GetAsync(question)).Status);

    [Theory]
    [InlineData("""{"a":"\ud800"}""")]
    [InlineData("""{"\udc00":1}""")]
    [InlineData("""{"a":1e400000}""")]
    [InlineData("""{"a":1e-20000}""")]
    public async Task Json_that_cannot_be_kept_is_a_400(string context)
    {
        var answer = await PostTaskAsync(context);

        Assert.Equal((400, "invalid_json"), (answer.Status, answer.Code));
    }

    [Theory]
    [InlineData("""{"a":"x\u0000y"}""", """{"a":"xy"}""")]
    [InlineData("""{"a":"\\u0000\u0000\u0000"}""", """{"a":"\\u0000"}""")]
    [InlineData("""{"a":[1E-8,0E-8,1e308,"\ud83d\ude00"]}""", """{"a":[1E-8,0E-8,1e308,"\ud83d\ude00"]}""")]
    public async Task Other_json_is_kept_without_what_no_text_holds(string sent, string kept)
    {
        var task = await PostTaskAsync(sent);

        Assert.True(task.Status == 201, task.Body);
        Assert.True(JsonElement.DeepEquals(JsonSerializer.Deserialize<JsonElement>(kept), (await _api.GetAsync(task.Header("Location")!)).Json.GetProperty("context_json")));
    }

    [Fact]
    public async Task Texts_and_lists_of_texts_lose_the_character_that_none_holds()
    {
        var nothing = await _api.PostAsync("/api/v1/agents", """{"name":"\u0000"}""");
        var tagged = await _api.PostAsync("/api/v1/agency-tasks", """{"title":"Call\u0000 back","task_type":"call","tags":["ur\u0000gent"]}""");
        var stored = await _api.Platform.AsAsync(_api.Owner, tx => tx.SingleAsync<string>("SELECT array_to_string($1, ',')", [new[] { "a\0", "b" }], default));

        Assert.Equal((400, "validation_failed"), (nothing.Status, nothing.Code));
        Assert.Equal(("Call back", "urgent"), (tagged.Json.GetProperty("title").GetString(), tagged.Json.GetProperty("tags")[0].GetString()));
        Assert.Equal("a,b", stored);
    }

    [Fact]
    public async Task Budgets_keys_and_channels_are_changed_in_the_version_that_was_read()
    {
        var budget = await _api.SendAsync(HttpMethod.Put, "/api/v1/budgets/tenant", new { daily_budget = 5 });
        var key = $"/api/v1/keys/{_api.Tenant.ApiKeyId}";
        var channel = (await _api.PostAsync("/api/v1/channels", new { channel_type = "custom_webhook", channel_name = "Hook", outbound_enabled = false })).Header("Location")!;
        (HttpMethod Method, string Path, object? Body)[] changes =
        [
            (HttpMethod.Put, "/api/v1/budgets/tenant", new { daily_budget = 6 }), (HttpMethod.Put, $"/api/v1/agents/{_api.Tenant.AgentId}/budget", new { daily_budget = 6 }),
            (HttpMethod.Delete, $"/api/v1/budgets/{budget.Json.GetProperty("id")}", null), (HttpMethod.Delete, channel, null), (HttpMethod.Post, $"{channel}/primary", null),
            (HttpMethod.Delete, key, null),
        ];
        foreach (var (method, path, body) in changes)
        {
            Assert.Equal((path, 412), (path, (await _api.SendAsync(method, path, body, key: null, ("If-Match", "\"1\""))).Status));
        }

        Assert.Equal(200, (await _api.SendAsync(HttpMethod.Put, "/api/v1/budgets/tenant", new { daily_budget = 7 }, key: null, ("If-Match", budget.Header("ETag")!))).Status);
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, channel, body: null, key: null, ("If-Match", (await _api.GetAsync(channel)).Header("ETag")!))).Status);
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, key, body: null, key: null, ("If-Match", (await _api.GetAsync(key)).Header("ETag")!))).Status);
    }

    private Task<ApiAnswer> PostTaskAsync(string context) =>
        _api.PostAsync("/api/v1/tasks", $$"""{"task_type":"look","agent_type":"assistant","scheduled_for":"2027-01-01T00:00:00+02:00","context":{{context}}}""");

    /// <summary>One parameter at an edge a time, the others as they usually are.</summary>
    private static IEnumerable<string> Questions(string path, JsonElement operation)
    {
        var parameters = operation.TryGetProperty("parameters", out var all) ? all.EnumerateArray().Where(p => p.GetProperty("in").GetString() != "header").ToList() : [];
        foreach (var odd in parameters)
        {
            foreach (var value in Edges(odd.GetProperty("schema")))
            {
                var query = parameters.Where(p => p.GetProperty("in").GetString() == "query" && (Name(p) == Name(odd) || p.TryGetProperty("required", out var required) && required.GetBoolean()))
                    .Select(p => $"{Name(p)}={(Name(p) == Name(odd) ? value : Usual(p.GetProperty("schema")))}");
                var filled = parameters.Where(p => p.GetProperty("in").GetString() == "path")
                    .Aggregate(path, (at, p) => at.Replace($"{{{Name(p)}}}", Name(p) == Name(odd) ? value.Replace("%00", "x", StringComparison.Ordinal) : Usual(p.GetProperty("schema")), StringComparison.Ordinal));
                yield return $"{filled}?{string.Join('&', query)}";
            }
        }
    }

    private static string[] Edges(JsonElement schema) => (Format(schema), schema.GetRawText()) switch
    {
        ("date", _) => ["0001-01-01", "9999-12-31"],
        ("date-time", _) => ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z", "2026-01-01T00:00:00%2B14:00"],
        ("uuid", _) => ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
        (_, var raw) when raw.Contains("integer", StringComparison.Ordinal) => ["-9223372036854775808", "-2147483648", "-1", "0", "2147483647", "9223372036854775807"],
        (_, var raw) when raw.Contains("boolean", StringComparison.Ordinal) => [],
        _ => ["%00", "a%00b", "%ED%A0%80", "%5B%28%5C%27%22%25_", new string('9', 3000), "AAAAAAAAAAAAAAAAAAAAAA", "_____________________w"],
    };

    private static string Usual(JsonElement schema) => Format(schema) switch
    {
        "uuid" => "0197a000-0000-7000-8000-000000000000",
        "date" => "2026-01-01",
        "date-time" => "2026-01-01T00:00:00Z",
        _ => "1",
    };

    private static string? Format(JsonElement schema) => schema.TryGetProperty("format", out var format) ? format.GetString() : null;

    private static string Name(JsonElement parameter) => parameter.GetProperty("name").GetString()!;
}
