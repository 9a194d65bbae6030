using AgentPlatform.Kernel;
using AgentPlatform.Operations;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Tests.Models;
using AgentPlatform.Tests.Sandbox;
using Jobs = AgentPlatform.Tests.Brain.Jobs;

namespace AgentPlatform.Tests.Operations;

/// <summary>What agents did: calls of models, executions of actions and events, in one list.</summary>
public sealed class ActionsLogTests : IAsyncLifetime
{
    private Talk _talk = null!;
    private FakeModel _model = null!;

    public async Task InitializeAsync()
    {
        _model = await FakeModel.StartAsync();
        _talk = await Talk.StartAsync(Jobs.Search);
        await _talk.AddModelAsync(_model);
        await _talk.UseAsync("unsure", "main");
    }

    public async Task DisposeAsync()
    {
        await _talk.DisposeAsync();
        await _model.DisposeAsync();
    }

    [Fact]
    [Behaviour("yp-actions-log")]
    public async Task Every_call_execution_and_event_is_there_with_what_it_took_and_what_came_of_it()
    {
        _talk.Endpoint.Answers(200, Jobs.Found).Answers(422, "{}");
        _model.Fills(new { @do = new[] { new { action = "search_jobs", @params = new { job_title = "nurse" } } }, because = "wants nursing jobs" }).Refuses(400, message: "That model is retired.");
        await _talk.SayAsync("could you perhaps get me something in nursing");
        await _talk.SayAsync("find me welder jobs");
        await _talk.SayAsync("could you perhaps get me something in nursing");

        var all = await AllAsync(new(null, _talk.ConversationId, null, null));

        var call = Assert.Single(all, e => e is { ActionType: "llm_call", Error: null });
        Assert.Equal(("model_reply", "answered", "main-1", 170, 20, 0.000725m), (call.Name, call.Status, call.ModelUsed, call.InputTokens, call.OutputTokens, call.CostUsd));
        Assert.Equal((_talk.AgentId, "agent", _talk.ContactId, "conversation"), (call.AgentId, call.AgentType, call.ContactId, call.ContextType));
        Assert.True(call.LatencyMs >= 0);
        Assert.Contains("something in nursing", Json.Text(call.InputData), StringComparison.Ordinal);
        Assert.Contains("wants nursing jobs", Json.Text(call.OutputData), StringComparison.Ordinal);
        Assert.Contains("That model is retired.", Assert.Single(all, e => e is { ActionType: "llm_call", Error: not null }).Error, StringComparison.Ordinal);

        var executions = all.Where(e => e.ActionType == "function_execution").Reverse().ToList();
        Assert.Equal([("search_jobs", "completed"), ("search_jobs", "failed")], executions.Select(e => (e.Name, e.Status)));
        Assert.Equal("nurse", executions[0].InputData!.Value.GetProperty("job_title").GetString());
        Assert.Contains("Software Engineer", Json.Text(executions[0].OutputData), StringComparison.Ordinal);
        Assert.True(executions[0].LatencyMs >= 0);
        Assert.Contains("422", executions[1].Error, StringComparison.Ordinal);

        // Ids of one millisecond have no order of their own.
        var published = all.Where(e => e.ActionType == "event_published").Select(e => e.Name);
        Assert.Equal((await _talk.EventsAsync()).Order(StringComparer.Ordinal), published.Order(StringComparer.Ordinal));
        var received = all.Last(e => e.Name == "message.received");
        Assert.Equal("could you perhaps get me something in nursing", received.InputData!.Value.GetProperty("content").GetString());
        Assert.Equal((_talk.ConversationId, "conversation"), (received.ContextId, received.ContextType));
        Assert.Equal((await CountAsync("models.agent_actions_log"), await CountAsync("actions.action_execution_log")), (2L, (long)executions.Count));
    }

    [Fact]
    public async Task The_log_is_paged_by_time_and_filtered_and_stays_in_its_tenant()
    {
        _model.Fills(new { say = new[] { "Certainly." }, because = "asked" });
        await _talk.SayAsync("could you perhaps get me something in nursing");
        await _talk.Platform.Postgres.ScalarAsync<Guid>(
            """
            INSERT INTO events.archived_events (tenant_id, id, event_type, aggregate_type, aggregate_id, version, payload, created_at)
            VALUES ($1, '01000000-0000-7000-8000-000000000000', 'long.ago', 'order', $1, 1, '{}', '2005-01-01Z') RETURNING id
            """,
            _talk.Actor.TenantId);

        var all = await AllAsync(new(null, null, null, null), limit: 3);

        Assert.Equal(all.OrderByDescending(e => e.Id.ToString("n"), StringComparer.Ordinal), all);
        Assert.Equal(all.Count, all.DistinctBy(e => e.Id).Count());
        Assert.Equal(("long.ago", "order"), (all[^1].Name, all[^1].ContextType));
        Assert.Equal(all.Where(e => e.ActionType == "llm_call").Select(e => e.Id), (await AllAsync(new("llm_call", null, null, null))).Select(e => e.Id));
        Assert.Equal(all.Where(e => e.AgentId == _talk.AgentId).Select(e => e.Id), (await AllAsync(new(null, null, _talk.AgentId, null))).Select(e => e.Id));
        Assert.Empty(await AllAsync(new(null, null, null, true)));
        Assert.Equal(["long.ago"], (await AllAsync(new(null, _talk.Actor.TenantId, null, null, "order"))).Select(e => e.Name));
        var stranger = await _talk.Platform.NewTenantAsync("Somebody else");
        Assert.DoesNotContain(await AllAsync(new(null, null, null, null), actor: stranger), e => all.Any(mine => mine.Id == e.Id));
    }

    [Fact]
    public async Task The_api_shows_it_to_who_may_see_the_audit()
    {
        await using var api = await TestApi.StartAsync();
        await api.PostAsync("/api/v1/contacts", new { phone_number = "+14155550100" });

        var page = await api.GetAsync("/api/v1/agent-actions-log?action_type=event_published&limit=1");

        Assert.Equal(("event_published", "published"), (page.Json.GetProperty("items")[0].GetProperty("action_type").GetString(), page.Json.GetProperty("items")[0].GetProperty("status").GetString()));
        Assert.NotNull(page.Json.GetProperty("next_cursor").GetString());
        Assert.Equal("validation_failed", (await api.GetAsync("/api/v1/agent-actions-log?action_type=thought")).Code);
        Assert.Equal(403, (await api.GetAsync("/api/v1/agent-actions-log", await api.KeyAsync("admin", "events:read"))).Status);
    }

    private async Task<IReadOnlyList<ActionsLogEntry>> AllAsync(ActionsLogFilter filter, int limit = 200, Actor? actor = null)
    {
        var entries = new List<ActionsLogEntry>();
        var request = new PageRequest(limit, null);
        while (true)
        {
            var page = await _talk.Platform.AsAsync(actor ?? _talk.Actor, tx => _talk.Platform.Get<ActionsLog>().ListAsync(tx, filter, request, default));
            entries.AddRange(page.Items);
            if (page.NextCursor is not { } next || !Cursor.TryDecode(next, out var before))
            {
                return entries;
            }

            request = new(limit, before);
        }
    }

    private Task<long> CountAsync(string table) => _talk.Platform.Postgres.ScalarAsync<long>($"SELECT count(*) FROM {table}");
}
