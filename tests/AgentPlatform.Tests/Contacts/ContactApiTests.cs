using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Contacts;

public sealed class ContactApiTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task A_contact_is_created_found_changed_and_exported()
    {
        var created = await _api.PostAsync("/api/v1/contacts", new { phone_number = "+1 415 555 0100", first_name = "Ann", company = "Siemens", expertise = new[] { "ai" }, quiet_hours_start = "22:00", quiet_hours_end = "07:30" });
        Assert.Equal(201, created.Status);
        var path = $"/api/v1/contacts/{created.Json.GetProperty("id").GetGuid()}";
        Assert.Equal(path, created.Header("Location"));
        Assert.Equal("+14155550100", created.Json.GetProperty("phone_number").GetString());

        var patched = await _api.SendAsync(HttpMethod.Patch, path, new { company = (string?)null, verified = true }, headers: ("If-Match", created.Header("ETag")!));
        Assert.Equal((200, true), (patched.Status, patched.Json.GetProperty("verified").GetBoolean()));
        Assert.Equal(System.Text.Json.JsonValueKind.Null, patched.Json.GetProperty("company").ValueKind);
        Assert.Equal(412, (await _api.SendAsync(HttpMethod.Patch, path, new { title = "x" }, headers: ("If-Match", created.Header("ETag")!))).Status);

        Assert.Equal(1, (await _api.GetAsync("/api/v1/contacts?q=ann")).Json.GetProperty("items").GetArrayLength());
        Assert.Equal(0, (await _api.GetAsync("/api/v1/contacts?q=%25")).Json.GetProperty("items").GetArrayLength());
        Assert.Equal(1, (await _api.GetAsync("/api/v1/contacts?phone_number=%2B14155550100&verified=true")).Json.GetProperty("items").GetArrayLength());
        var export = (await _api.GetAsync($"{path}/export")).Json;
        Assert.Equal("sms", export.GetProperty("kept").GetProperty("contacts.channel_identities")[0].GetProperty("channel").GetString());
        Assert.Equal(4, export.GetProperty("kept").GetProperty("contacts.profile_fields").GetArrayLength());
    }

    [Fact]
    [Behaviour("ps-asset-store")]
    public async Task Assets_are_listed_by_contact_and_by_type()
    {
        var path = await CreateAsync(new { first_name = "Ann" });
        await _api.PostAsync($"{path}/assets", new { asset_type = "cv", asset_reference = "https://files.example/cv.pdf", metadata = new { pages = 2 } });
        await _api.PostAsync($"{path}/assets", new { asset_type = "photo", asset_reference = "photos/1" });
        var other = await CreateAsync(new { first_name = "Bo" });

        Assert.Equal(2, await CountAsync($"{path}/assets"));
        Assert.Equal(0, await CountAsync($"{other}/assets"));
        var cv = (await _api.GetAsync($"{path}/assets?asset_type=cv")).Json.GetProperty("items")[0];
        Assert.Equal(("https://files.example/cv.pdf", 2), (cv.GetProperty("asset_reference").GetString(), cv.GetProperty("metadata").GetProperty("pages").GetInt32()));
        Assert.Equal(0, await CountAsync($"{path}/assets?asset_type=video"));
    }

    [Fact]
    public async Task What_belongs_to_a_contact_is_written_and_listed()
    {
        var path = await CreateAsync(new { first_name = "Ann" });

        Assert.Equal("applied", (await _api.SendAsync(HttpMethod.Put, $"{path}/fields/city", new { value = "Berlin", source = "USER_PROVIDED" })).Json.GetProperty("outcome").GetString());
        Assert.Equal("outranked", (await _api.SendAsync(HttpMethod.Put, $"{path}/fields/city", new { value = "Bonn", source = "INFERRED", confidence = 0.4 })).Json.GetProperty("outcome").GetString());
        Assert.Equal(201, (await _api.PostAsync($"{path}/identities", new { channel = "email", address = "Ann@Example.com", verified = true })).Status);
        Assert.Equal(201, (await _api.PostAsync($"{path}/assets", new { asset_type = "cv", asset_reference = "https://files.example/cv.pdf" })).Status);
        Assert.True((await _api.PostAsync($"{path}/consents", new { channel = "sms", opted_out = true })).Json.GetProperty("items")[0].GetProperty("opted_out").GetBoolean());
        Assert.Equal(200, (await _api.PostAsync($"{path}/priorities", new { priority_rank = 1, item_type = "solution_update", item_id = Guid.Parse("0190a5b2-0000-7000-8000-000000000001") })).Status);

        Assert.Equal(2, await CountAsync($"{path}/fields"));
        Assert.Equal(1, await CountAsync($"{path}/fields/city/history"));
        Assert.Equal(1, await CountAsync($"{path}/identities"));
        var asset = (await _api.GetAsync($"{path}/assets")).Json.GetProperty("items")[0].GetProperty("id").GetGuid();
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, $"{path}/assets/{asset}")).Status);
        Assert.Equal(0, await CountAsync($"{path}/assets"));
        var priority = (await _api.GetAsync($"{path}/priorities")).Json.GetProperty("items")[0].GetProperty("id").GetGuid();
        Assert.Equal("presented", (await _api.PostAsync($"{path}/priorities/{priority}/presented", null)).Json.GetProperty("items")[0].GetProperty("status").GetString());
    }

    [Fact]
    public async Task Contacts_merge_and_the_merged_one_answers_with_its_survivor()
    {
        var one = await CreateAsync(new { phone_number = "+14155550100" });
        var two = await CreateAsync(new { email = "ann@example.com" });

        var merged = await _api.PostAsync($"{one}/merge", new { into_id = two[^36..] });

        Assert.Equal((200, two[^36..]), (merged.Status, merged.Json.GetProperty("id").GetString()));
        Assert.Equal(two[^36..], (await _api.GetAsync(one)).Json.GetProperty("id").GetString());
        Assert.Equal((409, "merge_cycle"), await ProblemAsync(_api.PostAsync($"{two}/merge", new { into_id = one[^36..] })));
    }

    [Fact]
    public async Task Bad_input_is_refused_with_a_problem_and_nothing_is_stored()
    {
        Assert.Equal((400, "validation_failed"), await ProblemAsync(_api.PostAsync("/api/v1/contacts", new { phone_number = "call me", unknown = 1, verified = "yes" })));
        Assert.Equal((400, "validation_failed"), await ProblemAsync(_api.PostAsync("/api/v1/contacts", new { poc_agent_id = Guid.Parse("0190a5b2-0000-7000-8000-000000000001") })));
        Assert.Equal((400, "validation_failed"), await ProblemAsync(_api.PostAsync("/api/v1/contacts", new { quiet_hours_start = "22:00" })));
        Assert.Equal((404, "contact_not_found"), await ProblemAsync(_api.GetAsync("/api/v1/contacts/0190a5b2-0000-7000-8000-000000000001")));
        Assert.Equal(0, await CountAsync("/api/v1/contacts"));
        await CreateAsync(new { phone_number = "+14155550100" });
        Assert.Equal((409, "phone_number_taken"), await ProblemAsync(_api.PostAsync("/api/v1/contacts", new { phone_number = "+14155550100" })));
    }

    [Fact]
    public async Task Another_tenants_contact_does_not_exist_and_a_reading_key_does_not_write()
    {
        var path = await CreateAsync(new { first_name = "Ann" });
        var stranger = (await _api.Platform.ProvisionAsync("Other")).ApiKey;
        var reader = await _api.KeyAsync("member", "contacts:read");

        Assert.Equal(404, (await _api.GetAsync(path, stranger)).Status);
        Assert.Equal(200, (await _api.GetAsync(path, reader)).Status);
        Assert.Equal(403, (await _api.SendAsync(HttpMethod.Patch, path, new { title = "x" }, reader)).Status);
    }

    [Fact]
    public async Task Lists_are_paged_without_gap_or_repetition()
    {
        for (var i = 0; i < 5; i++)
        {
            await CreateAsync(new { first_name = $"n{i}" });
        }

        var names = new List<string?>();
        string? cursor = null;
        do
        {
            var page = (await _api.GetAsync($"/api/v1/contacts?limit=2{(cursor is null ? "" : $"&cursor={cursor}")}")).Json;
            names.AddRange(page.GetProperty("items").EnumerateArray().Select(c => c.GetProperty("first_name").GetString()));
            cursor = page.GetProperty("next_cursor").GetString();
        }
        while (cursor is not null);

        Assert.Equal(["n4", "n3", "n2", "n1", "n0"], names);
    }

    private async Task<string> CreateAsync(object body) => $"/api/v1/contacts/{(await _api.PostAsync("/api/v1/contacts", body)).Json.GetProperty("id").GetString()}";

    private async Task<int> CountAsync(string path) => (await _api.GetAsync(path)).Json.GetProperty("items").GetArrayLength();

    private static async Task<(int, string)> ProblemAsync(Task<ApiAnswer> answer) => await answer is var a ? (a.Status, a.Code) : default;
}
