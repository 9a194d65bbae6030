using AgentPlatform.Actions;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Api;
using AgentPlatform.Brain;
using AgentPlatform.Brain.Shadows;
using AgentPlatform.Kernel;
using AgentPlatform.Operations;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Models;
using AgentPlatform.Tests.Sandbox;
using static AgentPlatform.Tests.Agents.Guiding;

namespace AgentPlatform.Tests.Brain;

/// <summary>What a turn leaves behind is as private as the conversation that it was taken in.</summary>
public sealed class PrivateTurnTests : IAsyncLifetime
{
    private static readonly PageRequest All = new(50, null);

    private FakeModel _model = null!;
    private Talk _talk = null!;

    public async Task InitializeAsync()
    {
        _model = await FakeModel.StartAsync();
        _talk = await Talk.StartAsync(Jobs.CancelApplication);
        await _talk.SayAsync("cancel application");
    }

    public async Task DisposeAsync()
    {
        await _talk.DisposeAsync();
        await _model.DisposeAsync();
    }

    [Fact]
    public async Task What_a_turn_in_a_private_conversation_leaves_is_seen_by_its_user_alone()
    {
        await _talk.AddModelAsync(_model);
        await _talk.UseAsync("always", "main");
        var rules = new RuleChanges([Says("pizza", "We have pizza.")], null, null);
        Assert.True((await _talk.Platform.Get<ManageShadows>().StartAsync(_talk.Actor, _talk.AgentId, new("a shadow", new Candidate(rules, null, null), null, null), default)).IsOk);
        _model.Fills(new { say = new[] { "Let me think about it." }, because = "it is hard" });
        await _talk.SayAsync("could you perhaps get me something in nursing");

        var (user, colleague) = (await MemberAsync("user"), await MemberAsync("colleague"));
        await _talk.Platform.Postgres.ScalarAsync<Guid>("UPDATE conversations.conversations SET shared = false, user_id = $1 RETURNING id", user.UserId);

        await _talk.InAsync(tx => _talk.Platform.Get<AgentPlatform.Tasks.TaskBoard>().CreateAsync(tx, new("Call back", "run_action") { ConversationId = _talk.ConversationId, ExecutionConfig = Json.Of(new { action_id = "cancel_application" }), ScheduledFor = TimeProvider.System.GetUtcNow().AddDays(1) }, default));
        await _talk.Platform.Postgres.ScalarAsync<Guid>(
            """
            INSERT INTO actions.effects (tenant_id, id, action_queue_id, idempotency_key, intent, status, attempts, first_attempt_at, last_attempt_at, step, purpose)
            SELECT tenant_id, gen_random_uuid(), id, 'private', '{}', 'calling', 1, now(), now(), 0, 'call' FROM actions.action_queue RETURNING id
            """);
        Seen all = new(Intents: 2, Requests: 1, Executions: 1, Logged: 2, Replies: 2, Shadows: 1, Effects: 1, Tasks: 1);
        Assert.Equal(all, await SeenByAsync(user));
        Assert.Equal(new Seen(0, 0, 0, 0, 0, 0, 0, 0), await SeenByAsync(colleague));
        Assert.Equal(all, await SeenByAsync(_talk.Actor));
        Assert.Equal("Let me think about it.", await _talk.SayAsync("and a doctor"));
    }

    private async Task<Actor> MemberAsync(string name) => new(_talk.Actor.TenantId, await _talk.Platform.Postgres.ScalarAsync<Guid>(
        """
        WITH u AS (INSERT INTO identity.users (id, email) VALUES (gen_random_uuid(), $2) RETURNING id)
        INSERT INTO tenancy.workspace_members (tenant_id, id, user_id, role) SELECT $1, gen_random_uuid(), id, 'admin' FROM u RETURNING user_id
        """,
        _talk.Actor.TenantId, $"{name}@example.test"), "admin");

    private Task<Seen> SeenByAsync(Actor actor) => _talk.Platform.AsAsync(actor, async tx => new Seen(
        (await _talk.Platform.Get<IntentLedger>().ListAsync(tx, new(null, null, null, null), All, default)).Items.Count,
        (await _talk.Platform.Get<ActionQueue>().ListAsync(tx, new(null, null, null), All, default)).Items.Count,
        (await _talk.Platform.Get<ExecutionLog>().ListAsync(tx, new(null, null, null), All, default)).Items.Count,
        (await _talk.Platform.Get<ActionsLog>().ListAsync(tx, new(null, null, null, null), All, default)).Items.Count(entry => entry.ActionType != "event_published"),
        await tx.SingleAsync<long>("SELECT count(*) FROM messaging.message_queue", [], default),
        await tx.SingleAsync<long>("SELECT count(*) FROM brain.shadow_turns", [], default),
        (await _talk.Platform.Get<ActionEffects>().ListAsync(tx, null, null, All, default)).Items.Count,
        (await _talk.Platform.Get<AgentPlatform.Tasks.TaskBoard>().ListAsync(tx, new(), All, default)).Items.Count));

    /// <summary>How many there are. Logged: calls of models and executions.</summary>
    private sealed record Seen(int Intents, int Requests, int Executions, int Logged, long Replies, long Shadows, int Effects, int Tasks);
}
