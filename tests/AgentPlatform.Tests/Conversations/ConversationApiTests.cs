using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Conversations;

public sealed class ConversationApiTests : IAsyncLifetime
{
    private TestApi _api = null!;
    private string _contact = "";

    public async Task InitializeAsync()
    {
        _api = await TestApi.StartAsync();
        _contact = (await _api.PostAsync("/api/v1/contacts", new { phone_number = "+14155550100" })).Json.GetProperty("id").GetString()!;
    }

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("mk-conversation-store")]
    public async Task An_operators_conversation_keeps_its_document_title_and_owner()
    {
        Assert.Equal((400, "validation_failed"), await ProblemAsync(_api.PostAsync("/api/v1/conversations", new { title = "Plan" })));

        var created = await _api.PostAsync("/api/v1/conversations", new { title = "Plan", data = new { messages = new[] { new { role = "user", text = "hi" } } } });

        Assert.Equal(201, created.Status);
        var read = (await _api.GetAsync(created.Header("Location")!)).Json;
        Assert.Equal(("Plan", "console", _api.Tenant.OwnerId), (read.GetProperty("title").GetString(), read.GetProperty("channel").GetString(), read.GetProperty("user_id").GetGuid()));
        Assert.Equal("hi", read.GetProperty("data").GetProperty("messages")[0].GetProperty("text").GetString());
    }

    [Fact]
    [Behaviour("mk-conversation-store")]
    public async Task The_list_shows_the_latest_updated_first_and_pages_through()
    {
        var paths = new List<string>();
        for (var i = 0; i < 3; i++)
        {
            paths.Add((await _api.PostAsync("/api/v1/conversations", new { title = $"c{i}", data = new { } })).Header("Location")!);
        }

        await _api.SendAsync(HttpMethod.Patch, paths[0], new { topic = "moved up" });

        var first = (await _api.GetAsync("/api/v1/conversations?limit=2")).Json;
        var second = (await _api.GetAsync($"/api/v1/conversations?limit=2&cursor={first.GetProperty("next_cursor").GetString()}")).Json;
        Assert.Equal(["c0", "c2"], Titles(first));
        Assert.Equal(["c1"], Titles(second));
        Assert.Equal((400, "validation_failed"), await ProblemAsync(_api.GetAsync("/api/v1/conversations?cursor=nonsense")));
    }

    [Fact]
    [Behaviour("bb-conversation-status", "yp-conversation-status")]
    public async Task Pausing_and_handing_over_silence_the_bot_and_resolving_is_dated()
    {
        var path = await OpenAsync();
        Assert.True(await BotMayReplyAsync(path));

        Assert.Equal("paused", (await _api.PostAsync($"{path}/pause", null)).Json.GetProperty("status").GetString());
        Assert.False(await BotMayReplyAsync(path));
        Assert.Equal((409, "conversation_state"), await ProblemAsync(_api.PostAsync($"{path}/pause", null)));
        await _api.PostAsync($"{path}/resume", null);
        Assert.True(await BotMayReplyAsync(path));

        var handedOver = (await _api.PostAsync($"{path}/hand-over", new { })).Json;
        Assert.Equal(("human", _api.Tenant.OwnerId), (handedOver.GetProperty("handled_by").GetString(), handedOver.GetProperty("assigned_user_id").GetGuid()));
        Assert.False(await BotMayReplyAsync(path));

        var resolved = (await _api.PostAsync($"{path}/resolve", null)).Json;
        Assert.Equal("resolved", resolved.GetProperty("status").GetString());
        Assert.NotEqual(System.Text.Json.JsonValueKind.Null, resolved.GetProperty("resolved_at").ValueKind);
        Assert.Equal("completed", (await _api.PostAsync($"{path}/complete", null)).Json.GetProperty("status").GetString());
        Assert.Equal("archived", (await _api.PostAsync($"{path}/archive", null)).Json.GetProperty("status").GetString());
        Assert.Equal((409, "conversation_state"), await ProblemAsync(_api.PostAsync($"{path}/resume", null)));
    }

    [Fact]
    public async Task A_change_of_an_outdated_version_is_refused_but_a_message_does_not_outdate_it()
    {
        var path = await OpenAsync();
        var etag = (await _api.GetAsync(path)).Header("ETag")!;
        await AppendAsync(path, "hello");

        Assert.Equal(200, (await _api.SendAsync(HttpMethod.Post, $"{path}/pause", null, null, ("If-Match", etag))).Status);
        Assert.Equal(412, (await _api.SendAsync(HttpMethod.Post, $"{path}/resume", null, null, ("If-Match", etag))).Status);
    }

    [Fact]
    public async Task The_time_line_tells_messages_and_events_together_newest_first()
    {
        var path = await OpenAsync();
        await AppendAsync(path, "hello");
        await _api.PostAsync($"{path}/pause", null);
        await AppendAsync(path, "are you there?");

        var page = (await _api.GetAsync($"{path}/timeline")).Json.GetProperty("items").EnumerateArray().ToList();

        Assert.Equal(["message.inbound", "conversation.status_changed", "message.inbound"], page.Select(e => e.GetProperty("type").GetString()));
        Assert.Equal("are you there?", page[0].GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("paused", page[1].GetProperty("event").GetProperty("payload").GetProperty("to").GetString());
        var first = (await _api.GetAsync($"{path}/timeline?limit=1")).Json;
        var next = (await _api.GetAsync($"{path}/timeline?limit=2&cursor={first.GetProperty("next_cursor").GetString()}")).Json;
        Assert.Equal(["conversation.status_changed", "message.inbound"], next.GetProperty("items").EnumerateArray().Select(e => e.GetProperty("type").GetString()));
    }

    [Fact]
    public async Task Messages_are_listed_by_conversation_status_and_direction()
    {
        var path = await OpenAsync();
        var id = await AppendAsync(path, "hello");

        Assert.Equal(1, await CountAsync($"{path}/messages"));
        Assert.Equal(1, await CountAsync("/api/v1/messages?direction=inbound"));
        Assert.Equal(0, await CountAsync("/api/v1/messages?status=failed"));
        Assert.Equal("hello", (await _api.GetAsync($"/api/v1/messages/{id}")).Json.GetProperty("content").GetString());
        Assert.Equal((404, "conversation_not_found"), await ProblemAsync(_api.GetAsync("/api/v1/conversations/0190a5b2-0000-7000-8000-000000000001/messages")));
    }

    [Fact]
    public async Task An_operator_writes_to_the_contact_as_a_human_once_also_while_the_bot_is_paused()
    {
        var path = (await _api.PostAsync("/api/v1/conversations", new { contact_id = _contact, channel = "web" })).Header("Location")!;
        await _api.PostAsync($"{path}/pause", null);

        for (var i = 0; i < 2; i++)
        {
            Assert.Equal(202, (await _api.PostAsync($"{path}/replies", new { text = "Here I am." }, idempotencyKey: "k1")).Status);
        }

        await _api.Platform.DrainAsync();

        var message = Assert.Single((await _api.GetAsync($"{path}/messages")).Json.GetProperty("items").EnumerateArray());
        Assert.Equal(("human", "Here I am.", "delivered"), (message.GetProperty("role").GetString(), message.GetProperty("content").GetString(), message.GetProperty("status").GetString()));
        Assert.Equal(_api.Tenant.OwnerId, message.GetProperty("author_user_id").GetGuid());
        Assert.Equal((400, "validation_failed"), await ProblemAsync(_api.PostAsync($"{path}/replies", new { text = "" })));
        await _api.PostAsync($"{path}/close", null);
        Assert.Equal((409, "conversation_state"), await ProblemAsync(_api.PostAsync($"{path}/replies", new { text = "late" })));
    }

    [Fact]
    [Behaviour("mk-rls-isolation")]
    public async Task A_colleague_does_not_find_a_private_conversation()
    {
        var path = (await _api.PostAsync("/api/v1/conversations", new { title = "Mine", data = new { }, shared = false })).Header("Location")!;
        var colleague = await _api.KeyAsync("admin");

        Assert.Equal(404, (await _api.GetAsync(path, colleague)).Status);
        Assert.Equal(404, (await _api.SendAsync(HttpMethod.Patch, path, new { title = "Ours" }, colleague)).Status);
        Assert.Equal(200, (await _api.GetAsync(path)).Status);
        await _api.SendAsync(HttpMethod.Patch, path, new { shared = true });
        Assert.Equal(200, (await _api.GetAsync(path, colleague)).Status);
    }

    [Fact]
    public async Task Sessions_turns_and_audit_are_shown_and_a_session_can_be_steered()
    {
        var path = await OpenAsync();
        var system = Actor.System(_api.Tenant.TenantId);
        var conversation = Guid.Parse(path[^36..]);
        var address = new ChannelAddress("sms", "+14155550100");
        var session = await _api.Platform.AsAsync(system, async tx =>
        {
            var s = await _api.Platform.Get<SessionStore>().LoadOrStartAsync(tx, conversation, _api.Tenant.AgentId, Guid.Parse(_contact), address, default);
            _api.Platform.Get<TurnLog>().Append(tx, new TurnRecord(TimeProvider.System.NewId(), s.SessionId, conversation, 1, "hello"));
            return s;
        });
        var at = $"/api/v1/sessions/{session.SessionId}";

        Assert.Equal(1, await CountAsync($"/api/v1/sessions?agent_id={_api.Tenant.AgentId}"));
        Assert.Equal(1, await CountAsync($"/api/v1/sessions?contact_id={_contact}"));
        Assert.Equal(1, await CountAsync("/api/v1/sessions?channel=sms&address=%2B14155550100"));
        Assert.Equal(400, (await _api.GetAsync("/api/v1/sessions")).Status);
        Assert.Equal(1, await CountAsync($"{path}/turns"));
        Assert.Equal(2, (await _api.SendAsync(HttpMethod.Put, $"{at}/variables/cities", new { value = new[] { "Berlin" } })).Json.GetProperty("version").GetInt32());
        Assert.Equal("Berlin", (await _api.GetAsync(at)).Json.GetProperty("variables").GetProperty("cities")[0].GetString());

        await _api.PostAsync($"{path}/resolve", null);

        Assert.Equal(404, (await _api.GetAsync(at)).Status);
        Assert.Equal(1, await CountAsync("/api/v1/audit-events?event_type=session.ended"));
    }

    [Fact]
    public async Task Sessions_are_paged_the_latest_used_first()
    {
        var numbers = new[] { "+14155550101", "+14155550102", "+14155550103" };
        foreach (var number in numbers)
        {
            var contact = (await _api.PostAsync("/api/v1/contacts", new { phone_number = number })).Json.GetProperty("id").GetGuid();
            var opened = await _api.PostAsync("/api/v1/conversations", new { contact_id = contact, channel = "sms" });
            await _api.Platform.AsAsync(Actor.System(_api.Tenant.TenantId), tx => _api.Platform.Get<SessionStore>().LoadOrStartAsync(
                tx, opened.Json.GetProperty("id").GetGuid(), _api.Tenant.AgentId, contact, new ChannelAddress("sms", number), default));
        }

        var found = new List<string?>();
        for (var (cursor, query) = ((string?)"", ""); cursor is not null; query = $"&cursor={cursor}")
        {
            var page = (await _api.GetAsync($"/api/v1/sessions?agent_id={_api.Tenant.AgentId}&limit=2{query}")).Json;
            found.AddRange(page.GetProperty("items").EnumerateArray().Select(s => s.GetProperty("user_channel_id").GetString()));
            cursor = page.GetProperty("next_cursor").GetString();
        }

        Assert.Equal(numbers.Reverse(), found);
        Assert.Equal(400, (await _api.GetAsync($"/api/v1/sessions?agent_id={_api.Tenant.AgentId}&cursor=nonsense")).Status);
    }

    private async Task<string> OpenAsync() =>
        (await _api.PostAsync("/api/v1/conversations", new { contact_id = _contact, channel = "sms" })).Header("Location")!;

    private Task<Guid> AppendAsync(string path, string text) => _api.Platform.AsAsync(Actor.System(_api.Tenant.TenantId), async tx =>
    {
        var message = new NewMessage(TimeProvider.System.NewId(), Guid.Parse(path[^36..]), Guid.Parse(_contact), "user", "inbound", text);
        _api.Platform.Get<ConversationLog>().Append(tx, message);
        await tx.ExecuteAsync("SELECT 1", [], default);
        return message.Id;
    });

    private async Task<bool> BotMayReplyAsync(string path) => (await _api.GetAsync(path)).Json.GetProperty("bot_may_reply").GetBoolean();

    private async Task<int> CountAsync(string path) => (await _api.GetAsync(path)).Json.GetProperty("items").GetArrayLength();

    private static IEnumerable<string?> Titles(System.Text.Json.JsonElement page) => page.GetProperty("items").EnumerateArray().Select(c => c.GetProperty("title").GetString());

    private static async Task<(int, string)> ProblemAsync(Task<ApiAnswer> answer) => await answer is var a ? (a.Status, a.Code) : default;
}
