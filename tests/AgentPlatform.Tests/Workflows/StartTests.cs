using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Actions;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Workflows;
using AgentPlatform.Workflows.Running;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Workflows;

/// <summary>What starts a workflow: what a person says, an event, a schedule.</summary>
public sealed class StartTests
{
    private static readonly ActionDefinition Trigger = new()
    {
        ActionId = "move_house",
        ActionName = "move house",
        DisplayName = "Move house",
        Synonyms = Json.Of(new[] { "i am moving" }),
        ParamsRequired = Json.Of(new[] { "city" }),
        ParamValidation = Json.Of(new { city = new { prompt = "Where to?" } }),
        TriggersWorkflow = true,
        WorkflowId = "moving",
        ResponseTemplate = "I arrange it.",
    };

    [Fact]
    [Behaviour("brain-wf-start")]
    public async Task What_a_person_says_starts_the_workflow_of_the_action_that_triggers_it()
    {
        await using var talk = await Talk.StartAsync(s => s.AddSingleton<IWorkflowRuntime>(p => new Held()), Trigger, Step("book_van", 10), Step("tell_city", 20));
        await talk.SayAsync("i am moving");
        Assert.Equal(0, await talk.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM workflows.workflow_instances"));
        Assert.Equal("I arrange it.", await talk.SayAsync("Utrecht"));

        var instance = await OneAsync(talk);
        Assert.Equal(("in_progress", 1, 0, 2, 1), (instance.Status, instance.CurrentStep, instance.ProgressPercentage, instance.StepsTotal, instance.WorkflowVersion));
        Assert.Equal(("moving", "intent", "Utrecht"), (instance.WorkflowId, instance.StartedBy, instance.Input.GetProperty("city").GetString()));
        Assert.Equal(((await talk.IntentsAsync())[0].IntentId, talk.ContactId, talk.AgentId), (instance.IntentId, instance.ContactId, instance.AgentId));
        Assert.Equal((await talk.SessionAsync()).SessionId, instance.SessionId);
    }

    [Fact]
    [Behaviour("brain-wf-step-order")]
    public async Task The_registrys_sequence_is_run_in_its_order_and_each_step_is_queued_when_the_one_before_is_done()
    {
        await using var talk = await Talk.StartAsync(s => s.AddSingleton<IWorkflowRuntime>(p => new Flows.Direct(p)), Trigger, Step("tell_city", 20), Step("book_van", 10), Step("say_thanks", 30));
        var queued = new List<long>();
        for (var i = 0; i < 3; i++)
        {
            talk.Endpoint.Does(async () => queued.Add(await talk.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM actions.action_queue WHERE workflow_instance_id IS NOT NULL")), 200);
        }

        await talk.SayAsync("i am moving");
        await talk.SayAsync("Utrecht");
        var instance = await OneAsync(talk);
        var steps = (await talk.QueueAsync()).Where(q => q.WorkflowInstanceId is not null).ToList();

        Assert.Equal("completed", instance.Status);
        Assert.Equal(["book_van", "tell_city", "say_thanks"], steps.Select(q => q.ActionId));
        Assert.All(steps, q => Assert.Equal(instance.WorkflowInstanceId, q.WorkflowInstanceId));
        Assert.Equal([1, 2, 3], queued);
        Assert.Equal("registry", await talk.Platform.Postgres.ScalarAsync<string>("SELECT source FROM workflows.automation_workflows"));

        // Another registry is another version.
        await talk.OfferAsync(Step("wave_goodbye", 40));
        await talk.SayAsync("i am moving");
        await talk.SayAsync("Delft");
        Assert.Equal([(1, 3), (2, 4)], (await AllAsync(talk)).Select(i => (i.WorkflowVersion, i.StepsTotal)));
    }

    [Fact]
    public async Task A_workflow_that_cannot_start_leaves_word_and_does_not_undo_the_action()
    {
        await using var talk = await Talk.StartAsync(Trigger);
        await talk.SayAsync("i am moving");
        Assert.Equal("I arrange it.", await talk.SayAsync("Utrecht"));
        Assert.Contains("workflow.not_started", await talk.EventsAsync());
    }

    [Fact]
    public async Task A_scheduled_task_starts_a_workflow()
    {
        await using var flows = await Flows.StartAsync();
        await flows.DefineAsync("later", new { id = "a", action = "upload", input = new { n = "$.input.n" } });
        var answer = await flows.Api.PostAsync("/api/v1/tasks", new { task_type = "start_workflow", agent_type = "assistant", context = new { workflow_id = "later", conversation_id = flows.ConversationId, input = new { n = 7 } } });
        Assert.True(answer.Status == 201, answer.Body);
        await flows.DrainAsync();

        Assert.Equal("7", flows.Depot.Effects.Single().Body.GetProperty("n").ToString());
        var task = (await flows.Api.GetAsync($"/api/v1/tasks/{answer.Json.GetProperty("id").GetGuid()}")).Json;
        Assert.StartsWith("wfi_", task.GetProperty("result_json").GetProperty("workflow_instance_id").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_event_starts_what_wants_it_once_and_a_workflow_never_starts_itself()
    {
        await using var flows = await Flows.StartAsync();
        await flows.DefineAsync("first", new { id = "a", action = "upload" });
        await flows.DefineWholeAsync("second", new { steps = new[] { new { id = "a", action = "notify", input = new { n = "$.input.payload.workflow_id" } } } }, more: new
        {
            trigger_event = "workflow.completed",
            trigger_when = new { path = "$.input.payload.workflow_id", equals = "first" },
        });
        await flows.DefineWholeAsync("any", new { steps = new[] { new { id = "a", action = "submit" } } }, more: new { trigger_event = "workflow.failed" });
        await flows.RunAsync("first");
        Assert.Equal(["upload", "notify"], flows.Depot.Names);
        Assert.Equal("first", flows.Depot.Effects.Last().Body.GetProperty("n").GetString());

        flows.Depot.Refuses["submit"] = 422;
        await flows.RunAsync("any");
        Assert.Single(flows.Depot.Calls, call => call == "submit");
    }

    [Fact]
    public async Task Workflows_that_wait_for_each_others_ends_start_each_other_once()
    {
        await using var flows = await Flows.StartAsync();
        foreach (var name in new[] { "ping", "pong" })
        {
            await flows.DefineWholeAsync(name, new { steps = new[] { new { id = "a", action = "notify" } } }, more: new
            {
                trigger_event = "workflow.completed",
                trigger_when = new { path = "$.input.payload.workflow_id", equals = name == "ping" ? "pong" : "ping" },
            });
        }

        await flows.RunAsync("ping");

        Assert.Equal(["ping workflow_loop"], await NotStartedAsync(flows, 1));
        Assert.Equal(["notify", "notify"], flows.Depot.Names);
        Assert.Equal(["ping:", "pong:ping"], await flows.Platform.AsAsync(flows.Actor, tx =>
            tx.QueryAsync<string>("SELECT workflow_id || ':' || array_to_string(start_chain, ',') FROM workflows.workflow_instances ORDER BY id", [], default)));
    }

    [Fact]
    public async Task A_workflow_is_not_started_by_the_end_of_its_own_part_and_a_chain_has_an_end()
    {
        await using var flows = await Flows.StartAsync();
        await flows.DefineAsync("part", new { id = "a", action = "notify" });
        await flows.DefineWholeAsync("whole", new { steps = new[] { new { id = "a", type = "workflow", workflow = "part" } } }, more: new
        {
            trigger_event = "workflow.completed",
            trigger_when = new { path = "$.input.payload.workflow_id", equals = "part" },
        });
        for (var i = 0; i <= 5; i++)
        {
            await flows.DefineWholeAsync($"link_{i}", new { steps = new[] { new { id = "a", action = "notify" } } }, more: i == 0 ? null : new
            {
                trigger_event = "workflow.completed",
                trigger_when = new { path = "$.input.payload.workflow_id", equals = $"link_{i - 1}" },
            });
        }

        await flows.RunAsync("whole");
        await flows.RunAsync("link_0");

        Assert.Equal(["whole workflow_loop", "link_5 workflow_chain_too_long"], await NotStartedAsync(flows, 2));
        Assert.Equal(6, flows.Depot.Names.Count(name => name == "notify"));
    }

    /// <summary>Each is known by an event, which is read when no older transaction runs.</summary>
    private static Task<IReadOnlyList<string>> NotStartedAsync(Flows flows, int expected) => Eventually.SeeAsync(
        async () =>
        {
            await flows.DrainAsync();
            return await flows.Platform.AsAsync(flows.Actor, tx => tx.QueryAsync<string>(
                "SELECT payload->>'workflow_id' || ' ' || (payload->>'code') FROM events.events WHERE event_type = 'workflow.not_started' ORDER BY created_at", [], default));
        },
        seen => seen.Count >= expected);

    private static async Task<WorkflowInstance> OneAsync(Talk talk) => Assert.Single(await AllAsync(talk));

    private static async Task<IReadOnlyList<WorkflowInstance>> AllAsync(Talk talk) =>
        [.. (await talk.InAsync(tx => talk.Platform.Get<WorkflowEngine>().ListAsync(tx, new InstanceFilter(), new PageRequest(50, null), default))).Items.Reverse()];

    private static ActionDefinition Step(string id, int place) => new()
    {
        ActionId = id,
        ActionName = id,
        WorkflowId = "moving",
        SequenceId = place,
        ParamsOptional = Json.Of(new[] { "city" }),
        ExecutionType = "http",
        ApiEndpoint = $"{{endpoint}}/{id}",
        ApiMethod = "POST",
        ApiIdempotent = true,
        ResponseType = "none",
    };

    /// <summary>A runtime that is told, and does nothing yet.</summary>
    private sealed class Held : IWorkflowRuntime
    {
        public Task WakeAsync(WorkflowRef workflow, CancellationToken ct) => Task.CompletedTask;
    }
}
