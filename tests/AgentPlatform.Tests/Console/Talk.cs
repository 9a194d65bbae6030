using System.Net;
using System.Net.Http.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Console;

/// <summary>Tenants and conversations for the tests of pages.</summary>
internal static class Talk
{
    /// <summary>Begins a conversation with the pages' own form.</summary>
    internal static async Task<Guid> BeginAsync(ConsoleSite site, ProvisionedTenant tenant, string text)
    {
        using var client = await site.SignedInAsync(tenant.ApiKey);
        using var answer = await client.SubmitAsync("/simulator", "/simulator", ("agent", $"{tenant.AgentId}"), ("text", text));
        Assert.Equal(HttpStatusCode.SeeOther, answer.StatusCode);
        return Guid.Parse(answer.Headers.Location!.OriginalString["/simulator/".Length..]);
    }

    /// <summary>Its agent knows when it is open.</summary>
    internal static Task<ProvisionedTenant> TenantThatAnswersAsync(ConsoleSite site) => TenantWithAsync(site, new ActionDefinition
    {
        ActionId = "opening_hours",
        ActionName = "opening hours",
        Synonyms = Json.Of(new[] { "when are you open" }),
        ExecutionType = "reply",
        ResponseTemplate = "We are open from nine to five.",
    });

    /// <summary>Its agent asks a model about everything.</summary>
    internal static async Task<ProvisionedTenant> TenantThatThinksAsync(ConsoleSite site, FakeModel model)
    {
        var tenant = await TenantThatAnswersAsync(site);
        await SendAsync(HttpMethod.Post, "/api/v1/models", new { name = "main", provider = "anthropic", model = "main-1", base_url = model.Url, api_key = "key-of-the-test" });
        await SendAsync(HttpMethod.Patch, $"/api/v1/agents/{tenant.AgentId}", new { default_model = "main" });
        await SendAsync(HttpMethod.Put, $"/api/v1/agents/{tenant.AgentId}/config", new { model_use = "always" });
        return tenant;

        async Task SendAsync(HttpMethod method, string path, object body)
        {
            using var request = new HttpRequestMessage(method, new Uri(site.Address, path)) { Content = JsonContent.Create(body), Headers = { { "Authorization", $"Bearer {tenant.ApiKey}" } } };
            using var http = new HttpClient();
            using var answer = await http.SendAsync(request);
            Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        }
    }

    internal static Task<ProvisionedTenant> TenantThatOnboardsAsync(ConsoleSite site) => TenantWithAsync(site, Onboarding.Default);

    private static async Task<ProvisionedTenant> TenantWithAsync(ConsoleSite site, ActionDefinition action)
    {
        var tenant = await site.TenantAsync();
        var created = await site.Platform.AsAsync(Actor.System(tenant.TenantId), tx => site.Platform.Get<ActionRegistry>().CreateAsync(tx, tenant.AgentId, action, CancellationToken.None));
        Assert.True(created.IsOk);
        return tenant;
    }
}
