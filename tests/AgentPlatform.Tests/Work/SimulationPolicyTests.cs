using AgentPlatform.Work.Simulate;

namespace AgentPlatform.Tests.Work;

public sealed class SimulationPolicyTests
{
    [Fact]
    public void A_policy_says_slots_turns_limits_and_what_holds_for_kinds()
    {
        var policy = SimulationPolicy.Parse(
            """
            {
              "slots": 32, "fairness": false,
              "limits": [{"tenant": "00000000-0000-0000-0000-00000000000a", "kind": "a", "concurrency_key": "k", "max_running": 2, "per_second": 1.5}, {"kind": "a", "max_waiting": 9}],
              "kinds": {"a": {"priority": 10, "start_within_seconds": 60}}, // of ours
            }
            """);
        Assert.Equal((32, false, 2, new KindPolicy(10, 60)), (policy.Slots, policy.Fairness, policy.Limits!.Count, policy.Kinds!["a"]));
        Assert.Equal(new SimulatedLimit(Guid.Parse("00000000-0000-0000-0000-00000000000a"), "a", "k", 2, 1.5), policy.Limits[0]);
        Assert.Equal(2, policy.Limits[0].Bucket);
        Assert.True(SimulationPolicy.Parse("""{"slots": 1}""").Fairness);
    }

    [Theory]
    [InlineData("{}", "slots")]
    [InlineData("""{"slots": 0}""", "slots: must be between")]
    [InlineData("""{"slots": "8"}""", "$.slots")]
    [InlineData("""{"slots": 8, "fairnes": true}""", "fairnes")]
    [InlineData("""{"slots": 8, "limits": [null]}""", "limits[0]: is null")]
    [InlineData("""{"slots": 8, "limits": [{"kind": "a"}]}""", "limits[0].max_running: one of this")]
    [InlineData("""{"slots": 8, "limits": [{"max_running": 1, "kind": "a"}, {"max_running": 0}]}""", "limits[1].max_running: must be above zero")]
    [InlineData("""{"slots": 8, "limits": [{"max_running": 1}, {"per_second": 1}]}""", "limits[1]: its tenant, kind and concurrency_key are limited before")]
    [InlineData("""{"slots": 8, "limits": [{"per_second": -1}]}""", "limits[0].per_second")]
    [InlineData("""{"slots": 8, "limits": [{"max_running": 1, "burst": 1}]}""", "limits[0].burst")]
    [InlineData("""{"slots": 8, "limits": [{"max_waiting": 1}]}""", "limits[0].max_waiting")]
    [InlineData("""{"slots": 8, "limits": [{"max_runing": 1}]}""", "max_runing")]
    [InlineData("""{"slots": 8, "kinds": {"a": null}}""", "kinds.a: is null")]
    [InlineData("""{"slots": 8, "kinds": {"a": {"priority": 101}}}""", "kinds.a.priority")]
    [InlineData("""{"slots": 8, "kinds": {"a": {"start_within_seconds": 0}}}""", "kinds.a.start_within_seconds")]
    [InlineData("null", "null")]
    [InlineData("slots: 8", "$")]
    public void What_is_wrong_in_a_policy_is_named(string json, string offender) =>
        Assert.Contains(offender, Assert.Throws<PolicyException>(() => SimulationPolicy.Parse(json)).Message, StringComparison.Ordinal);
}
