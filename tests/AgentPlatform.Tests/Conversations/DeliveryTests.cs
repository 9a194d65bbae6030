using AgentPlatform.Conversations;

namespace AgentPlatform.Tests.Conversations;

public sealed class DeliveryTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.BeginAsync();

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    public async Task A_late_sent_never_takes_back_a_delivered()
    {
        var id = await _talk.SayAsync("hi");

        Assert.True(await UpdateAsync(id, "delivered"));
        Assert.False(await UpdateAsync(id, "sent"));
        Assert.False(await UpdateAsync(id, "failed"));

        var message = (await _talk.LoadAsync()).Messages[0];
        Assert.Equal("delivered", message.Status);
        Assert.NotNull(message.SentAt);
        Assert.NotNull(message.DeliveredAt);
        Assert.Null(message.ErrorCode);
    }

    [Fact]
    [Behaviour("yp-sms-delivered")]
    public async Task The_providers_id_finds_the_message_and_sent_then_delivered_are_dated()
    {
        var id = await _talk.SayAsync("hi");
        await UpdateAsync(id, "sent");

        var found = await _talk.DoAsync(tx => _talk.Log.FindByProviderIdAsync(tx, "SM123", default));
        Assert.Equal((id, "sent"), (found!.Id, found.Status));
        Assert.Null(found.DeliveredAt);

        await UpdateAsync(found.Id, "delivered");
        Assert.NotNull((await _talk.LoadAsync()).Messages[0].DeliveredAt);
    }

    [Fact]
    public async Task A_failure_keeps_its_reason_and_inbound_messages_have_no_delivery()
    {
        var id = await _talk.SayAsync("hi");
        var inbound = await _talk.HearAsync("hello");

        Assert.True(await UpdateAsync(id, "failed"));
        Assert.False(await UpdateAsync(inbound, "failed"));

        var message = (await _talk.LoadAsync()).Messages[1];
        Assert.Equal(("failed", "30003", "unreachable"), (message.Status, message.ErrorCode, message.ErrorMessage));
        Assert.NotNull(message.FailedAt);
    }

    [Fact]
    public async Task The_statement_and_the_pure_function_agree_on_every_pair_of_states()
    {
        foreach (var from in Delivery.Statuses.Prepend(null))
        {
            foreach (var to in Delivery.Statuses)
            {
                var sql = await _talk.ScalarAsync<bool>("SELECT conversations.delivery_rank($2) > conversations.delivery_rank($1)", from, to);
                Assert.True(sql == Delivery.MayMove(from, to), $"{from} -> {to}");
            }
        }
    }

    [Fact]
    [Behaviour("yp-outbound-trigger")]
    public async Task An_outbound_pending_message_is_queued_for_send_and_announced_however_long_it_is()
    {
        var heard = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var connection = new Npgsql.NpgsqlConnection(_talk.Platform.Postgres.ConnectionString);
        await connection.OpenAsync();
        connection.Notification += (_, e) => heard.TrySetResult(e.Payload);
        await using (var listen = new Npgsql.NpgsqlCommand("LISTEN send_sms", connection))
        {
            await listen.ExecuteNonQueryAsync();
        }

        await _talk.HearAsync("an inbound message is not announced");
        await _talk.SayAsync("nor is one of another status", status: "queued");
        var id = await _talk.SayAsync(new string('x', 20_000));
        Assert.True(await connection.WaitAsync(TimeSpan.FromSeconds(60)));

        Assert.Equal("queued_for_send", (await _talk.LoadAsync()).Messages[0].Status);
        using var payload = System.Text.Json.JsonDocument.Parse(await heard.Task);
        Assert.Equal(id, payload.RootElement.GetProperty("id").GetGuid());
        Assert.Equal(_talk.Tenant.TenantId, payload.RootElement.GetProperty("tenant_id").GetGuid());
    }

    private Task<bool> UpdateAsync(Guid id, string status) => _talk.DoAsync(tx => _talk.Log.UpdateDeliveryAsync(
        tx, id, new DeliveryUpdate(status, _talk.Clock.GetUtcNow()) { ProviderMessageId = "SM123", ErrorCode = "30003", ErrorMessage = "unreachable" }, default));
}
