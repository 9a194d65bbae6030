using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Api;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Api;

/// <summary>What linters of OpenAPI documents ask for, and what the guide promises of every operation.</summary>
public sealed partial class OpenApiTests : IAsyncLifetime
{
    private TestApi _api = null!;
    private JsonElement _document;

    public async Task InitializeAsync()
    {
        _api = await TestApi.StartAsync();
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
        Assert.Empty(operations.Where(o => !o.Operation.GetProperty("responses").GetProperty("401").GetProperty("content").TryGetProperty("application/problem+json", out _)).Select(o => o.Name));
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

    private IEnumerable<(string Name, JsonElement Operation)> Operations() =>
        from path in _document.GetProperty("paths").EnumerateObject()
        from operation in path.Value.EnumerateObject()
        where operation.Name != "parameters"
        select ($"{operation.Name} {path.Name}", operation.Value);

    [GeneratedRegex("^[a-z][A-Za-z]+$")]
    private static partial Regex OperationId();

    [GeneratedRegex("^[a-z][a-z0-9_]*$")]
    private static partial Regex SnakeCase();
}
