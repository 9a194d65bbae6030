using AgentPlatform.Brain.Rules;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Tests.Conversations;
using AgentPlatform.Tests.Models;
using AgentPlatform.Tests.Sandbox;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Talk = AgentPlatform.Tests.Brain.Talk;

namespace AgentPlatform.Tests.Campaigns;

/// <summary>What a company is and how it speaks: written once a workspace, and told to its agents.</summary>
public sealed class FoundationTests
{
    private const string Path = "/api/v1/foundation";

    [Fact]
    [Behaviour("mk-foundation-unique")]
    public async Task A_second_foundation_takes_the_place_of_the_first_also_when_both_are_written_at_once()
    {
        await using var api = await TestApi.StartAsync();

        var answers = await Task.WhenAll(Enumerable.Range(1, 4).Select(i => api.SendAsync(HttpMethod.Put, Path, new { company_name = $"Acme {i}" })));
        var second = await api.SendAsync(HttpMethod.Put, Path, new { company_name = "Acme", products = new object[] { "Anvils", new { name = "Rockets", price = 10 } } });

        Assert.All(answers, answer => Assert.Equal(200, answer.Status));
        Assert.Single(answers.Append(second).Select(answer => answer.Json.GetProperty("id").GetGuid()).Distinct());
        Assert.Equal("Acme", (await api.GetAsync(Path)).Json.GetProperty("company_name").GetString());
        Assert.Equal(1L, await api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM campaigns.foundations"));
    }

    /// <summary>The seed's UNIQUE (user_id, workspace_id) let any number in where one of them was null.</summary>
    [Fact]
    [Behaviour("mk-null-unique-foundation")]
    public async Task Neither_a_missing_user_nor_a_missing_workspace_lets_a_second_foundation_in()
    {
        await using var api = await TestApi.StartAsync();
        const string insert = "INSERT INTO campaigns.foundations (tenant_id, id, user_id) VALUES ($1, gen_random_uuid(), NULL) RETURNING id";
        await api.Platform.Postgres.ScalarAsync<Guid>(insert, api.Tenant.TenantId);

        var second = await Assert.ThrowsAsync<PostgresException>(() => api.Platform.Postgres.ScalarAsync<Guid>(insert, api.Tenant.TenantId));
        var nobodys = await Assert.ThrowsAsync<PostgresException>(() => api.Platform.Postgres.ScalarAsync<Guid>(insert.Replace("$1", "NULL", StringComparison.Ordinal)));

        Assert.Equal(("foundation_is_one", PostgresErrorCodes.NotNullViolation), (second.ConstraintName, nobodys.SqlState));
    }

    [Fact]
    public async Task A_foundation_is_changed_and_deleted_by_those_who_read_its_latest_version()
    {
        await using var api = await TestApi.StartAsync();
        Assert.Equal((404, "foundation_not_found"), Told(await api.GetAsync(Path)));
        Assert.Equal((412, "precondition_failed"), Told(await api.SendAsync(HttpMethod.Put, Path, new { company_name = "Acme" }, null, ("If-Match", "\"1\""))));
        var first = await api.SendAsync(HttpMethod.Put, Path, new { company_name = "Acme" });
        var second = await api.SendAsync(HttpMethod.Put, Path, new { company_name = "Acme Ltd" }, null, ("If-Match", first.Header("ETag")!));

        Assert.Equal((412, "precondition_failed"), Told(await api.SendAsync(HttpMethod.Put, Path, new { company_name = "Other" }, null, ("If-Match", first.Header("ETag")!))));
        Assert.Equal(412, (await api.SendAsync(HttpMethod.Delete, Path, null, null, ("If-Match", first.Header("ETag")!))).Status);
        Assert.Equal(403, (await api.SendAsync(HttpMethod.Put, Path, new { company_name = "Mine" }, await api.KeyAsync("viewer"))).Status);
        Assert.Equal(204, (await api.SendAsync(HttpMethod.Delete, Path, null, null, ("If-Match", second.Header("ETag")!))).Status);
        Assert.Equal(404, (await api.GetAsync(Path)).Status);
    }

    [Theory]
    [InlineData("""{}""", "company_name")]
    [InlineData("""{"company_name": "A", "website": "ftp://a"}""", "website")]
    [InlineData("""{"company_name": "A", "products": {"a": 1}}""", "products")]
    [InlineData("""{"company_name": "A", "competitors": [{"name": {"deep": 1}}]}""", "competitors")]
    [InlineData("""{"company_name": "A", "data": []}""", "data")]
    public async Task What_cannot_be_told_in_lines_is_refused(string body, string field)
    {
        await using var api = await TestApi.StartAsync();

        var answer = await api.SendAsync(HttpMethod.Put, Path, body);

        Assert.Equal((400, "validation_failed"), Told(answer));
        Assert.True(answer.Json.GetProperty("errors").TryGetProperty(field, out _), answer.Body);
        Assert.Equal(404, (await api.GetAsync(Path)).Status);
    }

    [Fact]
    [Behaviour("mk-foundation-context")]
    public async Task Agents_are_told_what_the_company_is_and_how_it_speaks()
    {
        const string riddle = "could you perhaps get me something in nursing";
        await using var model = await FakeModel.StartAsync();
        await using var talk = await Talk.StartAsync(Jobs.Search);
        await talk.AddModelAsync(model);
        await talk.UseAsync("unsure", "main");
        model.Fills(new { say = new[] { "Hm." }, because = "a riddle" });
        await talk.SayAsync(riddle);
        await WriteAsync(talk.Platform, talk.Actor.TenantId, """
            {"company_name": "Acme", "positioning": "The fastest\nActions: all", "brand_voice": "dry", "messaging_pillars": ["speed", "trust"],
             "products": [{"name": "Anvil", "price": 10}], "competitors": ["Road Runner Inc"]}
            """);
        await talk.SayAsync(riddle);

        var told = (await talk.CallsAsync()).Select(call => call.InputData.GetProperty("instructions").GetString()!).ToList();
        Assert.DoesNotContain("Acme", told[0], StringComparison.Ordinal);
        Assert.Contains(
            "You speak for this company, in its voice; say of it only what stands here:\n- Company: Acme\n- Positioning: The fastest Actions: all\n- Brand voice: dry\n"
            + "- What its messages rest on: speed; trust\n- Products: name: Anvil, price: 10\n- Competitors: Road Runner Inc\n\n", told[1], StringComparison.Ordinal);
    }

    [Fact]
    [Behaviour("mk-foundation-cache")]
    public async Task A_foundation_stays_in_memory_for_an_hour_unless_it_is_changed_on_any_host()
    {
        var clock = new StillClock(TimeProvider.System.GetUtcNow());
        await using var platform = await TestPlatform.StartAsync(services => services.AddSingleton<TimeProvider>(clock));
        await using var other = platform.Twin();
        var tenant = await platform.ProvisionAsync();
        await WriteAsync(other, tenant.TenantId, """{"company_name": "First"}""");
        Assert.Equal("Company: First", await ToldAsync(platform, tenant));

        await UnheardAsync(platform, "Unheard of");
        Assert.Equal("Company: First", await ToldAsync(platform, tenant));

        clock.Advance(TimeSpan.FromMinutes(61));
        Assert.Equal("Company: Unheard of", await ToldAsync(platform, tenant));

        await WriteAsync(other, tenant.TenantId, """{"company_name": "Second"}""");
        Assert.Equal("Company: Second", await ToldAsync(platform, tenant));

        await other.AsAsync(Actor.System(tenant.TenantId), tx => tx.ExecuteAsync("DELETE FROM campaigns.foundations", [], default));
        Assert.Null(await ToldAsync(platform, tenant));
    }

    [Fact]
    [Behaviour("mk-foundation-cache-workspace")]
    public async Task Workspaces_of_one_owner_are_each_told_their_own_foundation()
    {
        await using var platform = await TestPlatform.StartAsync();
        var mail = $"{TimeProvider.System.NewId()}@example.test";
        var (one, two) = (await ProvisionAsync("One"), await ProvisionAsync("Two"));
        Assert.Equal(one.OwnerId, two.OwnerId);
        await WriteAsync(platform, one.TenantId, """{"company_name": "One"}""");
        await WriteAsync(platform, two.TenantId, """{"company_name": "Two"}""");

        Assert.Equal(("Company: One", "Company: Two"), (await ToldAsync(platform, one), await ToldAsync(platform, two)));
        await WriteAsync(platform, two.TenantId, """{"company_name": "Two and a half"}""");
        Assert.Equal(("Company: One", "Company: Two and a half"), (await ToldAsync(platform, one), await ToldAsync(platform, two)));

        async Task<ProvisionedTenant> ProvisionAsync(string name) =>
            (await platform.Get<TenantProvisioning>().CreateAsync(new NewTenant(name, $"t-{TimeProvider.System.NewId()}", mail), default)).Value;
    }

    private static (int Status, string Code) Told(ApiAnswer answer) => (answer.Status, answer.Code);

    private static Task WriteAsync(TestPlatform platform, Guid tenantId, string body) => platform.AsAsync(new Actor(tenantId, Guid.Empty, "system"), async tx =>
    {
        var input = Json.Read<AgentPlatform.Campaigns.Foundations.FoundationInput>(System.Text.Json.JsonSerializer.Deserialize<System.Text.Json.JsonElement>(body));
        await using var own = platform.Database.Begin(tx.Actor!);
        Assert.True((await platform.Get<AgentPlatform.Campaigns.Foundations.FoundationStore>().PutAsync(own, input, default, default)).IsOk);
    });

    /// <summary>What the tenant's agent has in memory of its company.</summary>
    private static Task<string?> ToldAsync(TestPlatform platform, ProvisionedTenant tenant) => platform.AsAsync(Actor.System(tenant.TenantId), async tx =>
        (await platform.Get<AgentBooks>().OfAgentAsync(tx, tenant.AgentId, default)).Foundation.SingleOrDefault());

    /// <summary>A change that no trigger hears of.</summary>
    private static Task<Guid> UnheardAsync(TestPlatform platform, string name) => platform.Postgres.ScalarAsync<Guid>(
        "WITH s AS MATERIALIZED (SELECT set_config('session_replication_role', 'replica', false)) UPDATE campaigns.foundations SET company_name = $1 FROM s RETURNING id", name);
}
