using System.Net.Http.Headers;
using AgentPlatform.Conversations.Drafts;
using AgentPlatform.Events;
using AgentPlatform.Events.Live;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging.Abstractions;

namespace AgentPlatform.Tests.Events;

public sealed class EventStreamTests : IAsyncLifetime
{
    private readonly Guid _conversation = TimeProvider.System.NewId();
    private TestApi _api = null!;

    private Actor Tenant => Actor.System(_api.Tenant.TenantId);

    public async Task InitializeAsync()
    {
        _api = await TestApi.StartAsync(settings: [("Events:Heartbeat", "00:00:00.3"), ("Events:Poll", "00:00:00.3")]);
        await _api.Platform.Postgres.ScalarAsync<object>(
            "INSERT INTO conversations.conversations (tenant_id, id, channel, participant_identifier) VALUES ($1, $2, 'console', 'x') RETURNING id",
            _api.Tenant.TenantId, _conversation);
    }

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("mk-event-stream")]
    public async Task A_conversations_stream_brings_each_event_as_it_is_stored()
    {
        await AppendAsync("before");
        await using var stream = await OpenAsync($"/api/v1/conversations/{_conversation}/stream");
        await AppendAsync("message.received", new { text = "line one\nline two" });
        await AppendAsync("elsewhere", aggregate: TimeProvider.System.NewId());
        await AppendAsync("turn.started");

        var (first, second) = (await stream.NextAsync(), await stream.NextAsync());

        Assert.Equal(("2", "message.received"), (first.Id, first.Event));
        Assert.Equal("line one\nline two", Json.Of(System.Text.Json.JsonDocument.Parse(first.Data).RootElement).GetProperty("payload").GetProperty("text").GetString());
        Assert.Equal(("3", "turn.started"), (second.Id, second.Event));
    }

    [Fact]
    [Behaviour("yp-event-listener")]
    public async Task A_stream_hears_of_an_event_at_once_without_looking_for_it()
    {
        await using var api = await TestApi.StartAsync(settings: [("Events:Poll", "00:10:00")]);
        await using var stream = await OpenAsync("/api/v1/events/stream?types=e.", api);
        await Eventually.SeeAsync(() => Task.FromResult(api.Platform.Get<EventListener>().IsListening), listening => listening);

        foreach (var i in Enumerable.Range(1, 3))
        {
            await AppendAsync($"e.{i}", api: api, type: "order");
            Assert.Equal($"e.{i}", (await stream.NextAsync()).Event);
        }
    }

    [Fact]
    [Behaviour("yp-event-listener")]
    public async Task A_stream_finds_an_event_that_was_never_announced()
    {
        await _api.Platform.Postgres.ScalarAsync<object>("SELECT 1; ALTER TABLE events.events DISABLE TRIGGER on_event_created");
        await using var stream = await OpenAsync("/api/v1/events/stream?types=e.");

        await _api.Platform.Postgres.ScalarAsync<Guid>(
            """
            INSERT INTO events.events (tenant_id, id, event_type, aggregate_type, aggregate_id, payload)
            VALUES ($1, gen_random_uuid(), 'e.1', 'order', gen_random_uuid(), '{}') RETURNING id
            """,
            _api.Tenant.TenantId);

        Assert.Equal("e.1", (await stream.NextAsync()).Event);
    }

    [Fact]
    public async Task Between_the_events_of_a_conversation_come_drafts_of_its_reply_without_an_id_until_their_turn_is_over()
    {
        await AppendAsync("before");
        await using var stream = await OpenAsync($"/api/v1/conversations/{_conversation}/stream");
        await Eventually.SeeAsync(() => Task.FromResult(_api.Platform.Get<EventListener>().IsListening), listening => listening);
        var drafts = _api.Platform.Get<ReplyDrafts>();
        Assert.True(await Eventually.SeeAsync(() => drafts.AreSeenAsync(Tenant, _conversation, default), seen => seen));
        var (turn, next) = (TimeProvider.System.NewId(), TimeProvider.System.NewId());

        await drafts.ShowAsync(Tenant, TimeProvider.System.NewId(), new ReplyDraft(turn, 1, "of another conversation"), default);
        await drafts.ShowAsync(Tenant, _conversation, new ReplyDraft(turn, 1, "Half a"), default);
        var draft = await stream.NextAsync();
        await AppendAsync("model.called", new { turn_id = turn });
        var called = await stream.NextAsync();
        await drafts.ShowAsync(Tenant, _conversation, new ReplyDraft(turn, 1, "Half a sentence that comes late"), default);
        await drafts.ShowAsync(Tenant, _conversation, new ReplyDraft(next, 1, new string('x', 9_000)), default);
        await drafts.WithdrawAsync(Tenant, _conversation, next, 1, default);

        Assert.Equal(("", "reply.draft", $"{{\"turn_id\":\"{turn}\",\"attempt\":1,\"text\":\"Half a\"}}"), (draft.Id, draft.Event, draft.Data));
        Assert.Equal("model.called", called.Event);
        Assert.Equal("reply.withdrawn", (await stream.NextAsync()).Event);
        Assert.Equal(1, (await HealthAsync("conversations_followed")));
    }

    [Fact]
    public async Task Who_has_gone_is_no_longer_counted_and_soon_forgotten()
    {
        var followers = _api.Platform.Get<ConversationFollowers>();
        await followers.Begin(Tenant, _conversation).StayAsync(default);
        Assert.Equal((1, 0), (await HealthAsync("conversations_followed"), await followers.PruneAsync(default)));

        await _api.Platform.Postgres.ScalarAsync<long>("WITH gone AS (UPDATE conversations.conversation_followers SET followed_until = now() - interval '25 hours' RETURNING 1) SELECT count(*) FROM gone");

        Assert.False(await _api.Platform.Get<ReplyDrafts>().AreSeenAsync(Tenant, _conversation, default));
        Assert.Equal((0, 1), (await HealthAsync("conversations_followed"), await followers.PruneAsync(default)));
    }

    [Fact]
    public async Task A_stream_goes_on_when_the_listening_connection_is_lost()
    {
        await using var stream = await OpenAsync("/api/v1/events/stream?types=e.");
        await Eventually.SeeAsync(() => Task.FromResult(_api.Platform.Get<EventListener>().IsListening), listening => listening);
        await _api.Platform.Postgres.ScalarAsync<object>(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN agent_events'");

        await AppendAsync("e.1");

        Assert.Equal("e.1", (await stream.NextAsync()).Event);
    }

    [Fact]
    public async Task Streams_end_when_the_host_stops()
    {
        var host = new ApplicationLifetime(NullLogger<ApplicationLifetime>.Instance);
        await using var api = await TestApi.StartAsync(services => services.AddSingleton<IHostApplicationLifetime>(host));
        await using var stream = await OpenAsync("/api/v1/events/stream", api);

        host.StopApplication();

        Assert.True(await stream.EndsAsync());
        Assert.True(await Eventually.SeeAsync(() => Task.FromResult(!api.Platform.Get<EventListener>().HasSubscribers), none => none));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_stream_resumes_after_the_last_event_its_client_saw(bool byHeader)
    {
        foreach (var i in Enumerable.Range(1, 4))
        {
            await AppendAsync($"e.{i}");
        }

        await using var stream = byHeader
            ? await OpenAsync($"/api/v1/conversations/{_conversation}/stream", ("Last-Event-ID", "2"))
            : await OpenAsync($"/api/v1/conversations/{_conversation}/stream?after=2");

        Assert.Equal(["e.3", "e.4"], [(await stream.NextAsync()).Event, (await stream.NextAsync()).Event]);
    }

    [Fact]
    public async Task The_tenants_stream_loses_no_event_of_a_transaction_that_commits_late()
    {
        await using var stream = await OpenAsync("/api/v1/events/stream?types=e.&types=late");
        await using var late = _api.Platform.Database.Begin(Tenant);
        var (store, other) = (_api.Platform.Get<EventStore>(), TimeProvider.System.NewId());
        store.Append(late, new NewEvent("late", "other", other, new { }));
        Assert.Single(await store.ReplayAsync(late, "other", other, CancellationToken.None));
        await AppendAsync("e.1");
        await AppendAsync("unwanted");
        await late.CommitAsync(CancellationToken.None);

        var seen = new[] { await stream.NextAsync(), await stream.NextAsync() };

        Assert.Equal(["late", "e.1"], seen.Select(e => e.Event));
        await using var again = await OpenAsync("/api/v1/events/stream?types=e.&types=late", ("Last-Event-ID", seen[0].Id));
        Assert.Equal("e.1", (await again.NextAsync()).Event);
    }

    [Fact]
    public async Task Another_tenants_events_are_not_on_the_stream_and_its_conversation_is_not_found()
    {
        var other = await _api.Platform.ProvisionAsync("Other");
        await AppendAsync("mine");
        await using var stream = await OpenAsync("/api/v1/events/stream?types=e.");
        await AppendAsync("e.theirs", aggregate: other.AgentId, actor: Actor.System(other.TenantId));
        await AppendAsync("e.mine");

        Assert.Equal("e.mine", (await stream.NextAsync()).Event);
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/conversations/{_conversation}/stream", other.ApiKey)).Status);
    }

    [Fact]
    [Behaviour("mk-rls-isolation")]
    public async Task What_happens_in_a_private_conversation_is_seen_by_its_user_alone()
    {
        var colleague = await _api.KeyAsync("admin");
        await AppendAsync("e.private");
        Assert.Equal(1, await CountAsync(colleague));
        await _api.Platform.Postgres.ScalarAsync<object>("UPDATE conversations.conversations SET shared = false, user_id = $1 RETURNING id", _api.Tenant.OwnerId);

        await using var stream = await OpenAsync("/api/v1/events/stream?types=e.&after=0.0", _api, colleague);
        await AppendAsync("e.public", aggregate: _api.Tenant.AgentId, type: "agent");

        Assert.Equal("e.public", (await stream.NextAsync()).Event);
        Assert.Equal((1, 0), (await CountAsync(_api.Tenant.ApiKey), await CountAsync(colleague)));
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/events/history/conversation/{_conversation}", colleague)).Status);
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/conversations/{_conversation}/stream", colleague)).Status);
    }

    [Fact]
    public async Task A_silent_stream_shows_signs_of_life()
    {
        await AppendAsync("before");
        await using var stream = await OpenAsync($"/api/v1/conversations/{_conversation}/stream");

        Assert.Equal(": heartbeat", await stream.NextCommentAsync());
    }

    [Fact]
    public async Task A_stream_ends_after_its_time_so_that_the_client_shows_its_key_again()
    {
        await using var api = await TestApi.StartAsync(settings: [("Events:MaxStreamAge", "00:00:00.5")]);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/v1/events/stream");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", api.Tenant.ApiKey);
        using var response = await api.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);

        Assert.StartsWith("retry: 2000\nid: ", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/api/v1/events/stream?after=yesterday")]
    [InlineData("/api/v1/events/stream?after=1.2.3")]
    public async Task A_place_that_no_stream_gave_out_is_a_400(string path) => Assert.Equal("validation_failed", (await _api.GetAsync(path)).Code);

    private async Task<int> CountAsync(string key) =>
        (await _api.GetAsync("/api/v1/events?event_type=e.*&aggregate_type=conversation", key)).Json.GetProperty("items").GetArrayLength();

    private async Task<int> HealthAsync(string fact) => (await _api.GetAsync("/api/v1/operations/health")).Json.GetProperty("facts").EnumerateArray()
        .Single(f => f.GetProperty("name").GetString() == fact).GetProperty("count").GetInt32();

    private Task AppendAsync(
        string name, object? payload = null, Guid? aggregate = null, Actor? actor = null, TestApi? api = null, string type = "conversation") =>
        (api ?? _api).Platform.AsAsync(actor ?? Actor.System((api ?? _api).Tenant.TenantId), tx =>
        {
            (api ?? _api).Platform.Get<EventStore>().Append(tx, new NewEvent(name, type, aggregate ?? _conversation, payload ?? new { }));
            return Task.CompletedTask;
        });

    private Task<SseReader> OpenAsync(string path, params (string Name, string Value)[] headers) => SseReader.OpenAsync(_api, path, null, headers);

    private static Task<SseReader> OpenAsync(string path, TestApi api, string? key = null) => SseReader.OpenAsync(api, path, key);
}
