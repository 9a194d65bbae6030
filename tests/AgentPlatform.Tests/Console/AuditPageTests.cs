using System.Net;
using AgentPlatform.Audit;
using AgentPlatform.Identity;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Tests.Console;

/// <summary>The audit in the browser, and what the console itself leaves in it.</summary>
[Collection("Console")]
public sealed class AuditPageTests(ConsoleSite site)
{
    [Fact]
    [Behaviour("bb-security-audit", "bb-security-event", "bb-audit-log")]
    public async Task An_owner_signs_in_sees_the_threat_resolves_it_and_all_of_it_is_logged()
    {
        var tenant = await ThreatenedAsync(site);
        using var client = await site.SignedInAsync(tenant.ApiKey);
        var id = await site.Platform.Postgres.ScalarAsync<Guid>("SELECT id FROM audit.security_events WHERE tenant_id = $1", tenant.TenantId);
        Assert.Contains("somebody knocks", await client.Http.GetStringAsync(new Uri("/console/audit", UriKind.Relative)), StringComparison.Ordinal);

        using var resolved = await client.SubmitAsync("/console/audit", $"/console/audit/events/{id}/resolve", ("notes", "that was me"));
        using var again = await client.SubmitAsync("/console/agents", $"/console/audit/events/{id}/resolve", ("notes", "no, me"));

        Assert.Equal((HttpStatusCode.SeeOther, HttpStatusCode.Conflict), (resolved.StatusCode, again.StatusCode));
        var page = await client.Http.GetStringAsync(new Uri("/console/audit?entity=audit.security_events", UriKind.Relative));
        Assert.DoesNotContain("somebody knocks", page, StringComparison.Ordinal);
        Assert.Contains("that was me", page, StringComparison.Ordinal);
        Assert.Equal(
            $"sign_in api_key {tenant.ApiKeyId} t 127.0.0.1; update {id} 127.0.0.1 {tenant.ApiKeyId}",
            await site.Platform.Postgres.ScalarAsync<string>(
                """
                SELECT concat_ws(' ', s.action, s.resource_type, s.resource_id, s.success, host(s.ip_address)) || '; '
                    || concat_ws(' ', a.action, a.entity_id, host(a.ip_address), a.metadata ->> 'api_key_id')
                FROM audit.security_audit_log AS s JOIN audit.audit_logs AS a ON a.tenant_id = s.tenant_id AND a.entity_type = 'audit.security_events'
                WHERE s.tenant_id = $1
                """, tenant.TenantId));
    }

    [Fact]
    public async Task Members_do_not_see_it()
    {
        var tenant = await ThreatenedAsync(site);
        var member = await MemberKeyAsync(tenant);
        using var client = await site.SignedInAsync(member);

        using var page = await client.GetAsync("/console/audit");
        using var overview = await client.GetAsync("/console");

        Assert.Equal(HttpStatusCode.Forbidden, page.StatusCode);
        Assert.DoesNotContain("/console/audit", await overview.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    /// <summary>A tenant with an open threat.</summary>
    internal static async Task<ProvisionedTenant> ThreatenedAsync(ConsoleSite site)
    {
        var tenant = await site.TenantAsync();
        site.Platform.Get<ThreatLog>().Report(new Threat(tenant.TenantId, "expired_key", "api_key", tenant.ApiKeyId, "somebody knocks") { Origin = new Origin("203.0.113.7", "x") });
        await site.Platform.Get<ThreatLog>().FlushAsync(default);
        return tenant;
    }

    private Task<string> MemberKeyAsync(ProvisionedTenant tenant) => site.Platform.AsAsync(Actor.System(tenant.TenantId), async tx =>
    {
        var user = await site.Platform.Get<UserDirectory>().EnsureAsync(tx, $"{ConsoleSite.NewId()}@example.test", null, default);
        await tx.ExecuteAsync("INSERT INTO tenancy.workspace_members (tenant_id, id, user_id, role) VALUES ($1, $2, $3, 'member')", [tenant.TenantId, ConsoleSite.NewId(), user], default);
        return (await site.Platform.Get<KeyRing>().IssueAsync(tx, user, new NewApiKey("Hers", "member"), default)).Secret;
    });
}
