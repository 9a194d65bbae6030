using System.Net;
using System.Runtime.Versioning;
using System.Text.Json;
using AgentPlatform.LocalHost;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Tests.LocalHost;

public sealed class HostKeysTests : IAsyncLifetime
{
    private LocalHostApp _app = null!;

    public async Task InitializeAsync() => _app = await LocalHostApp.StartAsync(new(typeof(Guarded)));

    public async Task DisposeAsync() => await _app.DisposeAsync();

    [Theory]
    [InlineData("open", null, 200)]
    [InlineData("guarded", null, 401)]
    [InlineData("guarded", "wrong", 401)]
    [InlineData("guarded", "function:Guarded", 200)]
    [InlineData("guarded", "default", 200)]
    [InlineData("guarded", "_master", 200)]
    [InlineData("guarded", "function:Other", 401)]
    [InlineData("admin-only", null, 401)]
    [InlineData("admin-only", "default", 401)]
    [InlineData("admin-only", "function:Guarded", 401)]
    [InlineData("admin-only", "_master", 200)]
    [InlineData("admin/functions", null, 401)]
    [InlineData("admin/functions", "default", 401)]
    [InlineData("admin/functions", "_master", 200)]
    [InlineData("admin/host/status", null, 401)]
    [InlineData("admin/host/status", "_master", 200)]
    public async Task A_level_admits_its_own_keys_and_the_higher_ones(string path, string? keyName, int status)
    {
        var key = keyName is null ? null : _app.Keys().GetValueOrDefault(keyName, keyName);
        using var byHeader = new HttpRequestMessage(HttpMethod.Get, path);
        byHeader.Headers.Add("x-functions-key", key);

        using var header = await _app.Client.SendAsync(byHeader);
        using var query = await _app.Client.GetAsync($"{path}?code={key}");

        Assert.Equal((HttpStatusCode)status, header.StatusCode);
        Assert.Equal((HttpStatusCode)status, query.StatusCode);
    }

    [Fact]
    [UnsupportedOSPlatform("windows")]
    public async Task The_database_holds_hashes_and_only_the_owner_may_read_the_file()
    {
        var keys = _app.Keys().Values.ToArray();

        Assert.Equal(4, keys.Distinct().Count());
        Assert.All(keys, key => Assert.True(key.Length >= 43));
        var stored = await _app.Database.ScalarAsync<string>("SELECT string_agg(t::text, ' ') FROM localhost.keys AS t");
        Assert.All(keys, key => Assert.DoesNotContain(key, stored));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_app.Root, "keys.json")));
    }

    [Fact]
    public async Task A_restart_keeps_the_keys_and_writes_no_others()
    {
        var before = _app.Keys();
        File.Delete(Path.Combine(_app.Root, "keys.json"));

        await using var again = await LocalHostApp.StartAsync(new(typeof(Guarded)) { Database = _app.Database, Root = _app.Root });

        Assert.False(File.Exists(Path.Combine(_app.Root, "keys.json")));
        using var response = await again.Client.GetAsync($"guarded?code={before["function:Guarded"]}");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task A_function_added_later_gets_a_key_beside_the_others()
    {
        var before = _app.Keys();

        await using var again = await LocalHostApp.StartAsync(new(typeof(Guarded), typeof(Added)) { Database = _app.Database, Root = _app.Root });

        var after = again.Keys();
        Assert.All(before, key => Assert.Equal(key.Value, after[key.Key]));
        using var response = await again.Client.GetAsync($"added?code={after["function:Added"]}");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Two_hosts_that_start_together_agree_on_the_keys()
    {
        await using var database = await TestDatabase.CreateEmptyAsync();
        var hosts = await Task.WhenAll(
            Enumerable.Range(0, 3).Select(_ => LocalHostApp.StartAsync(new(typeof(Guarded)) { Database = database, Root = _app.Root })));

        var master = _app.Keys()["_master"];
        foreach (var host in hosts)
        {
            using var response = await host.Client.GetAsync($"admin/functions?code={master}");
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            await host.DisposeAsync();
        }
    }

    [Fact]
    public async Task Keys_never_appear_in_logs()
    {
        using var log = new RecordingLog();
        await using var app = await LocalHostApp.StartAsync(
            new(typeof(Guarded)) { Configure = builder => builder.Logging.AddProvider(log).SetMinimumLevel(LogLevel.Trace) });
        var keys = app.Keys();
        using var response = await app.Client.GetAsync($"guarded?code={keys["default"]}");

        Assert.Contains("keys.json", log.Text);
        Assert.All(keys.Values, key => Assert.DoesNotContain(key, log.Text));
        Assert.All(keys.Values, key => Assert.DoesNotContain(key, app.Output));
    }

    [Fact]
    public async Task Admin_functions_lists_every_function_with_its_trigger()
    {
        var list = JsonDocument.Parse(await _app.Client.GetStringAsync($"admin/functions?code={_app.Keys()["_master"]}")).RootElement;

        var guarded = list.EnumerateArray().Single(f => f.GetProperty("name").GetString() == "Guarded");
        var binding = guarded.GetProperty("config").GetProperty("bindings")[0];
        Assert.Equal(("httpTrigger", "function", "guarded"), (Text(binding, "type"), Text(binding, "authLevel"), Text(binding, "route")));
        Assert.Equal(new Uri(_app.Client.BaseAddress!, "guarded").ToString(), Text(guarded, "invoke_url_template").Replace("127.0.0.1", "localhost"));
        Assert.Equal(4, list.GetArrayLength());
    }

    private static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;

    public sealed class Guarded
    {
        [Function("Open")]
        public string Open([HttpTrigger(AuthorizationLevel.Anonymous, Route = "open")] HttpRequest request) => "open";

        [Function("Guarded")]
        public string Own([HttpTrigger(AuthorizationLevel.Function, Route = "guarded")] HttpRequest request) => "guarded";

        [Function("Other")]
        public string Other([HttpTrigger(Route = "other")] HttpRequest request) => "other";

        [Function("AdminOnly")]
        public string Admin([HttpTrigger(AuthorizationLevel.Admin, Route = "admin-only")] HttpRequest request) => "admin";
    }

    public sealed class Added
    {
        [Function("Added")]
        public string Own([HttpTrigger(AuthorizationLevel.Function, Route = "added")] HttpRequest request) => "added";
    }
}
