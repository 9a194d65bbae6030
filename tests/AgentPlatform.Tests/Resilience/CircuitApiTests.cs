using AgentPlatform.Resilience;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Resilience;

public sealed class CircuitApiTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task Operators_see_which_services_are_left_alone_and_can_have_them_called_again()
    {
        for (var i = 0; i < 5; i++)
        {
            await FailAsync("api.example");
        }

        await FailAsync("other.example");

        var open = Assert.Single((await _api.GetAsync("/api/v1/circuits?state=OPEN")).Json.GetProperty("items").EnumerateArray());
        Assert.Equal(("api.example", 5, "down"), (open.GetProperty("service").GetString(), open.GetProperty("failures").GetInt32(), open.GetProperty("last_error").GetString()));
        Assert.Equal(2, (await _api.GetAsync("/api/v1/circuits")).Json.GetProperty("items").GetArrayLength());
        Assert.Equal(400, (await _api.GetAsync("/api/v1/circuits?state=AJAR")).Status);
        Assert.NotNull((await EnterAsync("api.example")).Wait);

        var id = open.GetProperty("id").GetGuid();
        var stranger = await _api.Platform.ProvisionAsync("Other");
        Assert.Equal("api.example", (await _api.GetAsync($"/api/v1/circuits/{id}")).Json.GetProperty("service").GetString());
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/circuits/{id}", stranger.ApiKey)).Status);
        Assert.Empty((await _api.GetAsync("/api/v1/circuits", stranger.ApiKey)).Json.GetProperty("items").EnumerateArray());
        Assert.Equal((404, "circuit_not_found"), (await Reset(stranger.ApiKey)) is var refused ? (refused.Status, refused.Code) : default);

        Assert.Equal("CLOSED", (await Reset(null)).Json.GetProperty("state").GetString());
        Assert.Null((await EnterAsync("api.example")).Wait);

        Task<ApiAnswer> Reset(string? key) => _api.PostAsync($"/api/v1/circuits/{id}/reset", null, key);
    }

    private Task<Passage> EnterAsync(string service) => _api.Platform.AsAsync(_api.Owner, async tx =>
    {
        var breaker = _api.Platform.Get<CircuitBreaker>();
        return await breaker.EnterAsync(tx, await breaker.TroubledAsync(tx, default), service, TimeSpan.Zero, default);
    });

    private Task FailAsync(string service) => _api.Platform.AsAsync(_api.Owner, async tx =>
    {
        var breaker = _api.Platform.Get<CircuitBreaker>();
        var passage = await breaker.EnterAsync(tx, await breaker.TroubledAsync(tx, default), service, TimeSpan.Zero, default);
        await breaker.LeaveAsync(tx, passage, ServiceVerdict.Broken, "down", default);
    });
}
