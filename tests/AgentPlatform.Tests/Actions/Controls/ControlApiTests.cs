using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Actions.Controls;

/// <summary>Approvals and controls as a client of the API meets them.</summary>
public sealed class ControlApiTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync()
    {
        _api = await TestApi.StartAsync();
        var action = new ActionDefinition { ActionId = "wipe", ActionName = "wipe my data", ResponseTemplate = "wiped", Approval = Json.Of(new { risk_level = "critical" }) };
        await _api.Platform.AsAsync(_api.Owner, async tx =>
        {
            Assert.True((await _api.Platform.Get<ActionRegistry>().CreateAsync(tx, _api.Tenant.AgentId, action, default)).IsOk);
            Assert.True((await _api.Platform.Get<Chat>().StartAsync(tx, _api.Tenant.AgentId, new StartChat(null, null, "wipe my data"), default)).IsOk);
        });
        await _api.Platform.DrainAsync();
    }

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task Members_list_approve_and_delegate_approvals()
    {
        var asked = Assert.Single((await _api.GetAsync("/api/v1/approvals?status=pending")).Json.GetProperty("items").EnumerateArray());
        var path = $"/api/v1/approvals/{asked.GetProperty("id").GetGuid()}";
        var ann = await _api.MemberAsync("member");
        var actionsOnly = await _api.KeyAsync("member", "actions:write");

        Assert.Equal(403, (await _api.PostAsync($"{path}/approve", new { }, actionsOnly)).Status);
        Assert.Equal(400, (await _api.PostAsync($"{path}/reject", new { })).Status);
        Assert.Equal(200, (await _api.PostAsync($"{path}/delegate", new { to = ann.UserId })).Status);
        Assert.Equal("approval_delegated", (await _api.PostAsync($"{path}/approve", new { })).Code);
        Assert.Equal(200, (await _api.PostAsync($"{path}/approve", new { }, ann.Key)).Status);
        await _api.Platform.DrainAsync();

        var approved = (await _api.GetAsync(path)).Json;
        Assert.Equal("approved", approved.GetProperty("status").GetString());
        Assert.Equal(ann.UserId, approved.GetProperty("decisions")[0].GetProperty("user_id").GetGuid());
        Assert.Equal(409, (await _api.PostAsync($"{path}/reject", new { reason = "late" }, ann.Key)).Status);
        Assert.Equal("completed", (await _api.GetAsync($"/api/v1/actions/queue/{asked.GetProperty("action_queue_id").GetGuid()}")).Json.GetProperty("status").GetString());
    }

    [Fact]
    public async Task A_link_shows_the_question_and_answers_it_once()
    {
        var asked = Assert.Single((await _api.GetAsync("/api/v1/approvals")).Json.GetProperty("items").EnumerateArray());
        var path = $"/api/v1/approvals/{asked.GetProperty("id").GetGuid()}";
        var made = await _api.PostAsync($"{path}/links", new { });
        Assert.Equal(201, made.Status);
        var link = new Uri(made.Json.GetProperty("api_url").GetString()!).PathAndQuery;

        for (var i = 0; i < 2; i++)
        {
            var shown = await _api.GetAsync(link, key: "");
            Assert.Equal(("wipe", "pending", "no-store"), (shown.Json.GetProperty("action_type").GetString(), shown.Json.GetProperty("status").GetString(), shown.Header("Cache-Control")));
        }

        Assert.Equal("approval_link_not_found", (await _api.GetAsync($"{link[..^1]}g", key: "")).Code);
        Assert.Equal(400, (await _api.PostAsync(link, new { decision = "reject" }, key: "")).Status);
        var answered = (await _api.PostAsync(link, new { decision = "approve" }, key: "")).Json;
        Assert.Equal("approved", answered.GetProperty("status").GetString());
        Assert.Equal(("link", _api.Tenant.OwnerId), (answered.GetProperty("decisions")[0].GetProperty("via").GetString(), answered.GetProperty("decisions")[0].GetProperty("user_id").GetGuid()));
        Assert.Equal("approval_decided", (await _api.PostAsync(link, new { decision = "approve" }, key: "")).Code);
        Assert.Equal(0, await _api.Platform.AsAsync(_api.Owner, tx => tx.SingleAsync<long>("SELECT count(*) FROM actions.approval_links WHERE strpos($1, token_hash) > 0", [link], default)));
    }

    [Fact]
    public async Task A_link_ends_with_the_time_to_answer_and_with_the_membership()
    {
        var asked = Assert.Single((await _api.GetAsync("/api/v1/approvals")).Json.GetProperty("items").EnumerateArray());
        var ann = await _api.MemberAsync("member");
        async Task<string> LinkAsync(string? key = null) =>
            new Uri((await _api.PostAsync($"/api/v1/approvals/{asked.GetProperty("id").GetGuid()}/links", new { }, key)).Json.GetProperty("api_url").GetString()!).PathAndQuery;
        var (hers, mine) = (await LinkAsync(ann.Key), await LinkAsync());

        await _api.Platform.AsAsync(_api.Owner, tx => tx.ExecuteAsync("DELETE FROM tenancy.workspace_members WHERE user_id = $1", [ann.UserId], default));
        Assert.Equal("approval_link_not_found", (await _api.PostAsync(hers, new { decision = "approve" }, key: "")).Code);
        await _api.Platform.AsAsync(_api.Owner, tx => tx.ExecuteAsync("UPDATE actions.approval_links SET expires_at = now() - interval '1 second'", [], default));
        Assert.Equal(410, (await _api.PostAsync(mine, new { decision = "approve" }, key: "")).Status);
    }

    [Fact]
    public async Task A_link_is_listed_without_its_token_and_serves_nobody_once_it_is_revoked()
    {
        var asked = Assert.Single((await _api.GetAsync("/api/v1/approvals")).Json.GetProperty("items").EnumerateArray());
        var links = $"/api/v1/approvals/{asked.GetProperty("id").GetGuid()}/links";
        var made = new Uri((await _api.PostAsync(links, new { })).Json.GetProperty("api_url").GetString()!).PathAndQuery;

        var listed = await _api.GetAsync(links);
        var link = Assert.Single(listed.Json.GetProperty("items").EnumerateArray());
        Assert.Equal(_api.Tenant.OwnerId, link.GetProperty("user_id").GetGuid());
        Assert.DoesNotContain(made[^64..], listed.Body, StringComparison.Ordinal);
        Assert.DoesNotContain("token", listed.Body, StringComparison.Ordinal);
        Assert.Equal("approval_not_found", (await _api.GetAsync($"/api/v1/approvals/{Guid.Empty}/links")).Code);

        var path = $"{links}/{link.GetProperty("id").GetGuid()}";
        Assert.Equal(404, (await _api.SendAsync(HttpMethod.Delete, path, key: (await _api.Platform.ProvisionAsync("Other")).ApiKey)).Status);
        Assert.Equal(204, (await _api.SendAsync(HttpMethod.Delete, path)).Status);
        Assert.Equal("approval_link_not_found", (await _api.PostAsync(made, new { decision = "approve" }, key: "")).Code);
        Assert.Equal("approval_link_not_found", (await _api.SendAsync(HttpMethod.Delete, path)).Code);
    }

    [Fact]
    public async Task An_execution_shows_its_control_and_takes_commands()
    {
        var item = Assert.Single((await _api.GetAsync("/api/v1/actions/queue")).Json.GetProperty("items").EnumerateArray());
        var path = $"/api/v1/executions/{item.GetProperty("id").GetGuid()}/control";

        Assert.Equal("awaiting_approval", (await _api.GetAsync(path)).Json.GetProperty("control_state").GetString());
        Assert.Equal(400, (await _api.PostAsync(path, new { command = "explode" })).Status);
        Assert.Equal("cancelled", (await _api.PostAsync(path, new { command = "cancel", reason = "no" })).Json.GetProperty("control_state").GetString());
        Assert.Equal("execution_cancelled", (await _api.PostAsync(path, new { command = "resume" })).Code);
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/executions/{Guid.Empty}/control")).Status);
    }
}
