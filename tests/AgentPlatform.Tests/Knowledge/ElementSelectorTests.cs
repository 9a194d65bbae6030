using System.Text.Json;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Knowledge;

/// <summary>The registry that browser workers ask for an element's selectors, and tell how they did.</summary>
public sealed class ElementSelectorTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    [Behaviour("bb-selector-fallback")]
    public async Task A_worker_is_told_the_primary_selector_first_and_then_the_fallbacks_in_order()
    {
        await RegisterAsync("#a", "#b", "#c");

        Assert.Equal(["#a", "#b", "#c"], Selectors(await LookUpAsync()));
        Assert.Equal("element_selector_not_found", (await _api.GetAsync("/api/v1/element-selectors/lookup?page_path=/login&element_name=other")).Code);
        Assert.Equal("validation_failed", (await _api.GetAsync("/api/v1/element-selectors/lookup?page_path=/login")).Code);
    }

    [Fact]
    [Behaviour("bb-selector-fallback")]
    public async Task Ones_own_entry_comes_before_the_shared_one()
    {
        await RegisterAsync("#shared");
        var (_, key) = await _api.MemberAsync("member");
        Assert.Equal(201, (await _api.PostAsync("/api/v1/element-selectors", Body(["#own"], shared: false), key)).Status);

        Assert.Equal(["#own"], Selectors((await _api.GetAsync("/api/v1/element-selectors/lookup?page_path=/login&element_name=submit", key)).Json));
        Assert.Equal(["#shared"], Selectors(await LookUpAsync()));
    }

    [Fact]
    [Behaviour("bb-selector-success-rate")]
    public async Task Each_attempt_counts_and_a_success_verifies_the_element()
    {
        var id = (await RegisterAsync("#a", "#b")).Id();
        Assert.Equal((0, 1.0), (await LookUpAsync() is var fresh ? fresh.Int("total_attempts") : -1, fresh.Number("success_rate")));

        var failed = await AttemptAsync(id, "#a", succeeded: false);
        Assert.Equal((1, 0.0), (failed.Int("total_attempts"), failed.Number("success_rate")));
        Assert.True(failed.IsNull("last_verified"));

        var found = (await _api.PostAsync($"/api/v1/element-selectors/{id}/attempts", new { selector = "#b", succeeded = true, screenshot_ref = "shots/1.png" })).Json;
        Assert.Equal((2, 0.5, "shots/1.png"), (found.Int("total_attempts"), found.Number("success_rate"), found.Text("screenshot_ref")));
        var verified = found.GetProperty("last_verified").GetDateTimeOffset();

        var later = await AttemptAsync(id, "#a", succeeded: false);
        Assert.Equal((3, verified), (later.Int("total_attempts"), later.GetProperty("last_verified").GetDateTimeOffset()));
        Assert.Equal(1.0 / 3, later.Number("success_rate"), 5);
        Assert.Equal("""{"#a":{"failures":2,"successes":0},"#b":{"failures":0,"successes":1}}""", later.GetProperty("attempts").GetRawText());
    }

    [Fact]
    [Behaviour("bb-selector-success-rate")]
    public async Task A_fallback_that_proves_better_in_five_attempts_takes_the_first_place()
    {
        var id = (await RegisterAsync("#a", "#b", "#c")).Id();
        for (var i = 0; i < 4; i++)
        {
            await AttemptAsync(id, "#a", succeeded: false);
            Assert.Equal(["#a", "#b", "#c"], Selectors(await AttemptAsync(id, "#c", succeeded: true)));
        }

        Assert.Equal(["#c", "#a", "#b"], Selectors(await AttemptAsync(id, "#c", succeeded: true)));
        Assert.Equal("#c", (await LookUpAsync()).Text("primary_selector"));
    }

    [Fact]
    [Behaviour("bb-selector-success-rate")]
    public async Task A_fallback_that_is_no_better_stays_where_it_is()
    {
        var id = (await RegisterAsync("#a", "#b")).Id();
        for (var i = 0; i < 6; i++)
        {
            await AttemptAsync(id, "#a", succeeded: true);
            Assert.Equal(["#a", "#b"], Selectors(await AttemptAsync(id, "#b", succeeded: true)));
        }
    }

    [Fact]
    [Behaviour("bb-selector-success-rate")]
    public async Task A_page_that_has_changed_is_noticed_although_its_old_selector_worked_a_hundred_times()
    {
        var id = (await RegisterAsync("#old", "#new")).Id();
        for (var i = 0; i < 100; i++)
        {
            await AttemptAsync(id, "#old", succeeded: true);
        }

        var changed = await LookUpAsync();
        var rounds = 0;
        for (; Selectors(changed)[0] == "#old" && rounds < 20; rounds++)
        {
            await AttemptAsync(id, "#old", succeeded: false);
            changed = await AttemptAsync(id, "#new", succeeded: true);
        }

        Assert.InRange(rounds, 5, 8);
        Assert.Equal(100 + (2 * rounds), changed.Int("total_attempts"));
    }

    [Fact]
    [Behaviour("bb-selector-success-rate")]
    public async Task Reports_that_come_at_once_are_all_counted()
    {
        var id = (await RegisterAsync("#a", "#b")).Id();

        await Task.WhenAll(Enumerable.Range(0, 40).Select(i => AttemptAsync(id, i % 4 == 0 ? "#a" : "#b", succeeded: i % 4 != 0)));

        var counted = await LookUpAsync();
        Assert.Equal((40, 0.75), (counted.Int("total_attempts"), counted.Number("success_rate")));
        Assert.Equal(["#b", "#a"], Selectors(counted));
        Assert.Equal(10, counted.GetProperty("attempts").GetProperty("#a").Int("failures"));
    }

    [Fact]
    public async Task Selectors_that_stay_keep_what_is_known_of_them_and_one_that_is_gone_can_not_be_reported()
    {
        var id = (await RegisterAsync("#a", "#b")).Id();
        await AttemptAsync(id, "#a", succeeded: false);
        await AttemptAsync(id, "#b", succeeded: true);

        var changed = (await _api.SendAsync(HttpMethod.Patch, $"/api/v1/element-selectors/{id}", """{"primary_selector":"#b","fallback_selectors":["#c"]}""")).Json;

        Assert.Equal(["#b", "#c"], Selectors(changed));
        Assert.Equal("""{"#b":{"failures":0,"successes":1}}""", changed.GetProperty("attempts").GetRawText());
        var gone = await _api.PostAsync($"/api/v1/element-selectors/{id}/attempts", new { selector = "#a", succeeded = true });
        Assert.Equal((409, "selector_unknown", 2), (gone.Status, gone.Code, (await LookUpAsync()).Int("total_attempts")));
    }

    [Theory]
    [InlineData("""{"page_path":"/login","element_name":"submit","primary_selector":"#x","shared":true}""", 409, "element_selector_exists")]
    [InlineData("""{"page_path":"/a","element_name":"b","primary_selector":"#x","fallback_selectors":["#y","#x"]}""", 400, "validation_failed")]
    [InlineData("""{"page_path":"/ä","element_name":"b","primary_selector":"#x"}""", 400, "validation_failed")]
    [InlineData("""{"page_path":"/a","element_name":"b"}""", 400, "validation_failed")]
    public async Task What_is_wrong_is_said_and_nothing_is_stored(string body, int status, string code)
    {
        await RegisterAsync("#a");

        var answer = await _api.PostAsync("/api/v1/element-selectors", body);

        Assert.Equal((status, code), (answer.Status, answer.Code));
        Assert.Single((await _api.GetAsync("/api/v1/element-selectors")).Json.GetProperty("items").EnumerateArray());
    }

    private static object Body(string[] selectors, bool shared) => new { page_path = "/login", element_name = "submit", primary_selector = selectors[0], fallback_selectors = selectors[1..], shared };

    private async Task<JsonElement> RegisterAsync(params string[] selectors)
    {
        var made = await _api.PostAsync("/api/v1/element-selectors", Body(selectors, shared: true));
        Assert.True(made.Status == 201, made.Body);
        return made.Json;
    }

    private async Task<JsonElement> LookUpAsync() => (await _api.GetAsync("/api/v1/element-selectors/lookup?page_path=/login&element_name=submit")).Json;

    private async Task<JsonElement> AttemptAsync(Guid id, string selector, bool succeeded)
    {
        var answer = await _api.PostAsync($"/api/v1/element-selectors/{id}/attempts", new { selector, succeeded });
        Assert.True(answer.Status == 200, answer.Body);
        return answer.Json;
    }

    private static string[] Selectors(JsonElement element) => [.. element.GetProperty("selectors").EnumerateArray().Select(s => s.GetString()!)];
}
