using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using AgentPlatform.LocalHost;

namespace AgentPlatform.Tests.LocalHost.Durable;

/// <summary>The management endpoints, by the addresses that the client gives out.</summary>
public sealed class ManagementTests : IAsyncLifetime
{
    private DurableApp _app = null!;

    private HttpClient Http => _app.App.Client;

    public async Task InitializeAsync() => _app = await DurableApp.StartAsync(functions: [typeof(Activities), typeof(Orchestrators), typeof(Starter)]);

    public async Task DisposeAsync() => await _app.DisposeAsync();

    [Fact]
    public async Task A_function_starts_an_orchestration_and_hands_out_its_addresses()
    {
        var urls = (await Http.GetFromJsonAsync<JsonObject>("start/Ada"))!;
        var id = urls["id"]!.GetValue<string>();
        await _app.EndAsync(id);
        var status = (await Http.GetFromJsonAsync<JsonObject>(urls["statusQueryGetUri"]!.GetValue<string>()))!;

        Assert.Equal("Completed", status["runtimeStatus"]!.GetValue<string>());
        Assert.Equal("Greet", status["name"]!.GetValue<string>());
        Assert.Equal("Ada", status["input"]![0]!.GetValue<string>());
        Assert.Equal("Hello, Ada!", status["output"]![0]!.GetValue<string>());
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", status["createdTime"]!.GetValue<string>());
    }

    [Fact]
    public async Task Without_the_key_nothing_is_told()
    {
        var id = await _app.StartAsync("Approve", TimeSpan.FromDays(1));
        foreach (var path in new[] { $"/runtime/webhooks/durabletask/instances/{id}", "/runtime/webhooks/durabletask/instances" })
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await Http.GetAsync(path)).StatusCode);
            Assert.Equal(HttpStatusCode.Unauthorized, (await Http.GetAsync($"{path}?code={_app.App.Keys()["default"]}")).StatusCode);
            Assert.True((await Http.GetAsync($"{path}?code={_app.App.Keys()["_master"]}")).IsSuccessStatusCode);
        }
    }

    [Fact]
    public async Task A_running_instance_is_steered_by_its_addresses()
    {
        var id = await _app.StartAsync("Approve", TimeSpan.FromDays(1));
        var urls = _app.Client.CreateHttpManagementPayload(id);
        await _app.Client.WaitForInstanceStartAsync(id);
        var running = await Http.GetAsync(urls.StatusQueryGetUri);
        await PostAsync(urls.SuspendPostUri, HttpStatusCode.Accepted);
        await _app.SeeAsync(id, i => i.RuntimeStatus == OrchestrationRuntimeStatus.Suspended);
        await PostAsync(urls.ResumePostUri, HttpStatusCode.Accepted);
        await PostAsync(urls.SendEventPostUri.Replace("{eventName}", "approval"), HttpStatusCode.BadRequest, "no json");
        await PostAsync(urls.SendEventPostUri.Replace("{eventName}", "approval"), HttpStatusCode.Accepted, "  \"yes\" ");

        Assert.Equal(HttpStatusCode.Accepted, running.StatusCode);
        Assert.Equal(urls.StatusQueryGetUri, running.Headers.Location!.ToString());
        Assert.Equal("yes", (await _app.EndAsync(id)).ReadOutputAs<string>());
        await PostAsync(urls.SendEventPostUri.Replace("{eventName}", "approval"), HttpStatusCode.Gone, "\"late\"");
        await PostAsync(urls.RewindPostUri, HttpStatusCode.Gone);
        await PostAsync(urls.RestartPostUri, HttpStatusCode.Accepted);
        await PostAsync(urls.TerminatePostUri, HttpStatusCode.Accepted);
        Assert.Equal(OrchestrationRuntimeStatus.Terminated, (await _app.EndAsync(id)).RuntimeStatus);
        Assert.Equal(HttpStatusCode.OK, (await Http.DeleteAsync(urls.PurgeHistoryDeleteUri)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await Http.GetAsync(urls.StatusQueryGetUri)).StatusCode);
        await PostAsync(urls.TerminatePostUri, HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task Instances_are_started_listed_and_purged_over_http()
    {
        var root = "/runtime/webhooks/durabletask";
        var code = $"code={_app.App.Keys()["durabletask_extension"]}";
        await PostAsync($"{root}/orchestrators/Greet/http-1?{code}", HttpStatusCode.Accepted, """["Ada"]""");
        await PostAsync($"{root}/orchestrators/ThrowItself/http-2?{code}", HttpStatusCode.Accepted);
        await PostAsync($"{root}/orchestrators/NobodyKnows?{code}", HttpStatusCode.BadRequest);
        await _app.EndAsync("http-1");
        await _app.EndAsync("http-2");

        var first = await Http.GetAsync($"{root}/instances?{code}&top=1");
        var token = first.Headers.GetValues("x-ms-continuation-token").Single();
        using var next = new HttpRequestMessage(HttpMethod.Get, $"{root}/instances?{code}&top=1") { Headers = { { "x-ms-continuation-token", token } } };
        var second = (await (await Http.SendAsync(next)).Content.ReadFromJsonAsync<JsonArray>())!;
        var failed = (await Http.GetFromJsonAsync<JsonArray>($"{root}/instances?{code}&runtimeStatus=Failed&instanceIdPrefix=http"))!;

        Assert.Equal("http-1", (await first.Content.ReadFromJsonAsync<JsonArray>())!.Single()!["instanceId"]!.GetValue<string>());
        Assert.Equal("http-2", second.Single()!["instanceId"]!.GetValue<string>());
        Assert.Contains("at once", failed.Single()!["output"]!.GetValue<string>());
        Assert.Equal(HttpStatusCode.InternalServerError, (await Http.GetAsync($"{root}/instances/http-2?{code}&returnInternalServerErrorOnFailure=true")).StatusCode);
        Assert.Equal(HttpStatusCode.BadRequest, (await Http.GetAsync($"{root}/instances?{code}&runtimeStatus=Odd")).StatusCode);
        Assert.Equal(HttpStatusCode.BadRequest, (await Http.DeleteAsync($"{root}/instances?{code}")).StatusCode);
        var purged = await (await Http.DeleteAsync($"{root}/instances?{code}&createdTimeFrom=2020-01-01T00:00:00Z")).Content.ReadFromJsonAsync<JsonObject>();
        Assert.Equal(2, purged!["instancesDeleted"]!.GetValue<int>());
    }

    private async Task PostAsync(string url, HttpStatusCode expected, string body = "")
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        var response = await Http.PostAsync(url, content);
        Assert.True(response.StatusCode == expected, $"{url}: {response.StatusCode}");
    }

    private static class Starter
    {
        [Function("Start")]
        public static async Task<HttpManagementPayload> Start(
            [HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "start/{name}")] Microsoft.AspNetCore.Http.HttpRequest request, string name,
            [DurableClient] DurableTaskClient client)
        {
            var id = await client.ScheduleNewOrchestrationInstanceAsync("Greet", new[] { name });
            return client.CreateHttpManagementPayload(id);
        }
    }
}
