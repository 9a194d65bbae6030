using AgentPlatform.Agents.Rules;
using AgentPlatform.Api;
using AgentPlatform.Brain;
using AgentPlatform.Brain.Shadows;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Models;
using AgentPlatform.Tests.Sandbox;
using static AgentPlatform.Tests.Agents.Guiding;

namespace AgentPlatform.Tests.Brain;

/// <summary>What a turn leaves behind is as private as the conversation that it was taken in.</summary>
public sealed class PrivateTurnTests : IAsyncLifetime
{
    private FakeModel _model = null!;
    private Talk _talk = null!;

    public async Task InitializeAsync()
    {
        _model = await FakeModel.StartAsync();
        _talk = await Talk.StartAsync(Jobs.CancelApplication);
        await _talk.SayAsync("thanks");
    }

    public async Task DisposeAsync()
    {
        await _talk.DisposeAsync();
        await _model.DisposeAsync();
    }

    [Fact]
    public async Task Intents_calls_replies_and_shadows_of_a_private_conversation_are_seen_by_its_user_alone()
    {
        await _talk.AddModelAsync(_model);
        await _talk.UseAsync("always", "main");
        var rules = new RuleChanges([Says("pizza", "We have pizza.")], null, null);
        Assert.True((await _talk.Platform.Get<ManageShadows>().StartAsync(_talk.Actor, _talk.AgentId, new("a shadow", new Candidate(rules, null, null), null, null), default)).IsOk);
        _model.Fills(new { say = new[] { "Let me think about it." }, because = "it is hard" });
        await _talk.SayAsync("could you perhaps get me something in nursing");

        var (user, colleague) = (await MemberAsync("user"), await MemberAsync("colleague"));
        await _talk.Platform.Postgres.ScalarAsync<Guid>("UPDATE conversations.conversations SET shared = false, user_id = $1 RETURNING id", user.UserId);

        Assert.Equal((2, 1L, 2L, 1L), await SeenByAsync(user));
        Assert.Equal((0, 0L, 0L, 0L), await SeenByAsync(colleague));
        Assert.Equal((2, 1L, 2L, 1L), await SeenByAsync(_talk.Actor));
        Assert.Equal("Let me think about it.", await _talk.SayAsync("and a doctor"));
    }

    private async Task<Actor> MemberAsync(string name) => new(_talk.Actor.TenantId, await _talk.Platform.Postgres.ScalarAsync<Guid>(
        """
        WITH u AS (INSERT INTO identity.users (id, email) VALUES (gen_random_uuid(), $2) RETURNING id)
        INSERT INTO tenancy.workspace_members (tenant_id, id, user_id, role) SELECT $1, gen_random_uuid(), id, 'admin' FROM u RETURNING user_id
        """,
        _talk.Actor.TenantId, $"{name}@example.test"), "admin");

    private Task<(int Intents, long Calls, long Replies, long Shadows)> SeenByAsync(Actor actor) => _talk.Platform.AsAsync(actor, async tx => (
        (await _talk.Platform.Get<IntentLedger>().ListAsync(tx, new(null, null, null, null), new PageRequest(50, null), default)).Items.Count,
        await tx.SingleAsync<long>("SELECT count(*) FROM models.agent_actions_log", [], default),
        await tx.SingleAsync<long>("SELECT count(*) FROM messaging.message_queue", [], default),
        await tx.SingleAsync<long>("SELECT count(*) FROM brain.shadow_turns", [], default)));
}
