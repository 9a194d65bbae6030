using System.Net.Http.Headers;
using System.Text;

namespace AgentPlatform.Tests.Api;

public sealed class ApiPipelineTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Theory]
    [InlineData("GET", "/api/v1/nothing-here", 404, "route_not_found")]
    [InlineData("GET", "/api/v1/agents/not-a-guid", 404, "route_not_found")]
    [InlineData("DELETE", "/api/v1/agents", 405, "method_not_allowed")]
    [InlineData("GET", "/api/v1/agents/0197a000-0000-7000-8000-000000000000", 404, "agent_not_found")]
    [InlineData("GET", "/api/v1/agents?limit=0", 400, "validation_failed")]
    [InlineData("GET", "/api/v1/agents?limit=abc", 400, "invalid_request")]
    [InlineData("GET", "/api/v1/agents?cursor=%27;drop", 400, "validation_failed")]
    public async Task Refusals_are_problem_details_with_a_stable_code(string method, string path, int status, string code)
    {
        var answer = await _api.SendAsync(new HttpMethod(method), path);

        Assert.Equal((status, code), (answer.Status, answer.Code));
        Assert.Equal("application/problem+json", answer.Header("Content-Type"));
        Assert.Equal(status, answer.Json.GetProperty("status").GetInt32());
        Assert.Equal(answer.Header("X-Request-Id"), answer.Json.GetProperty("request_id").GetString());
    }

    [Fact]
    public async Task A_parameter_of_the_wrong_form_is_named()
    {
        var answer = await _api.GetAsync("/api/v1/agents?limit=abc");

        Assert.Equal("\"abc\" cannot be read as limit.", answer.Json.GetProperty("detail").GetString());
    }

    [Theory]
    [InlineData("{\"name\": ", 400, "invalid_json")]
    [InlineData("{\"name\": 5}", 400, "invalid_json")]
    [InlineData("{\"name\":\"a\",\"name\":\"b\"}", 400, "invalid_json")]
    [InlineData("[]", 400, "invalid_json")]
    [InlineData("", 400, "invalid_request")]
    [InlineData("{}", 400, "validation_failed")]
    public async Task A_body_that_is_not_the_expected_JSON_is_a_400(string body, int status, string code)
    {
        var answer = await _api.PostAsync("/api/v1/agents", body);

        Assert.Equal((status, code), (answer.Status, answer.Code));
        Assert.DoesNotContain("AgentPlatform.", answer.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bytes_that_are_not_utf8_are_a_400()
    {
        using var content = new ByteArrayContent([.. "{\"name\":\""u8, 0xC3, 0x28, .. "\"}"u8]);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");

        var answer = await _api.SendAsync(HttpMethod.Post, "/api/v1/agents", content, key: null);

        Assert.Equal((400, "invalid_utf8"), (answer.Status, answer.Code));
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("application/json; charset=iso-8859-1")]
    public async Task Another_content_type_is_a_415(string contentType)
    {
        using var content = new StringContent("{\"name\":\"a\"}", Encoding.UTF8);
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(contentType);

        var answer = await _api.SendAsync(HttpMethod.Post, "/api/v1/agents", content, key: null);

        Assert.Equal((415, "unsupported_media_type"), (answer.Status, answer.Code));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_body_over_the_limit_is_a_413_whether_or_not_it_announces_its_length(bool announced)
    {
        using var content = new StringContent($"{{\"name\":\"{new string('x', 1024 * 1024)}\"}}", Encoding.UTF8, "application/json");
        using HttpContent sent = announced ? content : new Chunked(await content.ReadAsStreamAsync());

        var answer = await _api.SendAsync(HttpMethod.Post, "/api/v1/agents", sent, key: null);

        Assert.Equal((413, "payload_too_large"), (answer.Status, answer.Code));
    }

    [Fact]
    public async Task What_looks_like_an_injection_stays_text()
    {
        const string Name = "'); DROP TABLE tenancy.agents; -- {{7*7}} \r\nX-Evil: 1 <b>";

        var created = await _api.PostAsync("/api/v1/agents", new { name = Name });

        Assert.Equal(201, created.Status);
        Assert.Equal(Name, (await _api.GetAsync(created.Header("Location")!)).Json.GetProperty("name").GetString());
        Assert.Null(created.Header("X-Evil"));
    }

    [Fact]
    public async Task A_request_keeps_the_clients_id_and_trace()
    {
        var answer = await _api.SendAsync(
            HttpMethod.Get, "/api/v1/agents", body: null, key: null,
            ("X-Request-Id", "order-17"), ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));

        Assert.Equal("order-17", answer.Header("X-Request-Id"));
        Assert.StartsWith("00-0af7651916cd43dd8448eb211c80319c-", answer.Header("traceparent"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failure_of_ours_is_a_500_that_says_nothing_of_its_inside()
    {
        await using var broken = await TestApi.StartAsync();
        await broken.Platform.Postgres.ScalarAsync<object>("SELECT 1; ALTER TABLE tenancy.agents RENAME TO agents_gone");

        var answer = await broken.GetAsync("/api/v1/agents");

        Assert.Equal((500, "internal_error"), (answer.Status, answer.Code));
        Assert.DoesNotContain("tenancy", answer.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pages_follow_their_cursor_newest_first_until_the_end()
    {
        foreach (var i in Enumerable.Range(1, 4))
        {
            await _api.PostAsync("/api/v1/agents", new { name = $"Agent {i}" });
        }

        var names = new List<string>();
        for (string? cursor = "", query = ""; cursor is not null; query = $"&cursor={cursor}")
        {
            var page = (await _api.GetAsync($"/api/v1/agents?limit=2{query}")).Json;
            names.AddRange(page.GetProperty("items").EnumerateArray().Select(a => a.GetProperty("name").GetString()!));
            cursor = page.GetProperty("next_cursor").GetString();
        }

        Assert.Equal(["Agent 4", "Agent 3", "Agent 2", "Agent 1", "Assistant"], names);
    }

    [Fact]
    public async Task An_unchanged_resource_is_a_304_and_a_change_of_an_old_version_a_412()
    {
        var path = (await _api.PostAsync("/api/v1/agents", new { name = "Ada" })).Header("Location")!;
        var first = (await _api.GetAsync(path)).Header("ETag")!;

        Assert.Equal(304, (await _api.SendAsync(HttpMethod.Get, path, body: null, key: null, ("If-None-Match", first))).Status);
        Assert.Equal(200, (await _api.SendAsync(HttpMethod.Patch, path, new { description = "new" }, key: null, ("If-Match", first))).Status);
        var stale = await _api.SendAsync(HttpMethod.Patch, path, new { description = "newer" }, key: null, ("If-Match", first));

        Assert.Equal((412, "precondition_failed"), (stale.Status, stale.Code));
        Assert.Equal("new", (await _api.GetAsync(path)).Json.GetProperty("description").GetString());
    }

    private sealed class Chunked(Stream body) : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, System.Net.TransportContext? context)
        {
            Headers.ContentType = new MediaTypeHeaderValue("application/json");
            return body.CopyToAsync(stream);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
