using AgentPlatform.Cli;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Billing;

public sealed class BillingApiTests : IAsyncLifetime
{
    private FakeStripe _stripe = null!;
    private FakePhonePe _phonePe = null!;
    private TestApi _api = null!;

    public async Task InitializeAsync()
    {
        _stripe = await FakeStripe.StartAsync(TimeProvider.System);
        _phonePe = await FakePhonePe.StartAsync();
        _api = await TestApi.StartAsync(configure: null, BillingStage.Settings(_stripe, _phonePe));
    }

    public async Task DisposeAsync()
    {
        await _api.DisposeAsync();
        await _stripe.DisposeAsync();
        await _phonePe.DisposeAsync();
    }

    [Fact]
    public async Task A_workspace_buys_sees_what_it_has_and_changes_the_version_it_has_read()
    {
        Assert.Equal("free", (await _api.GetAsync("/api/v1/billing/standing")).Json.GetProperty("tier").GetString());
        Assert.Equal(404, (await _api.GetAsync("/api/v1/billing/subscription")).Status);
        Assert.Equal(4, (await _api.GetAsync("/api/v1/billing/tiers")).Json.GetProperty("items").GetArrayLength());
        Assert.Equal(1, await BillingCommand.ApplyAsync(_api.Platform.Services, """{"packs":[{"slug":"ten","name":"Ten","currency":"USD","price_cents":900,"execution_count":10,"valid_for_days":9}]}""", default));

        var order = await _api.PostAsync("/api/v1/billing/subscription", new { tier = "growth", provider = "stripe" }, idempotencyKey: "once");
        Assert.Equal(202, order.Status);
        await _api.Platform.DrainAsync();
        var payment = await _api.GetAsync($"/api/v1/billing/payments/{order.Json.GetProperty("payment").GetProperty("id").GetGuid()}");
        _stripe.Pay(_stripe.SessionOf(payment.Json.GetProperty("pay_url").GetString()!));
        await WorkAsync();

        var subscription = await _api.GetAsync("/api/v1/billing/subscription");
        Assert.Equal(("active", true), (subscription.Json.GetProperty("status").GetString(), subscription.Json.GetProperty("pays_by_itself").GetBoolean()));
        Assert.False(subscription.Json.TryGetProperty("method_id", out _));
        Assert.Equal(202, (await _api.PostAsync("/api/v1/billing/bought-packs", new { pack = "ten" })).Status);
        await WorkAsync();
        Assert.Equal(10, (await _api.GetAsync("/api/v1/billing/standing")).Json.GetProperty("additional_executions").GetInt32());
        Assert.Equal(2, (await _api.GetAsync("/api/v1/billing/payments?status=success")).Json.GetProperty("items").GetArrayLength());
        var invoice = (await _api.GetAsync("/api/v1/billing/invoices")).Json.GetProperty("items")[0];
        using var pdf = await _api.Http.SendAsync(new HttpRequestMessage(HttpMethod.Get, invoice.GetProperty("pdf_url").GetString()) { Headers = { { "Authorization", $"Bearer {_api.Tenant.ApiKey}" } } });
        Assert.Equal("application/pdf", pdf.Content.Headers.ContentType!.MediaType);

        Assert.Equal(412, (await _api.SendAsync(HttpMethod.Post, "/api/v1/billing/subscription/cancel", new { }, null, ("If-Match", "\"1\""))).Status);
        var cancelled = await _api.PostAsync("/api/v1/billing/subscription/cancel", new { reason = "Enough." });
        Assert.True(cancelled.Json.GetProperty("cancel_at_period_end").GetBoolean());
        foreach (var list in new[] { "subscriptions", "usage", "executions", "bought-packs", "bought-add-ons", "refunds", "add-ons", "packs" })
        {
            Assert.Equal(200, (await _api.GetAsync($"/api/v1/billing/{list}")).Status);
        }
    }

    [Fact]
    public async Task Members_see_and_only_managers_buy_and_nobody_sees_another_workspaces_money()
    {
        var member = await _api.KeyAsync("member");
        Assert.Equal("managers_only", (await _api.PostAsync("/api/v1/billing/subscription", new { tier = "growth", provider = "stripe" }, member)).Code);
        Assert.Equal(200, (await _api.GetAsync("/api/v1/billing/payments", member)).Status);
        Assert.Equal(400, (await _api.PostAsync("/api/v1/billing/subscription", new { tier = "growth", provider = "cash" })).Status);
        Assert.Equal("other_currency", (await _api.PostAsync("/api/v1/billing/subscription", new { tier = "growth", provider = "phonepe" })).Code);

        var order = await _api.PostAsync("/api/v1/billing/subscription", new { tier = "growth", provider = "stripe" });
        var stranger = await _api.Platform.ProvisionAsync();
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/billing/payments/{order.Json.GetProperty("payment").GetProperty("id").GetGuid()}", stranger.ApiKey)).Status);
    }

    [Fact]
    public async Task The_command_refuses_a_catalogue_that_breaks_a_rule()
    {
        foreach (var wrong in new[] { "{", """{"packs":[{"slug":"p","name":"P","currency":"USD","price_cents":1,"min_tier":"none"}]}""", """{"packs":[{"slug":"p","name":"P","currency":"USD","price_cents":-1}]}""" })
        {
            await Assert.ThrowsAsync<CommandException>(() => BillingCommand.ApplyAsync(_api.Platform.Services, wrong, default));
        }

        Assert.Equal(0, (await _api.GetAsync("/api/v1/billing/packs")).Json.GetProperty("items").GetArrayLength());
    }

    private async Task WorkAsync()
    {
        for (var round = 0; round < 2; round++)
        {
            await _api.Platform.Postgres.ScalarAsync<long>("WITH due AS (UPDATE work.items SET run_at = now() WHERE kind = 'billing.pay' AND state = 'ready' RETURNING 1) SELECT count(*) FROM due");
            await _api.Platform.DrainAsync();
        }
    }
}
