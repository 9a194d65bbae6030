using System.Text.Json;
using AgentPlatform.Agents.Plans;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Api;
using AgentPlatform.Brain.Scenarios;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Brain;

namespace AgentPlatform.Tests.Agents;

/// <summary>Version 2 asks for the number of guests under another name, for the phone instead of the room, and greets otherwise.</summary>
public sealed class MigrationTests : IAsyncLifetime
{
    private static readonly ScenarioStep AskParty = Booking.AskGuests with { Name = "ask_party", Branches = [], Next = "ask_phone", Collect = Booking.AskGuests.Collect! with { Prompt = "How many are you?" } };
    private static readonly ScenarioStep AskPhone = new() { Name = "ask_phone", Collect = new() { Name = "phone", Prompt = "What is your phone number?" }, Next = "done" };
    private static readonly ScenarioStep Done = new() { Name = "done", Say = "Booked for {{guests}}, {{email}}, {{phone}}." };

    private static readonly ScenarioInput Second = Booking.Scenario with { Steps = [Booking.Welcome, Booking.AskEmail with { Next = "ask_party" }, AskParty, AskPhone, Done] };

    private static readonly PlanInput Plan = new(1, 2, new(StringComparer.Ordinal) { ["ask_guests"] = "ask_party", ["ask_occasion"] = "ask_phone", ["ask_room"] = "ask_phone" }, null, null);

    private Talk _talk = null!;
    private Guid _scenario;

    public async Task InitializeAsync()
    {
        _talk = await Talk.StartAsync();
        _scenario = (await _talk.GuideAsync()).Id;
    }

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    private ManagePlans Plans => _talk.Platform.Get<ManagePlans>();

    [Fact]
    [Behaviour("ps-migration-plan-status")]
    public async Task A_plan_begins_as_a_draft_and_each_move_is_dated()
    {
        var plan = await DraftAsync(Plan);
        Assert.Equal(("DRAFT", null, null, null), (plan.Status, plan.ApprovedAt, plan.DeployedAt, plan.RejectedAt));

        var approved = (await Plans.ApproveAsync(_talk.Actor, plan.Id, IfMatch.Any, default)).Value;
        Assert.Equal("APPROVED", approved.Status);
        Assert.NotNull(approved.ApprovedAt);
        Assert.Null(approved.DeployedAt);

        var deployed = (await Plans.DeployAsync(_talk.Actor, plan.Id, IfMatch.Any, default)).Value;
        Assert.Equal(("DEPLOYED", approved.ApprovedAt), (deployed.Status, deployed.ApprovedAt));
        Assert.NotNull(deployed.DeployedAt);
        var unknown = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => _talk.InAsync(tx => tx.ExecuteAsync("UPDATE agents.migration_plans SET status = 'PAUSED'", [], default)));
        Assert.Equal("chk_migration_status", unknown.ConstraintName);
    }

    [Fact]
    [Behaviour("ps-migration-plan-gate")]
    public async Task Only_an_approved_plan_is_deployed_and_deployed_and_rejected_are_the_end()
    {
        var plan = await DraftAsync(Plan);
        await AssertRefusedAsync(Plans.DeployAsync(_talk.Actor, plan.Id, IfMatch.Any, default));
        await Plans.ApproveAsync(_talk.Actor, plan.Id, IfMatch.Any, default);
        await AssertRefusedAsync(Plans.ApproveAsync(_talk.Actor, plan.Id, IfMatch.Any, default));
        await Plans.DeployAsync(_talk.Actor, plan.Id, IfMatch.Any, default);
        await AssertOverAsync(plan.Id);

        var other = await PlannedAsync(Plan);
        Assert.Equal("REJECTED", (await Plans.RejectAsync(_talk.Actor, other.Id, IfMatch.Any, default)).Value.Status);
        await AssertOverAsync(other.Id);
    }

    [Fact]
    [Behaviour("ps-migration-transformation", "ps-migration-pending-session")]
    public async Task A_deployment_marks_the_talk_and_its_next_turn_goes_over_by_the_map_once()
    {
        await _talk.SayAsync("book a table");
        await _talk.SayAsync("ada@example.com");
        var plan = await DeployedAsync(Plan);

        var marked = await _talk.SessionAsync();
        Assert.Equal((1, plan.Id), (marked.ActiveScenarioVersion, Json.Read<PendingMigration>(marked.PendingMigration!.Value).PlanId));
        Assert.Equal((Scenario.StepId(_scenario, "ask_guests"), 1), (marked.CurrentStepId, plan.SessionsMarked));

        // The step has another name and asks for the same: what is said answers it.
        Assert.Equal("What is your phone number?", await _talk.SayAsync("4"));

        var moved = await _talk.SessionAsync();
        Assert.Equal((2, null), (moved.ActiveScenarioVersion, moved.PendingMigration?.ToString()));
        Assert.Contains(moved.StepHistory, step => step.StepId == Scenario.StepId(_scenario, "ask_party") && step.Reason == ScenarioMigration.Migrated);
        Assert.Equal("Booked for 4, ada@example.com, 555 0100.", await _talk.SayAsync("555 0100"));
        Assert.Equal(1, await AuditedAsync());
    }

    [Fact]
    [Behaviour("ps-migration-transformation")]
    public async Task Where_the_new_step_asks_for_something_else_what_is_said_does_not_answer_it()
    {
        await _talk.SayAsync("book a table");
        await _talk.SayAsync("ada@example.com");
        await _talk.SayAsync("4");
        await DeployedAsync(Plan);

        Assert.EndsWith("What is your phone number?", await _talk.SayAsync("the garden"), StringComparison.Ordinal);
        Assert.Equal("Booked for 4, ada@example.com, 555 0100.", await _talk.SayAsync("555 0100"));
    }

    [Fact]
    [Behaviour("ps-migration-transformation")]
    public async Task A_step_mapped_to_nothing_ends_the_scenario_and_one_of_the_same_name_needs_no_map()
    {
        await _talk.SayAsync("book a table");
        var first = _talk.ConversationId;
        await _talk.MeetAsync();
        await _talk.SayAsync("book a table");
        await _talk.SayAsync("ada@example.com");
        await DeployedAsync(Plan with { TransformationMap = new(Plan.TransformationMap!, StringComparer.Ordinal) { ["ask_guests"] = null } });

        Assert.DoesNotContain("phone", await _talk.SayAsync("4"), StringComparison.Ordinal);
        Assert.Null((await _talk.SessionAsync()).ActiveScenarioId);
        await SayInAsync(first, "bob@example.com");
        Assert.Equal((2, Scenario.StepId(_scenario, "ask_party")), await StandingAsync(first));
    }

    [Theory]
    [InlineData("stay", 1, "ask_room")]
    [InlineData("move", 2, "ask_phone")]
    [InlineData("restart", 2, "ask_email")]
    [InlineData("leave", null, null)]
    [Behaviour("ps-migration-anchor-policies")]
    public async Task A_policy_says_what_becomes_of_talks_that_stand_at_its_step(string policy, int? version, string? step)
    {
        await _talk.SayAsync("book a table");
        await _talk.SayAsync("ada@example.com");
        var anchored = _talk.ConversationId;
        await _talk.MeetAsync();
        await _talk.SayAsync("book a table");
        var other = _talk.ConversationId;
        await DeployedAsync(Plan with { AnchorPolicies = new(StringComparer.Ordinal) { ["ask_guests"] = policy } });

        await SayInAsync(anchored, "4");
        await SayInAsync(other, "what?");

        Assert.Equal((version, step is null ? null : Scenario.StepId(_scenario, step)), await StandingAsync(anchored));
        Assert.Equal((2, Scenario.StepId(_scenario, "ask_email")), await StandingAsync(other));
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [Behaviour("ps-migration-scope-filter")]
    public async Task Only_talks_within_the_filter_are_marked_and_the_others_stay(bool byContact, bool byStep)
    {
        await _talk.SayAsync("book a table");
        await _talk.SayAsync("ada@example.com");
        var (within, contact) = (_talk.ConversationId, _talk.ContactId);
        await _talk.MeetAsync();
        await _talk.SayAsync("book a table");
        var outside = _talk.ConversationId;

        var plan = await DeployedAsync(Plan with { ScopeFilter = new(["web"], byContact ? [contact] : null, byStep ? ["ask_guests"] : null, null) });
        Assert.Equal(1, plan.SessionsMarked);
        Assert.Equal(0, (await DeployedAsync(Plan with { ScopeFilter = new(["sms"], null, null, null) })).SessionsMarked);
        await SayInAsync(within, "4");
        await SayInAsync(outside, "bob@example.com");

        Assert.Equal((2, Scenario.StepId(_scenario, "ask_phone")), await StandingAsync(within));
        Assert.Equal((1, Scenario.StepId(_scenario, "ask_guests")), await StandingAsync(outside));
    }

    [Fact]
    [Behaviour("ps-migration-idempotent")]
    public async Task The_same_plan_changes_a_talk_once()
    {
        await _talk.SayAsync("book a table");
        await _talk.SayAsync("ada@example.com");
        var plan = await DeployedAsync(Plan);
        var mark = (await _talk.SessionAsync()).PendingMigration!.Value;
        await _talk.SayAsync("4");
        var once = await _talk.SessionAsync();

        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE conversations.sessions SET pending_migration = $2 WHERE id = $1", [once.SessionId, Json.Param(mark)], default));
        await _talk.SayAsync("what?");

        var twice = await _talk.SessionAsync();
        Assert.Equal((once.ActiveScenarioVersion, once.CurrentStepId, once.StepHistory.Count), (twice.ActiveScenarioVersion, twice.CurrentStepId, twice.StepHistory.Count));
        Assert.Null(twice.PendingMigration);
        Assert.Equal(1, twice.StepHistory.Count(step => step.Reason == ScenarioMigration.Migrated));
        Assert.Equal(2, plan.ToVersion);
    }

    [Fact]
    public async Task A_plan_must_say_where_every_step_leads_and_lead_to_steps_that_are_there()
    {
        await _talk.ChangeAsync(_scenario, Second);
        var missing = await Plans.DraftAsync(_talk.Actor, _scenario, Plan with { TransformationMap = [] }, default);
        Assert.Equal(["transformation_map.ask_guests", "transformation_map.ask_occasion", "transformation_map.ask_room"], missing.Problem!.Errors!.Keys.Order());
        var nowhere = await Plans.DraftAsync(_talk.Actor, _scenario, Plan with { TransformationMap = new(Plan.TransformationMap!, StringComparer.Ordinal) { ["ask_room"] = "done", ["x"] = null }, AnchorPolicies = new() { ["ask_email"] = "fly" } }, default);
        Assert.Equal(["anchor_policies.ask_email", "transformation_map.ask_room", "transformation_map.x"], nowhere.Problem!.Errors!.Keys.Order());
        Assert.Equal("scenario_version_not_found", (await Plans.DraftAsync(_talk.Actor, _scenario, Plan with { ToVersion = 7 }, default)).Problem!.Code);
    }

    private async Task<MigrationPlan> DraftAsync(PlanInput input)
    {
        await _talk.ChangeAsync(_scenario, Second);
        return await PlannedAsync(input);
    }

    private async Task<MigrationPlan> PlannedAsync(PlanInput input)
    {
        var drafted = await Plans.DraftAsync(_talk.Actor, _scenario, input, default);
        Assert.True(drafted.IsOk, Json.Text(drafted.Problem));
        return drafted.Value;
    }

    private async Task<MigrationPlan> DeployedAsync(PlanInput input)
    {
        var plan = await DraftAsync(input);
        await Plans.ApproveAsync(_talk.Actor, plan.Id, IfMatch.Any, default);
        return (await Plans.DeployAsync(_talk.Actor, plan.Id, IfMatch.Any, default)).Value;
    }

    private async Task AssertOverAsync(Guid id)
    {
        await AssertRefusedAsync(Plans.ApproveAsync(_talk.Actor, id, IfMatch.Any, default));
        await AssertRefusedAsync(Plans.DeployAsync(_talk.Actor, id, IfMatch.Any, default));
        await AssertRefusedAsync(Plans.RejectAsync(_talk.Actor, id, IfMatch.Any, default));
    }

    private static async Task AssertRefusedAsync(Task<Result<MigrationPlan>> move) => Assert.Equal("migration_plan_state", (await move).Problem?.Code);

    private async Task SayInAsync(Guid conversation, string text)
    {
        await _talk.InAsync(tx => _talk.Platform.Get<AgentPlatform.Brain.Chat>().SayAsync(tx, conversation, new(text), default));
        await _talk.Platform.DrainAsync();
    }

    private async Task<(int? Version, Guid? Step)> StandingAsync(Guid conversation) => await _talk.InAsync(async tx =>
    {
        var session = (await _talk.Platform.Get<AgentPlatform.Conversations.SessionStore>().TakeRunningOrStartAsync(tx, conversation, _talk.AgentId, _talk.ContactId, default))!;
        return (session.ActiveScenarioVersion, session.CurrentStepId);
    });

    private Task<int> AuditedAsync() => _talk.InAsync(tx => tx.SingleAsync<int>("SELECT count(*)::int FROM conversations.audit_events WHERE event_type = 'session.migrated'", [], default));
}
