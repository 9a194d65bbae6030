using AgentPlatform.Cli;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Cli;

public sealed class KeyCommandTests
{
    [Fact]
    public async Task A_member_gets_a_key_of_their_own_with_which_they_approve_and_nobody_else_does()
    {
        await using var api = await TestApi.StartAsync();
        await api.PostAsync("/api/v1/members", new { email = "bob@acme.example", role = "member" });

        var key = await KeyCommand.IssueAsync(api.Platform.Services, api.Tenant.TenantId, "Bob@acme.example", "Own key", default);

        Assert.Equal((404, "approval_not_found"), await RejectAsync(api, key));
        await Assert.ThrowsAsync<CommandException>(() => KeyCommand.IssueAsync(api.Platform.Services, api.Tenant.TenantId, "eve@other.example", "Own key", default));
        Assert.Equal(0L, await api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM identity.users WHERE email = 'eve@other.example'"));
    }

    private static async Task<(int Status, string Code)> RejectAsync(TestApi api, string key)
    {
        var answer = await api.PostAsync($"/api/v1/approvals/{Guid.Empty}/reject", new { reason = "No." }, key);
        return (answer.Status, answer.Code);
    }
}
