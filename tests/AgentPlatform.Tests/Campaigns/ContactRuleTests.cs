using System.Text.Json;
using AgentPlatform.Contacts.Segments;
using AgentPlatform.Kernel;

namespace AgentPlatform.Tests.Campaigns;

/// <summary>Which contacts a profile's rule is for, as Postgres answers it.</summary>
public sealed class ContactRuleTests : IAsyncLifetime
{
    private CampaignStage _stage = null!;

    public async Task InitializeAsync()
    {
        _stage = await CampaignStage.StartAsync();
        var ada = await _stage.ContactAsync("Ada", "+14155550101", new { company = "Acme \"Ltd\"", title = "CTO", expertise = new[] { "sales", "law" }, email = "ada@example.test" });
        await _stage.PutAsync($"contacts/{ada}/fields/employees", new { value = "40" });
        await _stage.ContactAsync("Bob", "+14155550102", new { company = "Bolt", verified = true });
        await _stage.ContactAsync("Cyd", "+14155550103", new { title = "ceo 🚀" });
    }

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Theory]
    [InlineData("true", "Ada Bob Cyd")]
    [InlineData("false", "")]
    [InlineData("""{"all": []}""", "Ada Bob Cyd")]
    [InlineData("""{"any": []}""", "")]
    [InlineData("""{"path": "$.company", "equals": "Acme \"Ltd\""}""", "Ada")]
    [InlineData("""{"path": "$.company", "not_equals": "Bolt"}""", "Ada Cyd")]
    [InlineData("""{"path": "$.company", "equals": null}""", "Cyd")]
    [InlineData("""{"path": "$.company", "exists": true}""", "Ada Bob")]
    [InlineData("""{"not": {"path": "$.company", "exists": true}}""", "Cyd")]
    [InlineData("""{"path": "$.title", "in": ["CTO", "ceo 🚀"]}""", "Ada Cyd")]
    [InlineData("""{"path": "$.expertise", "equals": "law"}""", "Ada")]
    [InlineData("""{"path": "$.verified", "equals": true}""", "Bob")]
    [InlineData("""{"path": "$.channels", "equals": "email"}""", "Ada")]
    [InlineData("""{"path": "$.fields.employees", "greater_than": 39.5}""", "Ada")]
    [InlineData("""{"path": "$.fields.employees", "greater_than": 40}""", "")]
    [InlineData("""{"path": "$.fields.company", "less_than": 5}""", "")]
    [InlineData("""{"path": "$.fields.no\"such' field", "exists": false}""", "Ada Bob Cyd")]
    [InlineData("""{"path": "$.company", "equals": "x\" || 1 == 1 || @ == \"x"}""", "")]
    [InlineData("""{"any": [{"path": "$.first_name", "equals": "Ada"}, {"all": [{"path": "$.verified", "equals": true}, {"not": {"path": "$.title", "exists": true}}]}]}""", "Ada Bob")]
    public async Task A_rule_finds_its_contacts(string rule, string names)
    {
        var icp = await _stage.IcpAsync(JsonSerializer.Deserialize<JsonElement>(rule));

        var found = (await _stage.GetAsync($"icp-profiles/{icp}/contacts")).GetProperty("items").EnumerateArray().Select(c => c.GetProperty("facts").GetProperty("first_name").GetString()!);

        Assert.Equal(names, string.Join(' ', found.Order(StringComparer.Ordinal)));
        Assert.Equal(names.Length == 0 ? 0 : names.Split(' ').Length, (await _stage.GetAsync($"icp-profiles/{icp}/audience")).GetProperty("contacts").GetInt64());
    }

    [Theory]
    [InlineData("1")]
    [InlineData("""{"path": "$.password", "equals": 1}""")]
    [InlineData("""{"path": "company", "equals": 1}""")]
    [InlineData("""{"path": "$.company"}""")]
    [InlineData("""{"path": "$.company", "equals": {"a": 1}}""")]
    [InlineData("""{"path": "$.company", "in": [["a"]]}""")]
    [InlineData("""{"path": "$.company", "matches": "a"}""")]
    [InlineData("""{"path": "$.company", "greater_than": "a"}""")]
    [InlineData("""{"path": "$.credit_balance", "equals": 1e300}""")]
    [InlineData("""{"all": [{"not": {"path": "$.x", "exists": true}}]}""")]
    public async Task A_rule_that_cannot_be_asked_is_refused(string rule)
    {
        Assert.NotNull(ContactRule.Error(JsonSerializer.Deserialize<JsonElement>(rule)));

        var answer = await _stage.Api.PostAsync("/api/v1/icp-profiles", new { name = "Nobody", rule = JsonSerializer.Deserialize<JsonElement>(rule) });

        Assert.Equal((400, true), (answer.Status, answer.Json.GetProperty("errors").TryGetProperty("rule", out _)));
    }

    [Fact]
    public async Task Audiences_say_where_their_contacts_can_be_written_to_and_a_page_leads_to_the_next()
    {
        var ada = (await _stage.GetAsync("contacts?q=Ada")).GetProperty("items")[0].GetProperty("id").GetGuid();
        await _stage.PostAsync($"contacts/{ada}/consents", new { channel = "sms", opted_out = true }, 200);
        var icp = await _stage.IcpAsync(true);

        var audience = await _stage.GetAsync($"icp-profiles/{icp}/audience");
        Assert.Equal((3, 2, 1, 0, 0), (Of("contacts"), Of("sms"), Of("email"), Of("webhook"), Of("unreachable")));

        var first = await _stage.GetAsync($"icp-profiles/{icp}/contacts?limit=2");
        var second = await _stage.GetAsync($"icp-profiles/{icp}/contacts?limit=2&cursor={first.GetProperty("next_cursor").GetString()}");
        Assert.Equal((2, 1), (first.GetProperty("items").GetArrayLength(), second.GetProperty("items").GetArrayLength()));

        long Of(string name) => audience.GetProperty(name).GetInt64();
    }

    [Fact]
    public async Task A_profile_is_replaced_deleted_and_guarded_by_its_version()
    {
        var icp = await _stage.IcpAsync(true, new { name = "Old", pain_points = new[] { "slow" }, preferred_channels = new[] { "email" } });
        var read = await _stage.Api.GetAsync($"/api/v1/icp-profiles/{icp}");
        var changed = await _stage.Api.SendAsync(HttpMethod.Put, $"/api/v1/icp-profiles/{icp}", new { name = "New" }, null, ("If-Match", read.Header("ETag")!));
        Assert.Equal(("New", "false", "[]"), (changed.Json.GetProperty("name").GetString(), changed.Json.GetProperty("rule").GetRawText(), changed.Json.GetProperty("pain_points").GetRawText()));

        Assert.Equal(412, (await _stage.Api.SendAsync(HttpMethod.Put, $"/api/v1/icp-profiles/{icp}", new { name = "Late" }, null, ("If-Match", read.Header("ETag")!))).Status);
        Assert.Equal(400, (await _stage.Api.PostAsync("/api/v1/icp-profiles", new { name = "A", preferred_channels = new[] { "fax" } })).Status);
        Assert.Equal(204, (await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/icp-profiles/{icp}")).Status);
        Assert.Equal("icp_profile_not_found", (await _stage.Api.GetAsync($"/api/v1/icp-profiles/{icp}")).Code);
        Assert.Equal(["icp_profile.created", "icp_profile.changed", "icp_profile.deleted"], await _stage.EventsAsync(icp));
    }
}
