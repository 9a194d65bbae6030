using AgentPlatform.Contacts;
using AgentPlatform.Credits;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using Npgsql;

namespace AgentPlatform.Tests.Credits;

public sealed class CreditLedgerTests : IAsyncLifetime
{
    private TestApi _api = null!;
    private Guid _contact;

    private Actor Tenant => Actor.System(_api.Tenant.TenantId);

    private CreditLedger Ledger => _api.Platform.Get<CreditLedger>();

    public async Task InitializeAsync()
    {
        _api = await TestApi.StartAsync();
        _contact = (await _api.Platform.AsAsync(Tenant, tx =>
            _api.Platform.Get<ContactDirectory>().GetOrCreateAsync(tx, new ChannelAddress("sms", "+14155550100"), "Ada", CancellationToken.None))).Id;
    }

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("yp-credit-event-sourced")]
    public async Task The_balance_is_the_sum_of_the_processed_entries()
    {
        await WriteAsync("award", 30, "intro:1");
        await WriteAsync("award", 20, "answer:1");
        await WriteAsync("spend", 15, "search:1");

        Assert.Equal(35, await BalanceAsync());
        Assert.Equal(35, await _api.Platform.Postgres.ScalarAsync<int>("SELECT balance FROM credits.user_credit_balances"));
        Assert.Equal([-15, 20, 30], (await _api.GetAsync($"/api/v1/credits/events?contact_id={_contact}")).Json.GetProperty("items").EnumerateArray().Select(e => e.GetProperty("amount").GetInt32()));
        foreach (var sql in new[] { "UPDATE credits.credit_events SET amount = 1000", "DELETE FROM credits.credit_events", "UPDATE credits.credit_events SET processed = false, processed_at = NULL" })
        {
            var error = await Assert.ThrowsAsync<PostgresException>(() => _api.Platform.Postgres.ScalarAsync<object>(sql));
            Assert.Equal(PostgresErrorCodes.RestrictViolation, error.SqlState);
        }
    }

    [Fact]
    [Behaviour("yp-credit-award")]
    public async Task A_merge_takes_the_credits_along_and_what_has_counted_counts_no_more()
    {
        var other = (await _api.Platform.AsAsync(Tenant, tx =>
            _api.Platform.Get<ContactDirectory>().GetOrCreateAsync(tx, new ChannelAddress("email", "ada@engines.example"), "Ada", CancellationToken.None))).Id;
        await WriteAsync("award", 50, "intro:1");
        var reward = (await WriteAsync("award", 7, "intro:2", pending: true)).Json.GetProperty("id").GetGuid();
        var purchase = (await WriteAsync("spend", 12, "search:1", pending: true)).Json.GetProperty("id").GetGuid();

        Assert.Equal(200, (await _api.PostAsync($"/api/v1/contacts/{_contact}/merge", new { into_id = other })).Status);

        Assert.Equal((50, 0), (await BalanceOfAsync(other), await BalanceOfAsync(_contact)));
        Assert.Equal(50, await _api.Platform.Postgres.ScalarAsync<int>("SELECT credit_balance FROM contacts.customer_profiles WHERE id = $1", other));
        var again = await _api.PostAsync("/api/v1/credits/events", new { contact_id = other, amount = 50, kind = "award", cause = "intro:1" });
        Assert.Equal(_contact, again.Json.GetProperty("contact_id").GetGuid());
        Assert.Equal(50, await BalanceOfAsync(other));

        Assert.Equal(200, (await _api.PostAsync($"/api/v1/credits/events/{reward}/process", null)).Status);
        Assert.Equal(200, (await _api.PostAsync($"/api/v1/credits/events/{purchase}/process", null)).Status);
        Assert.Equal(200, (await _api.PostAsync($"/api/v1/credits/events/{purchase}/process", null)).Status);
        Assert.Equal((45, 0), (await BalanceOfAsync(other), await BalanceOfAsync(_contact)));
    }

    [Fact]
    [Behaviour("yp-credit-cache-trigger")]
    public async Task The_contacts_copy_follows_processed_entries_and_ignores_pending_ones()
    {
        await WriteAsync("award", 30, "intro:1");
        var pending = (await WriteAsync("award", 12, "intro:2", pending: true)).Json;

        Assert.Equal(30, await CopyAsync());
        Assert.Equal(200, (await _api.PostAsync($"/api/v1/credits/events/{pending.GetProperty("id").GetGuid()}/process", null)).Status);
        Assert.Equal(200, (await _api.PostAsync($"/api/v1/credits/events/{pending.GetProperty("id").GetGuid()}/process", null)).Status);

        Assert.Equal((42, 42), (await CopyAsync(), await BalanceAsync()));
    }

    [Fact]
    [Behaviour("yp-credit-award")]
    public async Task A_cause_awards_once_however_often_and_by_how_many_it_is_said()
    {
        var results = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ =>
            _api.Platform.AsAsync(Tenant, tx => Ledger.AwardAsync(tx, _contact, 10, "intro:7", "Introduced Bob", CancellationToken.None))));

        Assert.Single(results.Select(r => r.Value.Id).Distinct());
        Assert.Equal((10, 10), (await BalanceAsync(), await CopyAsync()));
        Assert.Equal("credits.award", Assert.Single((await _api.GetAsync("/api/v1/events?event_type=credits.*")).Json.GetProperty("items").EnumerateArray()).GetProperty("event_type").GetString());
    }

    [Fact]
    [Behaviour("yp-credit-spend")]
    public async Task Spending_is_refused_below_zero_also_when_many_spend_at_once()
    {
        await WriteAsync("award", 25, "intro:1");

        var results = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => WriteAsync("spend", 10, $"search:{i}")));

        Assert.Equal(2, results.Count(r => r.Status == 201));
        Assert.All(results.Where(r => r.Status != 201), r => Assert.Equal((409, "insufficient_credits"), (r.Status, r.Code)));
        Assert.Equal((5, 5), (await BalanceAsync(), await CopyAsync()));
    }

    [Fact]
    public async Task Concurrent_awards_leave_the_copy_at_the_sum()
    {
        await Task.WhenAll(Enumerable.Range(0, 10).Select(i => WriteAsync("award", 1, $"answer:{i}")));

        Assert.Equal((10, 10), (await BalanceAsync(), await CopyAsync()));
    }

    [Fact]
    public async Task More_credits_than_a_balance_holds_are_refused_also_by_a_merge()
    {
        await WriteAsync("award", 1_000_000_000, "gift:1");
        await WriteAsync("award", 1_000_000_000, "gift:2");
        var pending = (await WriteAsync("award", 1_000_000_000, "gift:3", pending: true)).Json.GetProperty("id").GetGuid();
        var rich = (await _api.PostAsync("/api/v1/contacts", new { first_name = "Bob" })).Json.GetProperty("id").GetGuid();
        await _api.PostAsync("/api/v1/credits/events", new { contact_id = rich, kind = "award", amount = 1_000_000_000, cause = "gift:1" });

        Assert.Equal((409, "too_many_credits"), Seen(await WriteAsync("award", 1_000_000_000, "gift:4")));
        Assert.Equal((409, "too_many_credits"), Seen(await _api.PostAsync($"/api/v1/credits/events/{pending}/process", null)));
        Assert.Equal((409, "too_many_credits"), Seen(await _api.PostAsync($"/api/v1/contacts/{rich}/merge", new { into_id = _contact })));
        Assert.Equal((2_000_000_000, 1_000_000_000), (await BalanceAsync(), await BalanceOfAsync(rich)));
    }

    [Fact]
    public async Task Causes_of_merges_are_nobody_elses() => Assert.Equal(400, (await WriteAsync("adjustment", 5, $"merge:{_contact}")).Status);

    [Fact]
    public async Task An_entry_waits_for_a_merge_before_it_holds_the_balance_which_the_merge_needs()
    {
        await using var merge = _api.Platform.Get<Database>().Begin(Tenant);
        await merge.QueryAsync<Guid>("SELECT id FROM contacts.customer_profiles WHERE id = $1 FOR UPDATE", [_contact], CancellationToken.None);
        var entry = WriteAsync("award", 5, "intro:1");
        await Eventually.SeeAsync(() => _api.Platform.Postgres.ScalarAsync<bool>(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"), waits => waits);

        Assert.True(await merge.SingleAsync<bool>("SELECT pg_try_advisory_xact_lock(hashtextextended($1::uuid::text, 0))", [_contact], CancellationToken.None));

        await merge.CommitAsync(CancellationToken.None);
        Assert.Equal(201, (await entry).Status);
    }

    [Theory]
    [InlineData("award", -5, 400)]
    [InlineData("spend", 0, 400)]
    [InlineData("gift", 5, 400)]
    public async Task An_entry_that_makes_no_sense_is_a_400(string kind, int amount, int status) =>
        Assert.Equal(status, (await WriteAsync(kind, amount, "x")).Status);

    [Fact]
    public async Task Another_tenants_contact_has_no_credits_here_and_only_managers_adjust()
    {
        var other = await _api.Platform.ProvisionAsync("Other");
        var member = await _api.KeyAsync("member");

        Assert.Equal(404, (await _api.PostAsync("/api/v1/credits/events", new { contact_id = _contact, kind = "award", amount = 5, cause = "x" }, other.ApiKey)).Status);
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/credits/balances/{_contact}", other.ApiKey)).Status);
        Assert.Equal(403, (await _api.PostAsync("/api/v1/credits/events", new { contact_id = _contact, kind = "adjustment", amount = -5, cause = "x" }, member)).Status);
    }

    private static (int Status, string? Code) Seen(ApiAnswer answer) => (answer.Status, answer.Code);

    private Task<ApiAnswer> WriteAsync(string kind, int amount, string cause, bool pending = false) =>
        _api.PostAsync("/api/v1/credits/events", new { contact_id = _contact, kind, amount, cause, pending });

    private async Task<int> BalanceAsync() => (await _api.GetAsync($"/api/v1/credits/balances/{_contact}")).Json.GetProperty("balance").GetInt32();

    /// <summary>By the entries of this profile alone, whatever it was merged into.</summary>
    private async Task<int> BalanceOfAsync(Guid contact) => (await _api.Platform.AsAsync(Tenant, tx => Ledger.BalanceAsync(tx, contact, CancellationToken.None))).Balance;

    private Task<int> CopyAsync() => _api.Platform.Postgres.ScalarAsync<int>("SELECT credit_balance FROM contacts.customer_profiles WHERE id = $1", _contact);
}
