using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Tests.Postgres;

public sealed class TransactionTests : IAsyncLifetime
{
    private TestPlatform _platform = null!;
    private Actor _acme = null!;

    public async Task InitializeAsync()
    {
        _platform = await TestPlatform.StartAsync();
        _acme = await _platform.NewTenantAsync();
    }

    public async Task DisposeAsync() => await _platform.DisposeAsync();

    [Fact]
    public async Task The_actor_is_set_in_the_round_trip_of_the_first_command()
    {
        var actor = new Actor(_acme.TenantId, Guid.CreateVersion7(DateTimeOffset.UnixEpoch), "member");
        await using var tx = _platform.Database.Begin(actor);
        var seen = await tx.SingleAsync<string>(
            "SELECT concat_ws(' ', current_user, current_setting('app.tenant_id'), current_setting('app.user_id'), current_setting('app.role'))", [], default);
        Assert.Equal($"agentplatform_app {actor.TenantId} {actor.UserId} member", seen);
    }

    [Fact]
    public async Task A_question_that_nobody_waits_for_ends_before_its_connection_goes_back()
    {
        await using var source = NpgsqlDataSource.Create(_platform.Postgres.ConnectionString + ";Maximum Pool Size=1;No Reset On Close=true");
        var database = new Database(source);
        Task<string> unheard;
        await using (var left = database.Begin(_acme))
        {
            unheard = left.SingleAsync<string>("SELECT 'slept' FROM pg_sleep(0.3)", [], default);
        }

        await using var next = database.Begin(_acme);
        Assert.Equal(1L, await next.SingleAsync<long>("SELECT count(*) FROM tenancy.tenants", [], default));
        Assert.Equal("slept", await unheard);
    }

    [Fact]
    [Behaviour("mk-rls-connection-reuse")]
    public async Task A_pooled_connection_never_carries_the_previous_actor()
    {
        await using var source = NpgsqlDataSource.Create(_platform.Postgres.ConnectionString + ";Maximum Pool Size=1");
        var database = new Database(source);
        await using (var tx = database.Begin(_acme))
        {
            Assert.Equal(1L, await tx.SingleAsync<long>("SELECT count(*) FROM tenancy.tenants", [], default));
            await tx.CommitAsync(default);
        }

        await using (var failing = database.Begin(_acme))
        {
            await Assert.ThrowsAsync<PostgresException>(() => failing.ExecuteAsync("SELECT 1 / 0", [], default));
        }

        await using var connection = await source.OpenConnectionAsync();
        await using var command = new NpgsqlCommand("SELECT concat_ws('|', current_user, current_setting('app.tenant_id', true), current_setting('app.user_id', true))", connection);
        Assert.Equal("agentplatform||", await command.ExecuteScalarAsync());
    }

    [Fact]
    public async Task Posted_commands_travel_with_the_next_query_and_count_towards_it()
    {
        await using var tx = _platform.Database.Begin(_acme);
        tx.Post("UPDATE tenancy.tenants SET name = $1", "Posted");
        Assert.Equal("Posted", await tx.SingleAsync<string>("SELECT name FROM tenancy.tenants", [], default));
        tx.Post("UPDATE tenancy.tenants SET name = $1", "Committed");
        await tx.CommitAsync(default);
        Assert.Equal("Committed", await NameAsync());
    }

    [Fact]
    public async Task Without_a_commit_nothing_stays()
    {
        await using (var tx = _platform.Database.Begin(_acme))
        {
            await tx.ExecuteAsync("UPDATE tenancy.tenants SET name = 'Lost'", [], default);
        }

        Assert.Equal("Acme", await NameAsync());
    }

    [Theory]
    [InlineData("INSERT INTO public.links (id, next) VALUES (2, 1)", null)]
    [InlineData("SELECT 1 / 0", "22012")]
    [InlineData("INSERT INTO public.links (id, next) VALUES (2, 7)", "23503")]
    public async Task What_is_committed_in_one_round_trip_is_there_as_a_whole_or_not_at_all(string last, string? error)
    {
        await _platform.Postgres.ScalarAsync<object>(
            """
            SELECT 1; CREATE TABLE public.links (id integer PRIMARY KEY, next integer REFERENCES public.links DEFERRABLE INITIALLY DEFERRED);
            GRANT ALL ON public.links TO agentplatform_app
            """);
        await using var tx = _platform.Database.Begin(_acme);
        tx.Post("INSERT INTO public.links (id) VALUES (1)");
        tx.PostCall(last);

        var failed = await Record.ExceptionAsync(() => tx.CommitAsync(default));

        Assert.Equal(error, (failed as PostgresException)?.SqlState);
        Assert.Equal(error is null ? 2L : 0L, await _platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM public.links"));
    }

    [Fact]
    public async Task A_failed_transaction_refuses_to_commit_and_runs_no_after_commit_action()
    {
        var ran = false;
        await using var tx = _platform.Database.Begin(_acme);
        tx.AfterCommit(() => ran = true);
        tx.Post("UPDATE tenancy.tenants SET name = 'Lost'");
        await Assert.ThrowsAsync<PostgresException>(() => tx.ExecuteAsync("SELECT 1 / 0", [], default));
        await Assert.ThrowsAsync<InvalidOperationException>(() => tx.CommitAsync(default));
        Assert.False(ran);
        Assert.Equal("Acme", await NameAsync());
    }

    [Fact]
    public async Task A_posted_command_that_returns_rows_is_reported_as_the_bug_it_is()
    {
        await using var tx = _platform.Database.Begin(_acme);
        tx.Post("SELECT 1::bigint");
        await Assert.ThrowsAsync<InvalidOperationException>(() => tx.QueryAsync<long>("SELECT count(*) FROM tenancy.tenants", [], default));
    }

    [Fact]
    public async Task Gathered_questions_share_one_round_trip_and_each_gets_its_own_answer()
    {
        await using var tx = _platform.Database.Begin(_acme);
        tx.Gather();
        var (name, numbers) = (tx.SingleAsync<string>("SELECT name FROM tenancy.tenants", [], default), tx.QueryAsync<long>("SELECT generate_series(1, 3)::bigint", [], default));
        var touched = tx.ExecuteAsync("UPDATE tenancy.tenants SET name = $1", ["Gathered"], default);
        Assert.False(name.IsCompleted || numbers.IsCompleted || touched.IsCompleted);
        await tx.AskAsync(default);
        Assert.Equal("Acme", await name);
        var three = await numbers;
        Assert.Equal([1L, 2L, 3L], three);
        Assert.Equal(1, await touched);

        tx.Gather();
        var last = tx.SingleAsync<string>("SELECT name FROM tenancy.tenants", [], default);
        await tx.CommitAsync(default);
        Assert.Equal("Gathered", await last);
    }

    [Fact]
    public async Task Gathered_questions_that_go_on_to_another_one_take_turns()
    {
        await using var tx = _platform.Database.Begin(_acme);
        async Task<long> TwiceAsync(long start) => await tx.SingleAsync<long>("SELECT $1 + 1", [await tx.SingleAsync<long>("SELECT $1 * 2", [start], default)], default);
        tx.Gather();
        var answers = new[] { TwiceAsync(1), TwiceAsync(10), TwiceAsync(100) };
        await tx.AskAsync(default);
        var all = await Task.WhenAll(answers);
        Assert.Equal([3L, 21L, 201L], all);
    }

    [Fact]
    public async Task A_gathered_question_that_fails_fails_them_all()
    {
        await using var tx = _platform.Database.Begin(_acme);
        tx.Gather();
        var (good, bad) = (tx.SingleAsync<long>("SELECT 1::bigint", [], default), tx.SingleAsync<int>("SELECT 1 / 0", [], default));
        await Assert.ThrowsAsync<PostgresException>(() => tx.AskAsync(default));
        await Assert.ThrowsAsync<PostgresException>(() => good);
        await Assert.ThrowsAsync<PostgresException>(() => bad);
        await Assert.ThrowsAsync<InvalidOperationException>(() => tx.CommitAsync(default));
    }

    [Fact]
    public async Task Text_with_a_null_character_is_stored_without_it()
    {
        await _platform.AsAsync(_acme, tx => tx.ExecuteAsync("UPDATE tenancy.tenants SET name = $1", ["a\0b"], default));
        Assert.Equal("ab", await NameAsync());
    }

    [Fact]
    public async Task Vectors_are_compared_by_cosine() =>
        Assert.Equal(1d, await _platform.Postgres.ScalarAsync<double>("SELECT '[1,0]'::vector <=> '[0,1]'::vector"));

    private Task<string> NameAsync() => _platform.Postgres.ScalarAsync<string>("SELECT name FROM tenancy.tenants WHERE id = $1", _acme.TenantId);
}
