using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Resilience;
using AgentPlatform.Tests.Brain;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Resilience;

/// <summary>The circuit of an endpoint that actions call. Three failures open it.</summary>
public sealed class CircuitTests : IAsyncLifetime
{
    private static readonly ActionDefinition Order = new()
    {
        ActionId = "order",
        ActionName = "order now",
        DisplayName = "Order",
        ExecutionType = "http",
        ApiEndpoint = "{endpoint}/orders",
        ApiMethod = "POST",
        ApiIdempotent = true,
        RetryPolicy = Json.Of(new { max_retries = 0 }),
    };

    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(Configure, Order);

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("mk-circuit-breaker")]
    public async Task Failures_in_a_row_open_the_circuit_and_then_nothing_is_called_and_no_attempt_is_spent()
    {
        _talk.Endpoint.Answers(503, "{}");
        await OrderAsync();
        await OrderAsync();
        Assert.Equal(("CLOSED", 2), await CircuitAsync());
        await OrderAsync();
        Assert.Equal(("OPEN", 3), await CircuitAsync());

        await OrderAsync();
        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();

        Assert.Equal(3, _talk.Endpoint.Requests.Count);
        var waiting = (await _talk.QueueAsync())[^1];
        Assert.Equal((QueueStatus.Ready, 0), (waiting.Status, waiting.RetryCount));
        Assert.Equal(3, (await _talk.ExecutionsAsync()).Count);
        Assert.Equal(0, await ScalarAsync<int>("SELECT attempts FROM work.items WHERE kind = 'actions.execute' AND state = 'ready'"));
        Assert.InRange(await ScalarAsync<double>("SELECT extract(epoch FROM run_at - now())::double precision FROM work.items WHERE kind = 'actions.execute' AND state = 'ready'"), 1, 30.1);
        Assert.Equal(1L, await ScalarAsync<long>("SELECT count(*) FROM events.events WHERE event_type = 'action.postponed'"));
        Assert.Equal("circuit_open", await ScalarAsync<string>("SELECT payload->'details'->>'reason' FROM events.events WHERE event_type = 'action.postponed'"));
        Assert.Equal(1L, await ScalarAsync<long>("SELECT count(*) FROM events.events WHERE event_type = 'circuit.opened'"));
    }

    [Fact]
    [Behaviour("mk-circuit-breaker")]
    public async Task After_the_cool_down_one_call_tries_and_opens_the_circuit_again_or_closes_it()
    {
        await OpenAsync();
        await OrderAsync();
        await CoolDownAsync();
        await _talk.Platform.DrainAsync();
        Assert.Equal((4, ("OPEN", 4)), (_talk.Endpoint.Requests.Count, await CircuitAsync()));
        Assert.Equal(2, await ScalarAsync<int>("SELECT times_opened FROM resilience.circuits"));

        _talk.Endpoint.Answers(200, "{}").Skip();
        await OrderAsync();
        Assert.Equal(4, _talk.Endpoint.Requests.Count);
        await CoolDownAsync();
        await _talk.Platform.DrainAsync();

        Assert.Equal(("CLOSED", 0), await CircuitAsync());
        Assert.Equal(QueueStatus.Completed, (await _talk.QueueAsync())[^1].Status);
        Assert.Equal(0L, await ScalarAsync<long>("SELECT count(*) FROM resilience.locks"));
        Assert.Equal(1L, await ScalarAsync<long>("SELECT count(*) FROM events.events WHERE event_type = 'circuit.closed'"));
    }

    [Fact]
    [Behaviour("mk-circuit-breaker")]
    public async Task While_the_trial_is_on_no_host_makes_another_call()
    {
        await OpenAsync();
        await OrderInAnotherTalkAsync(5);
        await using var other = _talk.Platform.Twin(Configure, ("Actions:AllowPrivateTargets", "true"));
        var during = 0;
        _talk.Endpoint.Does(
            async () =>
            {
                // The four others have all come to the circuit meanwhile, on whichever host, and were sent away.
                Assert.Equal("HALF_OPEN", (await CircuitAsync()).State);
                await Eventually.SeeAsync(SentAwayAsync, count => count == 4);
                during = _talk.Endpoint.Requests.Count;
            }, 200).Answers(200, "{}");
        _talk.Endpoint.Skip();
        await CoolDownAsync();

        await Task.WhenAll(_talk.Platform.DrainAsync(), other.DrainAsync());

        Assert.Equal(4, during);
        Assert.Equal(("CLOSED", 0), await CircuitAsync());
        await HastenAllAsync();
        await _talk.Platform.DrainAsync();
        Assert.Equal(3 + 5, _talk.Endpoint.Requests.Count);
    }

    [Fact]
    public async Task A_trial_whose_host_died_is_anothers_once_its_time_is_over()
    {
        await OpenAsync();
        await CoolDownAsync();
        await _talk.InAsync(async tx =>
        {
            var passage = await EnterAsync(tx);
            Assert.Null(passage.Wait);
        });

        Assert.NotNull((await _talk.InAsync(EnterAsync)).Wait);
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE resilience.locks SET acquired_at = now() - interval '1 minute', expires_at = now() - interval '1 second'", [], default));
        var second = await _talk.InAsync(EnterAsync);
        Assert.Null(second.Wait);
        await _talk.InAsync(tx => Breaker.LeaveAsync(tx, second, ServiceVerdict.Healthy, null, default));
        Assert.Equal(("CLOSED", 0), await CircuitAsync());
    }

    [Fact]
    public async Task A_success_between_failures_and_a_failure_after_the_window_begin_the_row_anew()
    {
        _talk.Endpoint.Answers(503, "{}").Answers(503, "{}").Answers(404, "{}").Answers(503, "{}");
        await OrderAsync();
        await OrderAsync();
        await OrderAsync();
        Assert.Equal(("CLOSED", 0), await CircuitAsync());

        await OrderAsync();
        await OrderAsync();
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE resilience.circuits SET last_failure_at = now() - interval '61 seconds'", [], default));
        await OrderAsync();
        Assert.Equal(("CLOSED", 1), await CircuitAsync());
    }

    /// <summary>There is no database where this one looks: any question would fail.</summary>
    [Fact]
    public async Task A_call_that_succeeds_at_a_healthy_service_costs_no_round_trip()
    {
        await using var nowhere = Npgsql.NpgsqlDataSource.Create("Host=127.0.0.1;Port=1;Timeout=1");
        await using var tx = new Database(nowhere).Begin(_talk.Actor);

        var passage = await Breaker.EnterAsync(tx, [new TroubledService("another", "OPEN", TimeSpan.FromSeconds(9))], "this", TimeSpan.Zero, default);
        Assert.Null(passage.Wait);
        await Breaker.LeaveAsync(tx, passage, ServiceVerdict.Healthy, null, default);
        await tx.CommitAsync(default);

        await Assert.ThrowsAnyAsync<Exception>(() => Breaker.LeaveAsync(new Database(nowhere).Begin(_talk.Actor), passage, ServiceVerdict.Broken, "down", default));
    }

    [Fact]
    public async Task A_service_that_never_failed_leaves_no_trace()
    {
        _talk.Endpoint.Answers(200, "{}");
        await OrderAsync();

        Assert.Single(_talk.Endpoint.Requests);
        Assert.Equal(0L, await ScalarAsync<long>("SELECT count(*) FROM resilience.circuits"));
    }

    [Fact]
    public async Task An_operator_closes_a_circuit_and_calls_go_through_at_once()
    {
        await OpenAsync();
        var page = await _talk.InAsync(tx => Breaker.ListAsync(tx, "OPEN", new PageRequest(10, null), default));
        var circuit = Assert.Single(page.Items);
        Assert.StartsWith("127.0.0.1:", circuit.Service, StringComparison.Ordinal);

        Assert.Equal("CLOSED", (await _talk.InAsync(tx => Breaker.ResetAsync(tx, circuit.Id, default))).Value.State);

        _talk.Endpoint.Answers(200, "{}");
        _talk.Endpoint.Skip();
        await OrderAsync();
        Assert.Equal(4, _talk.Endpoint.Requests.Count);
    }

    private static void Configure(IServiceCollection services) => services.Configure<ResilienceOptions>(o => o.FailuresToOpen = 3);

    private CircuitBreaker Breaker => _talk.Platform.Get<CircuitBreaker>();

    private async Task<Passage> EnterAsync(Transaction tx) =>
        await Breaker.EnterAsync(tx, await Breaker.TroubledAsync(tx, default), await tx.SingleAsync<string>("SELECT service FROM resilience.circuits", [], default), TimeSpan.Zero, default);

    private async Task OpenAsync()
    {
        _talk.Endpoint.Answers(503, "{}");
        for (var i = 0; i < 3; i++)
        {
            await OrderAsync();
        }

        Assert.Equal(("OPEN", 3), await CircuitAsync());
    }

    private Task OrderAsync() => _talk.SayAsync("order now");

    /// <summary>Actions of one conversation run one after the other; these do not.</summary>
    private async Task OrderInAnotherTalkAsync(int talks)
    {
        for (var i = 0; i < talks; i++)
        {
            await _talk.MeetAsync();
            await OrderAsync();
        }
    }

    private async Task CoolDownAsync()
    {
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE resilience.circuits SET open_until = now() - interval '1 millisecond' WHERE state = 'OPEN'", [], default));
        await HastenAllAsync();
    }

    private Task HastenAllAsync() => _talk.InAsync(tx => tx.ExecuteAsync("UPDATE work.items SET run_at = now() WHERE state = 'ready'", [], default));

    private async Task<(string State, int Failures)> CircuitAsync()
    {
        var row = await _talk.InAsync(tx => tx.SingleAsync<State>("SELECT state AS name, failures FROM resilience.circuits", [], default));
        return (row.Name, row.Failures);
    }

    private Task<long> SentAwayAsync() => ScalarAsync<long>("SELECT count(*) FROM work.items WHERE kind = 'actions.execute' AND state = 'ready' AND run_at > now()");

    private Task<T> ScalarAsync<T>(string sql) => _talk.Platform.Postgres.ScalarAsync<T>(sql);

    private sealed record State(string Name, int Failures);
}
