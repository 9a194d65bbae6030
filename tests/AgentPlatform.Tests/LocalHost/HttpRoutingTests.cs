using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using AgentPlatform.LocalHost;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;

namespace AgentPlatform.Tests.LocalHost;

public sealed class HttpRoutingTests : IAsyncLifetime
{
    private LocalHostApp _app = null!;

    public async Task InitializeAsync() => _app = await LocalHostApp.StartAsync(new(typeof(Routes), typeof(ReturnTypes)));

    public async Task DisposeAsync() => await _app.DisposeAsync();

    [Theory]
    [InlineData("GET", "things/7", "thing 7")]
    [InlineData("DELETE", "things/7", "deleted 7")]
    [InlineData("GET", "things/seven", "named seven")]
    [InlineData("GET", "things/special", "special")]
    [InlineData("PATCH", "anywhere/a/b%20c/d", "PATCH a/b c/d")]
    [InlineData("GET", "anywhere", "GET ")]
    [InlineData("GET", "NoRoute", "by name")]
    [InlineData("POST", "noroute", "by name")]
    public async Task A_request_reaches_the_function_of_its_route_and_method(string method, string path, string answer)
    {
        using var response = await _app.Client.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(answer, await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("PUT", "things/7")]
    [InlineData("HEAD", "things/7")]
    [InlineData("GET", "nowhere")]
    [InlineData("GET", "things/7/more")]
    public async Task What_no_function_takes_is_not_found_whatever_the_method(string method, string path)
    {
        using var response = await _app.Client.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    [Theory]
    [InlineData("returns/result", 201, "\"made\"")]
    [InlineData("returns/action", 202, "{\"name\":\"x\"}")]
    [InlineData("returns/text", 200, "plain")]
    [InlineData("returns/object", 200, "{\"name\":\"x\"}")]
    [InlineData("returns/valuetask", 200, "later")]
    [InlineData("returns/nothing", 200, "")]
    [InlineData("returns/task", 200, "")]
    [InlineData("returns/written", 418, "teapot")]
    public async Task What_a_function_returns_becomes_the_response(string path, int status, string body)
    {
        using var response = await _app.Client.GetAsync(path);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal(body, await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Routes_begin_with_the_prefix_of_host_json_which_is_api_when_absent()
    {
        await using var app = await LocalHostApp.StartAsync(new(typeof(Routes)) { HostJson = "{}" });

        Assert.Equal("thing 7", await app.Client.GetStringAsync("api/things/7"));
        using var without = await app.Client.GetAsync("things/7");
        Assert.Equal(HttpStatusCode.NotFound, without.StatusCode);
    }

    [Fact]
    public async Task A_setting_overrides_host_json_as_on_Azure()
    {
        await using var app = await LocalHostApp.StartAsync(
            new(typeof(Routes)) { Settings = [("AzureFunctionsJobHost:extensions:http:routePrefix", "v2/")] });

        Assert.Equal("thing 7", await app.Client.GetStringAsync("v2/things/7"));
    }

    [Fact]
    public async Task A_request_body_arrives_whole()
    {
        using var response = await _app.Client.PostAsJsonAsync("echo", new { text = new string('x', 200_000) });

        var echoed = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal(200_000, echoed.GetProperty("text").GetString()!.Length);
    }

    public sealed class Routes
    {
        [Function("GetThing")]
        public string Get([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "things/{id:int}")] HttpRequest request, int id) => $"thing {id}";

        [Function("DeleteThing")]
        public string Delete([HttpTrigger(AuthorizationLevel.Anonymous, "delete", Route = "things/{id:int}")] HttpRequest request, int id) => $"deleted {id}";

        [Function("NamedThing")]
        public string Named([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "things/{name:regex(^[a-z]+$)}")] HttpRequest request, string name) => $"named {name}";

        [Function("SpecialThing")]
        public string Special([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "things/special")] HttpRequest request) => "special";

        [Function("Anywhere")]
        public string Anywhere([HttpTrigger(AuthorizationLevel.Anonymous, Route = "anywhere/{*path}")] HttpRequest request, string? path) => $"{request.Method} {path}";

        [Function("NoRoute")]
        public string NoRoute([HttpTrigger(AuthorizationLevel.Anonymous)] HttpRequest request) => "by name";

        [Function("Echo")]
        public async Task<IResult> EchoAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "echo")] HttpRequest request, CancellationToken ct) =>
            TypedResults.Json(await request.ReadFromJsonAsync<JsonElement>(ct));
    }

    public sealed class ReturnTypes
    {
        [Function("ReturnsResult")]
        public IResult Result([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "returns/result")] HttpRequest request) => TypedResults.Created("/made", "made");

        [Function("ReturnsAction")]
        public async Task<IActionResult> ActionAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "returns/action")] HttpRequest request)
        {
            await Task.Yield();
            return new AcceptedResult("/later", new { name = "x" });
        }

        [Function("ReturnsText")]
        public string Text([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "returns/text")] HttpRequest request) => "plain";

        [Function("ReturnsObject")]
        public Named Record([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "returns/object")] HttpRequest request) => new("x");

        [Function("ReturnsValueTask")]
        public async ValueTask<string> ValueTaskAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "returns/valuetask")] HttpRequest request)
        {
            await Task.Yield();
            return "later";
        }

        [Function("ReturnsNothing")]
        public void Nothing([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "returns/nothing")] HttpRequest request) => Assert.NotNull(request);

        [Function("ReturnsTask")]
        public async Task TaskAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "returns/task")] HttpRequest request) => await Task.Yield();

        [Function("ReturnsWritten")]
        public async Task<IResult> WrittenAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "returns/written")] HttpRequest request)
        {
            request.HttpContext.Response.StatusCode = 418;
            await request.HttpContext.Response.WriteAsync("teapot");
            return Results.Empty;
        }

        public sealed record Named(string Name);
    }
}
