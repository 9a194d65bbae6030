using AgentPlatform.Tenancy;
using AgentPlatform.Workflows;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Workflows;

/// <summary>Agents that know nothing of each other but their events.</summary>
public sealed class SagaTests
{
    [Fact]
    [Behaviour("yp-saga-orchestration")]
    public async Task What_one_agent_has_done_sets_the_next_one_going_across_a_restart_and_a_failure_is_made_up_for()
    {
        await using var flows = await Flows.StartAsync();
        var second = (await flows.Platform.Get<ManageAgents>().CreateAsync(flows.Actor, new AgentInput("Courier", null, null, null, true), default)).Value.Id;
        await flows.OfferAsync(second, Flows.Act("deliver"));
        await flows.DefineAsync("order", new { id = "reserve", action = "reserve", input = new { n = "$.input.n" } });
        await flows.DefineWholeAsync("delivery", new
        {
            steps = new[] { new { id = "deliver", action = "deliver", input = new { @ref = "$.input.payload.details.output.reserve.ref" }, retry = new { max_retries = 2, initial_delay_seconds = 0 } } },
        }, more: new { agent_id = second, trigger_event = "workflow.completed", trigger_when = new { path = "$.input.payload.workflow_id", equals = "order" } });
        await flows.DefineWholeAsync("making_up", new { steps = new[] { new { id = "release", action = "release" } } }, more: new
        {
            trigger_event = "workflow.failed",
            trigger_when = new { path = "$.input.payload.workflow_id", equals = "delivery" },
        });

        // The process that begins goes away before anything of it was done; another one finds the work.
        await flows.BeginAsync("order", new { n = "1" });
        await using (var after = flows.Platform.Twin(s => s.AddSingleton<IWorkflowRuntime>(p => new Flows.Direct(p)), ("Actions:AllowPrivateTargets", "true")))
        {
            await after.DrainWithEventsAsync();
        }

        Assert.Equal(["reserve", "deliver"], flows.Depot.Names);
        Assert.Equal("reserve-1", flows.Depot.Effects.Last().Body.GetProperty("ref").GetString());
        Assert.Equal(second, await flows.Platform.Postgres.ScalarAsync<Guid>("SELECT agent_id FROM actions.action_queue WHERE action_id = 'deliver'"));

        // A delivery that fails is tried again, and then the first agent makes up for what it did.
        flows.Depot.Refuses["deliver"] = 429;
        await flows.BeginAsync("order", new { n = "2" });
        for (var i = 0; i < 20 && !flows.Depot.Names.Contains("release"); i++)
        {
            await flows.ChangeAsync("UPDATE actions.action_queue SET next_retry_at = now() WHERE status = 'retrying'");
            await flows.ChangeAsync("UPDATE work.items SET run_at = now() WHERE state = 'ready'");
            await flows.DrainAsync();
        }

        Assert.Equal(["reserve", "deliver", "reserve", "release"], flows.Depot.Names);
        Assert.Equal(3, flows.Depot.Calls.Count(call => call == "deliver"));
    }
}
