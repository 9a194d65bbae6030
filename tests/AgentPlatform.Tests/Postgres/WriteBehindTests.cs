using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using AgentPlatform.Identity;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using Microsoft.Extensions.Logging.Abstractions;

namespace AgentPlatform.Tests.Postgres;

public sealed class WriteBehindTests
{
    [Fact]
    public async Task A_part_that_cannot_be_written_is_told_and_costs_neither_the_others_nor_the_process()
    {
        using var log = new Notes(TimeProvider.System);
        log.Add("first", "broken", "last");
        await log.StartAsync(default);
        await Eventually.SeeAsync(() => Task.FromResult(log.Written.Count), count => count == 2);
        log.Add("later");
        await Eventually.SeeAsync(() => Task.FromResult(log.Written.Count), count => count == 3);

        Assert.Equal(["first", "last", "later"], log.Written);
        Assert.IsType<EncoderFallbackException>(Assert.Single(log.Failures));
        Assert.False(log.ExecuteTask!.IsCompleted);
        await log.StopAsync(default);
    }

    [Fact]
    public async Task One_tenants_request_that_the_database_refuses_leaves_the_others_in_the_log()
    {
        await using var platform = await TestPlatform.StartAsync();
        var (acme, other) = (await platform.ProvisionAsync(), await platform.ProvisionAsync("Other"));
        using var log = new RequestLog(platform.Database, TimeProvider.System, NullLogger<RequestLog>.Instance);
        await log.AddAsync(acme.TenantId, Request(acme.OwnerId, status: 42), default);
        await log.AddAsync(other.TenantId, Request(other.OwnerId, status: 200), default);

        await log.FlushAsync(default);

        Assert.Equal(other.TenantId, await platform.Postgres.ScalarAsync<Guid>("SELECT tenant_id FROM identity.api_request_logs"));
    }

    [Fact]
    public async Task A_browsers_name_that_ends_in_half_of_a_character_fails_no_request_and_is_logged()
    {
        await using var api = await TestApi.StartAsync();
        using var http = new HttpClient(new SocketsHttpHandler { RequestHeaderEncodingSelector = (_, _) => Encoding.UTF8 }) { BaseAddress = api.Http.BaseAddress };
        http.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", $"{new string('a', 511)}\U0001F600");

        using var login = await http.PostAsJsonAsync("/api/v1/auth/login", new { email = "ada@example.test", password = "x" });
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", api.Tenant.ApiKey);
        using var asked = await http.GetAsync("/api/v1/agents");
        // It is noted once the answer has left.
        var logged = await Eventually.SeeAsync(async () =>
        {
            await api.Platform.Get<RequestLog>().FlushAsync(default);
            return await api.Platform.Postgres.ScalarAsync<string>("SELECT coalesce(max(user_agent), '') FROM identity.api_request_logs");
        }, agent => agent.Length > 0);

        Assert.Equal((HttpStatusCode.Unauthorized, HttpStatusCode.OK), (login.StatusCode, asked.StatusCode));
        Assert.Equal(new string('a', 511), logged);
    }

    [Fact]
    public async Task Texts_are_cut_between_characters_and_stored_with_a_mark_for_half_of_one()
    {
        var letters = new string('a', 511);
        Assert.Equal(letters, $"{letters}\U0001F600".Clip(512));
        Assert.Equal($"{letters[1..]}\U0001F600", $"{letters[1..]}\U0001F600".Clip(512));
        Assert.Equal("a…", "a\U0001F600".Clip(2, "…"));
        await using var platform = await TestPlatform.StartAsync();
        await using var tx = platform.Database.Begin(await platform.NewTenantAsync());

        Assert.Equal("a\uFFFDb", await tx.SingleAsync<string>("SELECT $1::text", ["a\uD83D\0b"], default));
        Assert.Equal("\uFFFD\U0001F600", await tx.SingleAsync<string>("SELECT ($1::text[])[1]", [new[] { "\uDE00\U0001F600" }], default));
    }

    private static ApiRequest Request(Guid user, int status) =>
        new(TimeProvider.System.NewId(), null, user, "GET", "/api/v1/agents", status, 1, "203.0.113.7", "browser/1.0", "trace", TimeProvider.System.GetUtcNow());

    private sealed class Notes(TimeProvider clock) : WriteBehind(clock)
    {
        private readonly ConcurrentQueue<string> _pending = new();

        internal ConcurrentQueue<string> Written { get; } = new();

        internal ConcurrentQueue<Exception> Failures { get; } = new();

        internal void Add(params string[] notes) => Array.ForEach(notes, _pending.Enqueue);

        public override async Task FlushAsync(CancellationToken ct)
        {
            while (_pending.TryDequeue(out var note))
            {
                await WriteAsync(_ => note == "broken" ? throw new EncoderFallbackException() : Task.Run(() => Written.Enqueue(note), ct), ct);
            }
        }

        protected override void Failed(Exception e) => Failures.Enqueue(e);
    }
}
