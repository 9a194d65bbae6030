using System.Net;
using AgentPlatform.Conversations;
using AgentPlatform.Costs;
using AgentPlatform.Models;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Models;

/// <summary>What calls of models cost, and what is told of it.</summary>
public sealed class UsageTests : IAsyncLifetime
{
    private const string Riddle = "could you perhaps get me something in nursing";

    private Talk _talk = null!;
    private FakeModel _model = null!;

    public async Task InitializeAsync()
    {
        _model = await FakeModel.StartAsync();
        _model.Fills(new { say = new[] { "Certainly." }, because = "asked" });
        _talk = await Talk.StartAsync(Jobs.Search);
    }

    public async Task DisposeAsync()
    {
        await _talk.DisposeAsync();
        await _model.DisposeAsync();
    }

    [Fact]
    [Behaviour("bb-token-usage-claude")]
    public async Task A_call_of_claude_is_written_down_with_its_tokens_and_costs()
    {
        await _talk.AddModelAsync(_model);
        await _talk.UseAsync("unsure", "main");
        await _talk.SayAsync(Riddle);

        var usage = Assert.Single(await _talk.UsageAsync());

        Assert.Equal((100, 20, 30, 40, 190), (usage.InputTokens, usage.OutputTokens, usage.CacheCreationTokens, usage.CacheReadTokens, usage.TotalTokens));
        // 100 × $3, 20 × $15, 30 × $3.75 and 40 × $0.30 a million, to six decimals.
        Assert.Equal((0.000300m, 0.000300m, 0.000125m, 0.000725m), (usage.InputCost, usage.OutputCost, usage.CacheCost, usage.TotalCost));
        Assert.Equal(("anthropic", "main-1", "reply", "msg_1", "tool_calls"), (usage.Provider, usage.Model, usage.PromptType, usage.RequestId, usage.StopReason));
        Assert.Equal((_talk.AgentId, _talk.ContactId, _talk.ConversationId), (usage.AgentId, usage.ContactId, usage.ConversationId));
        Assert.True(usage.ResponseTime >= 0);
        var call = Assert.Single(await _talk.CallsAsync());
        Assert.Equal("main-1", (await _talk.InAsync(tx => CallJournal.FindAsync(tx, call.Id, default)))!.ModelUsed);
    }

    [Fact]
    [Behaviour("bb-token-usage-gemini")]
    public async Task A_call_of_any_other_provider_is_written_down_to_six_decimals()
    {
        await _talk.AddModelAsync(_model, provider: "openai");
        await _talk.UseAsync("unsure", "main");
        await _talk.SayAsync(Riddle);

        var usage = Assert.Single(await _talk.UsageAsync());

        Assert.Equal((100, 20, 0, 40, 160), (usage.InputTokens, usage.OutputTokens, usage.CacheCreationTokens, usage.CacheReadTokens, usage.TotalTokens));
        Assert.Equal((0.000300m, 0.000300m, 0.000012m, 0.000612m), (usage.InputCost, usage.OutputCost, usage.CacheCost, usage.TotalCost));
        var turn = await _talk.InAsync(tx => tx.SingleAsync<string>("SELECT token_usage::text FROM conversations.turn_records WHERE conversation_id = $1", [_talk.ConversationId], default));
        Assert.Contains("\"cost_usd\": 0.000612", turn, StringComparison.Ordinal);
    }

    [Fact]
    [Behaviour("bb-cost-survives-delete", "yp-cost-report")]
    public async Task Costs_are_summed_by_contact_agent_day_and_model_and_outlive_what_they_were_for()
    {
        await _talk.AddModelAsync(_model);
        await _talk.UseAsync("unsure", "main");
        await _talk.SayAsync(Riddle);
        var (first, second) = (_talk.ContactId, Guid.Empty);
        await _talk.MeetAsync();
        second = _talk.ContactId;
        await _talk.SayAsync(Riddle);
        await _talk.SayAsync("tell me about the weather in Lisbon");

        var today = DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime);
        Assert.Equal(new[] { (first.ToString(), 1L, 0.000725m), (second.ToString(), 2L, 0.001450m) }.OrderBy(c => c.Item1, StringComparer.Ordinal), await ReportAsync("contact"));
        Assert.Equal([(_talk.AgentId.ToString(), 3L, 0.002175m)], await ReportAsync("agent"));
        Assert.Equal([("main-1", 3L, 0.002175m)], await ReportAsync("model"));
        Assert.Equal(3, (await ReportAsync("day")).Sum(line => line.Calls));
        var rest = await _talk.InAsync(tx => UsageLedger.ReportAsync(tx, "contact", today.AddDays(-1), today.AddDays(2), new[] { first, second }.Min(id => id.ToString()), 200, default));
        Assert.Equal(new[] { first, second }.Max(id => id.ToString()), Assert.Single(rest).Name);

        Assert.True((await _talk.Platform.Get<ManageAgents>().PurgeAsync(_talk.Actor, _talk.AgentId, default)).IsOk);

        Assert.Equal([(_talk.AgentId.ToString(), 3L, 0.002175m)], await ReportAsync("agent"));
        Assert.Empty(await _talk.CallsAsync());

        async Task<IEnumerable<(string Name, long Calls, decimal Cost)>> ReportAsync(string by) =>
            (await _talk.InAsync(tx => UsageLedger.ReportAsync(tx, by, today.AddDays(-1), today.AddDays(2), null, 200, default))).Select(line => (line.Name, line.Calls, line.TotalCost));
    }

    [Fact]
    [Behaviour("ps-token-usage-latency")]
    public async Task Tokens_and_latency_of_turns_are_summed_by_period_and_tenant()
    {
        await _talk.AddModelAsync(_model);
        await _talk.UseAsync("unsure", "main");
        await _talk.SayAsync(Riddle);
        await _talk.SayAsync($"{Riddle} again");
        await _talk.SayAsync("thanks");
        // What the record says is kept; only its day and its time are set here, by one who may.
        await _talk.Platform.Postgres.ScalarAsync<long>(
            """
            ALTER TABLE conversations.turn_records DISABLE TRIGGER USER;
            UPDATE conversations.turn_records SET latency_ms = turn_number * 100, created_at = CASE WHEN turn_number < 3 THEN timestamptz '2026-03-04 23:30Z' ELSE timestamptz '2026-03-05 00:30Z' END;
            ALTER TABLE conversations.turn_records ENABLE TRIGGER USER;
            SELECT 1::bigint
            """);

        Assert.Equal(
            [new("2026-03-04", 2, 2, 2, 340, 40, 0.001450m, 150, 100, 200, 200), new("2026-03-05", 1, 0, 0, 0, 0, 0m, 300, 300, 300, 300)], await TurnsAsync("day", new(2026, 3, 1), new(2026, 4, 1)));
        Assert.Equal([new("2026-03-02", 3, 2, 2, 340, 40, 0.001450m, 200, 200, 300, 300)], await TurnsAsync("week", new(2026, 3, 1), new(2026, 4, 1)));
        Assert.Equal([("2026-03-01", 1L)], (await TurnsAsync("month", new(2026, 3, 5), new(2026, 3, 6))).Select(t => (t.Period, t.Turns)));
        Assert.Empty(await TurnsAsync("day", new(2026, 3, 6), new(2026, 4, 1)));
        Assert.Empty(await TurnsAsync("day", new(2026, 3, 1), new(2026, 4, 1), await _talk.Platform.NewTenantAsync("Somebody else")));

        Task<IReadOnlyList<TurnUsage>> TurnsAsync(string by, DateOnly from, DateOnly to, Actor? actor = null) =>
            _talk.Platform.AsAsync(actor ?? _talk.Actor, tx => TurnLog.UsageAsync(tx, by, from, to, agentInstanceId: null, default));
    }

    [Fact]
    public async Task What_was_told_and_held_is_forgotten_after_a_month_and_what_it_cost_is_not()
    {
        await _talk.AddModelAsync(_model);
        await _talk.UseAsync("unsure", "main");
        await _talk.SayAsync(Riddle);
        var (calls, reservations) = (_talk.Platform.Get<CallRetention>(), _talk.Platform.Get<ReservationRetention>());
        Assert.Equal((0, 0), (await calls.PruneAsync(default), await reservations.PruneAsync(default)));

        await _talk.Platform.Postgres.ScalarAsync<long>(
            """
            WITH called AS (UPDATE models.agent_actions_log SET created_at = now() - interval '31 days' RETURNING 1),
                 held AS (UPDATE costs.budget_reservations SET created_at = now() - interval '31 days' RETURNING 1)
            SELECT (SELECT count(*) FROM called) + (SELECT count(*) FROM held)
            """);

        Assert.Equal((1, 1), (await calls.PruneAsync(default), await reservations.PruneAsync(default)));
        Assert.Empty(await _talk.CallsAsync());
        Assert.Single(await _talk.UsageAsync());
    }

    [Fact]
    public async Task Without_money_the_agent_answers_as_well_as_it_can_alone()
    {
        await _talk.AddModelAsync(_model);
        await _talk.UseAsync("unsure", "main");
        await _talk.LimitAsync(0.01m);

        Assert.StartsWith("I did not quite get that.", await _talk.SayAsync(Riddle), StringComparison.Ordinal);

        Assert.Empty(_model.Requests);
        Assert.Contains("model.refused", await _talk.EventsAsync());
    }

    [Fact]
    public void The_worst_case_is_never_less_than_the_bill()
    {
        var model = new LlmModel(Guid.Empty, "m", "openai", "m", null, null, 3, 15, 3.75m, 0.3m, 500, 30, true, default, default);

        Assert.True(model.WorstCase(8_000) >= model.CostOf(new TokenCounts(9_000, 500)).Total);
        Assert.True(model.WorstCase(8_000) >= model.CostOf(new TokenCounts(0, 500, CacheCreation: 9_000)).Total);
    }

    [Fact]
    public async Task A_key_is_sealed_and_never_shown_and_wrong_input_is_explained()
    {
        await using var api = await TestApi.StartAsync();
        var created = await api.PostAsync("/api/v1/models", new { name = "main", provider = "anthropic", model = "claude", api_key = ModelStage.Key, input_price = 3, output_price = 15 });
        var path = created.Header("Location")!;

        Assert.Equal((201, true), (created.Status, created.Json.GetProperty("has_api_key").GetBoolean()));
        Assert.DoesNotContain(ModelStage.Key, created.Json.GetRawText() + (await api.GetAsync(path)).Json.GetRawText() + (await api.GetAsync("/api/v1/models")).Json.GetRawText(), StringComparison.Ordinal);
        Assert.Equal(0L, await api.Platform.Postgres.ScalarAsync<long>($"SELECT count(*) FROM models.llm_models WHERE api_key_sealed LIKE '%{ModelStage.Key}%'"));
        Assert.Equal("model_name_taken", (await api.PostAsync("/api/v1/models", new { name = "main", provider = "openai", model = "gpt" })).Code);
        var wrong = await api.PostAsync("/api/v1/models", new { name = " ", provider = "acme", model = "m", base_url = "ftp://x", input_price = -1, timeout_seconds = 500 });
        Assert.Equal(["base_url", "input_price", "name", "provider", "timeout_seconds"], wrong.Json.GetProperty("errors").EnumerateObject().Select(e => e.Name).Order(StringComparer.Ordinal));
        var moved = await api.SendAsync(HttpMethod.Patch, path, new { base_url = "https://elsewhere.example" });
        Assert.Equal((400, "api_key"), (moved.Status, moved.Json.GetProperty("errors").EnumerateObject().Single().Name));
        Assert.Equal(400, (await api.SendAsync(HttpMethod.Patch, path, new { provider = "openai" })).Status);
        Assert.Equal(200, (await api.SendAsync(HttpMethod.Patch, path, new { base_url = "https://elsewhere.example", api_key = "another-key" })).Status);
        Assert.Equal(200, (await api.SendAsync(HttpMethod.Patch, path, new { base_url = "https://elsewhere.example/v2", max_output_tokens = 100 })).Status);
        Assert.Equal(System.Text.Json.JsonValueKind.Null, (await api.SendAsync(HttpMethod.Patch, path, new { base_url = "", api_key = "a-third-key" })).Json.GetProperty("base_url").ValueKind);
        Assert.False((await api.SendAsync(HttpMethod.Patch, path, new { api_key = "" })).Json.GetProperty("has_api_key").GetBoolean());
        Assert.Equal(204, (await api.SendAsync(HttpMethod.Delete, path)).Status);
        Assert.Equal("model_not_found", (await api.GetAsync(path)).Code);
    }

    [Fact]
    public async Task Budgets_and_reports_are_seen_and_set_over_the_api()
    {
        await using var api = await TestApi.StartAsync();
        var tenant = await api.SendAsync(HttpMethod.Put, "/api/v1/budgets/tenant", new { daily_budget = 5, alert_threshold = 90 });
        await api.SendAsync(HttpMethod.Put, $"/api/v1/agents/{api.Tenant.AgentId}/budget", new { monthly_budget = 20.5 });

        Assert.Equal(2, (await api.GetAsync("/api/v1/budgets")).Json.GetProperty("items").GetArrayLength());
        Assert.Equal(400, (await api.SendAsync(HttpMethod.Put, "/api/v1/budgets/tenant", new { daily_budget = 0.001 })).Status);
        Assert.Equal("agent_not_found", (await api.SendAsync(HttpMethod.Put, $"/api/v1/agents/{Guid.Empty}/budget", new { daily_budget = 1 })).Code);
        Assert.Equal(0, (await api.GetAsync("/api/v1/costs?by=model")).Json.GetProperty("items").GetArrayLength());
        Assert.Equal(400, (await api.GetAsync("/api/v1/costs?by=colour")).Status);
        Assert.Equal(0, (await api.GetAsync("/api/v1/turn-usage?by=week&from=2026-03-01&to=2026-04-01")).Json.GetProperty("items").GetArrayLength());
        Assert.Equal(400, (await api.GetAsync("/api/v1/turn-usage?by=hour")).Status);
        Assert.Equal(400, (await api.GetAsync("/api/v1/turn-usage?from=2026-03-02&to=2026-03-02")).Status);
        Assert.Equal(0, (await api.GetAsync("/api/v1/token-usage")).Json.GetProperty("items").GetArrayLength());
        Assert.Equal(0, (await api.GetAsync($"/api/v1/budget-alerts?budget_id={tenant.Json.GetProperty("id").GetString()}")).Json.GetProperty("items").GetArrayLength());
        Assert.Equal(0, (await api.GetAsync("/api/v1/budget-reservations?status=open")).Json.GetProperty("items").GetArrayLength());
        Assert.Equal("model_call_not_found", (await api.GetAsync($"/api/v1/model-calls/{Guid.Empty}")).Code);
        Assert.Equal(0, (await api.GetAsync("/api/v1/model-calls?status=failed")).Json.GetProperty("items").GetArrayLength());
        Assert.Equal(204, (await api.SendAsync(HttpMethod.Delete, $"/api/v1/budgets/{tenant.Json.GetProperty("id").GetString()}")).Status);
        Assert.Equal(1, (await api.GetAsync("/api/v1/budgets")).Json.GetProperty("items").GetArrayLength());
    }

    [Theory]
    [InlineData("7", 7)]
    [InlineData(null, 1)]
    public async Task A_refusal_is_waited_out_as_long_as_the_provider_says(string? retryAfter, int seconds)
    {
        var clock = new ImpatientClock();
        using var invoker = new HttpMessageInvoker(new RetryRefusals(clock) { InnerHandler = new Refusing(retryAfter) });

        using var response = await invoker.SendAsync(new HttpRequestMessage(HttpMethod.Post, "http://model/") { Content = new StringContent("{}") }, default);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal([TimeSpan.FromSeconds(seconds)], clock.Waits);
    }

    /// <summary>Refuses once.</summary>
    private sealed class Refusing(string? retryAfter) : HttpMessageHandler
    {
        private bool _refused;

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken ct)
        {
            Assert.Equal("{}", await request.Content!.ReadAsStringAsync(ct));
            var response = new HttpResponseMessage(_refused ? HttpStatusCode.OK : HttpStatusCode.TooManyRequests);
            if (!_refused && retryAfter is not null)
            {
                response.Headers.TryAddWithoutValidation("Retry-After", retryAfter);
            }

            _refused = true;
            return response;
        }
    }

    /// <summary>Every wait is over at once, and remembered.</summary>
    private sealed class ImpatientClock : TimeProvider
    {
        public List<TimeSpan> Waits { get; } = [];

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            Waits.Add(dueTime);
            return base.CreateTimer(callback, state, TimeSpan.Zero, period);
        }
    }
}
