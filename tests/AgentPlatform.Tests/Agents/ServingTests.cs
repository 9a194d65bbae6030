using AgentPlatform.Api;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Brain;

namespace AgentPlatform.Tests.Agents;

public sealed class ServingTests
{
    [Fact]
    [Behaviour("ps-agent-disabled")]
    public async Task An_agent_that_is_switched_off_takes_no_turn_until_it_is_switched_on()
    {
        await using var talk = await Talk.StartAsync(Jobs.CancelApplication);
        await SwitchAsync(talk, on: false);
        Assert.Equal("", await talk.SayAsync("withdraw my application"));
        Assert.Empty(await talk.IntentsAsync());

        await SwitchAsync(talk, on: true);
        Assert.Equal("Your application is withdrawn.", await talk.SayAsync("withdraw my application"));
    }

    private static async Task SwitchAsync(Talk talk, bool on) =>
        Assert.True((await talk.Platform.Get<ManageAgents>().ChangeAsync(talk.Actor, talk.AgentId, new(null, null, null, null, on), IfMatch.Any, default)).IsOk);
}
