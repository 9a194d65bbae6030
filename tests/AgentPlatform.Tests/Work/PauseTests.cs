using AgentPlatform.Work;

namespace AgentPlatform.Tests.Work;

public sealed class PauseTests : IAsyncLifetime
{
    private WorkStage _stage = null!;

    public async Task InitializeAsync() => _stage = await WorkStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Theory]
    [InlineData("test.play", null, "other,other-k")]
    [InlineData(null, "k", "other,play")]
    [InlineData("test.play", "k", "other,other-k,play")]
    [InlineData(null, null, "")]
    public async Task A_pause_holds_back_its_kind_its_key_or_everything_until_it_ends(string? kind, string? key, string runs)
    {
        var paused = (await _stage.Api.PostAsync("/api/v1/work/pauses", new { kind, serial_key = key, reason = "Provider is down." })).Json;
        await _stage.EnqueueAsync(
            new NewWork("test.play", "play", new { }),
            new NewWork("test.play", "play-k", new { }) { SerialKey = "k" },
            new NewWork("test.other", "other", new { }),
            new NewWork("test.other", "other-k", new { }) { SerialKey = kind is null ? "k" : null });
        await _stage.Platform.DrainAsync();
        Assert.Equal(runs, string.Join(',', _stage.Runs.Order(StringComparer.Ordinal)));

        Assert.Equal(204, (await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/work/pauses/{paused.GetProperty("id")}")).Status);
        await _stage.Platform.DrainAsync();
        Assert.Equal(4, _stage.Runs.Count);
    }

    [Fact]
    public async Task A_pause_is_listed_renewed_with_a_new_reason_and_ends_once()
    {
        await _stage.Api.PostAsync("/api/v1/work/pauses", new { kind = "test.play", reason = "one" });
        await _stage.Api.PostAsync("/api/v1/work/pauses", new { kind = "test.play", reason = "two" });
        await _stage.Api.PostAsync("/api/v1/work/pauses", new { kind = "test.other", reason = "three" });
        var latest = (await _stage.Api.GetAsync("/api/v1/work/pauses?limit=1")).Json;
        Assert.Equal("three", Assert.Single(latest.GetProperty("items").EnumerateArray()).GetProperty("reason").GetString());
        await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/work/pauses/{latest.GetProperty("items")[0].GetProperty("id")}");
        Assert.Equal("two", (await _stage.Api.GetAsync($"/api/v1/work/pauses?limit=1&cursor={latest.GetProperty("next_cursor").GetString()}")).Json.GetProperty("items")[0].GetProperty("reason").GetString());
        var pause = Assert.Single((await _stage.Api.GetAsync("/api/v1/work/pauses")).Json.GetProperty("items").EnumerateArray());
        Assert.Equal(("two", _stage.Tenant.UserId), (pause.GetProperty("reason").GetString(), pause.GetProperty("created_by").GetGuid()));
        Assert.Equal("validation_failed", (await _stage.Api.PostAsync("/api/v1/work/pauses", new { kind = "test.play" })).Code);
        await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/work/pauses/{pause.GetProperty("id")}");
        Assert.Equal("pause_not_found", (await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/work/pauses/{pause.GetProperty("id")}")).Code);
    }

    [Fact]
    public async Task The_pause_of_one_tenant_holds_back_no_other()
    {
        await _stage.Api.PostAsync("/api/v1/work/pauses", new { reason = "Holiday." });
        var other = await _stage.Platform.NewTenantAsync("Other");
        await _stage.Platform.AsAsync(other, tx =>
        {
            _stage.Platform.Get<WorkQueue>().Enqueue(tx, new NewWork("test.play", "theirs", new { }));
            return Task.CompletedTask;
        });
        await _stage.Platform.DrainAsync();
        Assert.Equal(["theirs"], _stage.Runs);
    }
}
