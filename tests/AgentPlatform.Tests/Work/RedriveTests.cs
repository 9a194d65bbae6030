using System.Text.Json;
using AgentPlatform.Work;

namespace AgentPlatform.Tests.Work;

public sealed class RedriveTests : IAsyncLifetime
{
    private WorkStage _stage = null!;

    public async Task InitializeAsync() => _stage = await WorkStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Theory]
    [InlineData("Order 17 of 2026 not found", "Order # of # not found")]
    [InlineData("Contact 0192f3a1-7b6c-7d21-9a00-3f5d2c7e8b11 is gone", "Contact ? is gone")]
    [InlineData("No key \"region\" in 'a b', can't go on", "No key ? in ?, can't go on")]
    [InlineData("commit 3f5d2c7e8b11, flag 0xFF", "commit ?, flag ?")]
    public async Task The_signature_of_an_error_is_what_stays_when_values_are_taken_out(string error, string signature) =>
        Assert.Equal(signature, await _stage.Platform.Postgres.ScalarAsync<string>("SELECT work.error_signature($1)", error));

    [Fact]
    public async Task Dead_items_are_grouped_by_kind_and_signature_and_redriven_by_it()
    {
        await DieAsync(item => item.Key == "x" ? "no such place" : $"Order {item.Key} not found", "1", "2", "3", "x");
        var groups = (await _stage.Api.GetAsync("/api/v1/work/dead")).Json.GetProperty("items").EnumerateArray().ToList();
        var first = (await _stage.Api.GetAsync("/api/v1/work/dead?limit=1")).Json;
        var rest = (await _stage.Api.GetAsync($"/api/v1/work/dead?limit=1&cursor={first.GetProperty("next_cursor").GetString()}")).Json;
        Assert.Equal("no such place", Assert.Single(rest.GetProperty("items").EnumerateArray()).GetProperty("error_signature").GetString());
        Assert.Equal(JsonValueKind.Null, rest.GetProperty("next_cursor").ValueKind);
        var item = (await _stage.Api.GetAsync("/api/v1/work?state=dead&limit=1")).Json.GetProperty("items")[0];
        Assert.True(JsonElement.DeepEquals(item, (await _stage.Api.GetAsync($"/api/v1/work/{item.GetProperty("id")}")).Json));
        Assert.Equal("work_item_not_found", (await _stage.Api.GetAsync("/api/v1/work/9223372036854775807")).Code);
        Assert.Equal(["test.play Order # not found 3", "test.play no such place 1"], groups.Select(g => $"{g.GetProperty("kind")} {g.GetProperty("error_signature")} {g.GetProperty("count")}"));

        await StartAsync(new { kind = "test.play", error_signature = "Order # not found", canary = 0, per_second = 100 });
        await DrainAsync(2);
        Assert.Equal(["1", "2", "3"], _stage.Runs.Order(StringComparer.Ordinal));
        Assert.Equal("completed 3 of 3, 3 done, 0 again", await RedriveAsync());
        Assert.Equal("dead|1|no such place", await _stage.StateAsync("x"));
    }

    [Fact]
    public async Task The_rest_follows_only_when_the_canaries_are_done_and_at_the_chosen_rate()
    {
        await DieAsync(_ => "no", "1", "2", "3", "4", "5", "6");
        _stage.Ends = _ => new WorkOutcome.Snooze(TimeSpan.FromHours(1));
        await StartAsync(new { canary = 1, per_second = 2 });
        await _stage.Platform.DrainAsync();
        await _stage.ChangeAsync("UPDATE work.items SET run_at = now() WHERE kind = 'work.redrive'");
        await _stage.Platform.DrainAsync();
        Assert.Equal("canary 1 of 6, 0 done, 0 again", await RedriveAsync());

        _stage.Ends = _ => new WorkOutcome.Done();
        await DrainAsync(1);
        await LetPassAsync(1);
        await DrainAsync(1);
        Assert.Equal("running 3 of 6, 3 done, 0 again", await RedriveAsync());
        await DrainAsync(1);
        Assert.Equal("running 3 of 6, 3 done, 0 again", await RedriveAsync());
        await LetPassAsync(60);
        await DrainAsync(1);
        Assert.Equal("running 6 of 6, 6 done, 0 again", await RedriveAsync());
        await LetPassAsync(1);
        await DrainAsync(1);
        Assert.Equal("completed 6 of 6, 6 done, 0 again", await RedriveAsync());
    }

    [Fact]
    public async Task A_canary_that_dies_again_stops_the_redrive_and_says_why()
    {
        await DieAsync(_ => "no", "1", "2", "3");
        _stage.Ends = _ => new WorkOutcome.Dead("still no");
        await StartAsync(new { canary = 1, per_second = 100 });
        await DrainAsync(2);
        Assert.Equal("stopped 1 of 3, 0 done, 1 again: A canary died again: test.play 1: still no", await RedriveAsync());
        Assert.Equal(["1"], _stage.Runs);
    }

    [Fact]
    public async Task An_operator_can_stop_a_redrive_and_nothing_more_is_released()
    {
        await DieAsync(_ => "no", "1", "2");
        var id = (await StartAsync(new { canary = 1 })).GetProperty("id").GetGuid();
        Assert.Equal("stopped", (await _stage.Api.PostAsync($"/api/v1/work/redrives/{id}/stop", null)).Json.GetProperty("status").GetString());
        await DrainAsync(2);
        Assert.Empty(_stage.Runs);
        Assert.Equal("redrive_is_over", (await _stage.Api.PostAsync($"/api/v1/work/redrives/{id}/stop", null)).Code);
        Assert.Equal("redrive_not_found", (await _stage.Api.PostAsync($"/api/v1/work/redrives/{Guid.Empty}/stop", null)).Code);
    }

    [Fact]
    public async Task A_redrive_of_nothing_or_at_no_rate_is_refused()
    {
        Assert.Equal("nothing_to_redrive", (await _stage.Api.PostAsync("/api/v1/work/redrives", new { })).Code);
        Assert.Equal("validation_failed", (await _stage.Api.PostAsync("/api/v1/work/redrives", new { per_second = 0 })).Code);
    }

    private async Task DieAsync(Func<WorkItem, string> error, params string[] keys)
    {
        _stage.Ends = item => new WorkOutcome.Dead(error(item));
        await _stage.EnqueueAsync(keys);
        await _stage.Platform.DrainAsync();
        _stage.Ends = _ => new WorkOutcome.Done();
        _stage.Runs.Clear();
    }

    private async Task<JsonElement> StartAsync(object request)
    {
        var started = await _stage.Api.PostAsync("/api/v1/work/redrives", request);
        Assert.Equal(202, started.Status);
        Assert.True(JsonElement.DeepEquals(started.Json, (await _stage.Api.GetAsync(started.Header("Location")!)).Json));
        return started.Json;
    }

    private async Task DrainAsync(int times)
    {
        for (var i = 0; i < times; i++)
        {
            await _stage.DrainDueAsync();
        }
    }

    private Task LetPassAsync(int seconds) => _stage.Platform.AsAsync(_stage.Tenant, tx =>
        tx.ExecuteAsync("UPDATE work.redrives SET released_at = now() - make_interval(secs => $1)", [seconds], default));

    private async Task<string> RedriveAsync()
    {
        var r = Assert.Single((await _stage.Api.GetAsync("/api/v1/work/redrives")).Json.GetProperty("items").EnumerateArray());
        var text = $"{r.GetProperty("status")} {r.GetProperty("released")} of {r.GetProperty("matched")}, {r.GetProperty("done")} done, {r.GetProperty("died_again")} again";
        return r.GetProperty("reason").GetString() is { } reason ? $"{text}: {reason}" : text;
    }
}
