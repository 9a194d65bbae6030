using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Billing.Catalogue;
using AgentPlatform.Billing.Subscriptions;
using AgentPlatform.Billing.Usage;
using AgentPlatform.Tests.Brain;

namespace AgentPlatform.Tests.Billing;

/// <summary>Through the engine: an action is counted when it is carried out, and refused when the period's executions are used.</summary>
public sealed class ExecutionsAreCountedTests : IAsyncLifetime
{
    private static readonly ActionDefinition Ping = new()
    {
        ActionId = "ping",
        ActionName = "ping the server",
        ExecutionType = "http",
        ApiMethod = "POST",
        ApiIdempotent = true,
        ApiEndpoint = "{endpoint}/ping",
        Category = "ops",
        TimeoutSeconds = 30,
        ResponseTemplate = "pong {{result.n}}",
    };

    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(Ping);

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("bb-limit-executions")]
    public async Task An_action_past_the_limit_is_not_carried_out_and_one_that_is_tried_again_is_counted_once()
    {
        await SubscribeAsync(limit: 2);
        _talk.Endpoint.Answers(503, "{}");
        _talk.Endpoint.Answers(201, """{"n":1}""");
        _talk.Endpoint.Answers(201, """{"n":2}""");
        _talk.Endpoint.Answers(201, """{"n":3}""");

        await _talk.SayAsync("ping the server");
        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();
        await _talk.SayAsync("ping the server");
        await _talk.SayAsync("ping the server");

        var queue = await _talk.QueueAsync();
        Assert.Equal([QueueStatus.Completed, QueueStatus.Completed, QueueStatus.Failed], queue.Select(q => q.Status));
        Assert.Equal("allowance_used_up", queue[2].RetryErrors.EnumerateArray().Last().GetProperty("type").GetString());
        Assert.Equal(3, _talk.Endpoint.Requests.Count);
        var counted = (await _talk.InAsync(tx => _talk.Platform.Get<UsageRecords>().ExecutionsAsync(tx, new(10, null), default))).Items;
        Assert.Equal(queue.Take(2).Select(q => q.Id).Order(), counted.Select(c => c.Id).Order());
        Assert.All(counted, c => Assert.Equal(("included", _talk.AgentId), (c.TakenFrom, c.AgentId)));
    }

    [Fact]
    [Behaviour("bb-limit-concurrent-agents")]
    public async Task An_agents_action_waits_while_as_many_others_are_at_work_as_may_be()
    {
        await SubscribeAsync(limit: 10);
        _talk.Endpoint.Answers(201, """{"n":1}""");
        _talk.Endpoint.Answers(201, """{"n":2}""");
        await _talk.SayAsync("ping the server");
        // Another agent is in the middle of a call.
        await _talk.Platform.Postgres.ScalarAsync<int>(
            """
            WITH agent AS (INSERT INTO tenancy.agents (tenant_id, id, name) SELECT tenant_id, gen_random_uuid(), 'Other' FROM tenancy.agents LIMIT 1 RETURNING id),
                 busy AS (UPDATE actions.action_queue SET status = 'executing', agent_id = agent.id, completed_at = NULL FROM agent RETURNING 1)
            SELECT count(*)::integer FROM busy
            """);

        await _talk.SayAsync("ping the server");
        Assert.Equal(QueueStatus.Ready, (await _talk.QueueAsync())[1].Status);

        await _talk.Platform.Postgres.ScalarAsync<int>("UPDATE actions.action_queue SET status = 'completed', completed_at = now() WHERE status = 'executing' RETURNING 1");
        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();
        Assert.Equal(QueueStatus.Completed, (await _talk.QueueAsync())[1].Status);
    }

    [Fact]
    [Behaviour("bb-limit-duration")]
    public async Task An_action_that_has_been_running_for_an_hour_is_not_tried_again()
    {
        await SubscribeAsync(limit: 10);
        _talk.Endpoint.Answers(503, "{}");
        await _talk.SayAsync("ping the server");
        await _talk.Platform.Postgres.ScalarAsync<int>("UPDATE billing.executions SET started_at = started_at - interval '61 minutes' RETURNING 1");
        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();

        var item = Assert.Single(await _talk.QueueAsync());
        Assert.Equal((QueueStatus.Failed, 1), (item.Status, _talk.Endpoint.Requests.Count));
        Assert.Contains("longer than 60 minutes", item.RetryErrors.EnumerateArray().Last().GetProperty("error").GetString()!, StringComparison.Ordinal);
    }

    private Task SubscribeAsync(int limit) => _talk.InAsync(async tx =>
    {
        var tier = (await _talk.Platform.Get<Offers>().TierAsync(tx, "starter", default))!;
        var terms = SubscriptionTerms.Of(tier with { MonthlyExecutionLimit = limit, MaxConcurrentAgents = 1 }, "monthly");
        var now = TimeProvider.System.GetUtcNow();
        _talk.Platform.Get<UsageRecords>().Open(tx, await _talk.Platform.Get<SubscriptionStore>().CreateAsync(tx, terms, "stripe", now, now.AddMonths(1), null, default));
    });
}
