using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Brain.Shadows;

internal sealed record ShadowWork(Guid ShadowTurnId);

/// <summary>
/// Leaves a live turn for the agent's shadows, in the turn's own transaction and with its last round trip. It asks nothing, waits for nobody, and cannot be
/// refused: a shadow that somebody deletes meanwhile just gets nothing.
/// </summary>
internal sealed class SampleTurn(WorkQueue work, TimeProvider clock)
{
    /// <param name="tx">The live turn's.</param>
    /// <param name="scene">What it looked at.</param>
    /// <param name="own">What was decided before a language model was asked.</param>
    /// <param name="final">What was decided in the end.</param>
    internal void Take(Transaction tx, TurnScene scene, Envelope own, Envelope final)
    {
        var now = clock.GetUtcNow();
        if (scene.Book.Shadows.Count == 0 || !IsForShadows(scene.Input))
        {
            return;
        }

        foreach (var shadow in scene.Book.Shadows.Where(shadow => shadow.Takes(scene.Messages[0].Id, now)))
        {
            // Rules and recognition are compared by what they decide themselves: another answer of the same model would be no difference of theirs.
            var compared = shadow.Otherwise.Model is null ? own : final;
            var cost = JsonPath.Find(final.TokenUsage ?? default, "cost_usd") is { } spent ? spent.GetDecimal() : 0;
            var id = clock.NewId();
            tx.Post(
                Sql.Keep, id, shadow.Id, scene.Conversation.Id, scene.Input.Turn, scene.Messages[0].Id, Json.Param(TurnSnapshot.Of(scene)), Json.Param(Outline.Of(scene.Input, compared)), cost, now);
            work.Enqueue(tx, new NewWork(DecideShadow.Kind, id.ToString(), new ShadowWork(id)) { Priority = DecideShadow.Priority });
        }
    }

    /// <summary>Words like STOP are not up for trial, proofs of addresses hold secrets, and who has opted out is left alone.</summary>
    private static bool IsForShadows(TurnInput input) => input.Proof is null && !input.OptedOut && !TurnDecision.IsControl(input);

    private static class Sql
    {
        // The lock keeps the shadow there until the row that refers to it is in, and is not waited for.
        internal const string Keep =
            """
            INSERT INTO brain.shadow_turns (tenant_id, id, shadow_id, conversation_id, turn_number, message_id, input, live, live_cost_usd, created_at)
            SELECT kernel.current_tenant_id(), $1::uuid, s.id, $3::uuid, $4::int, $5::uuid, $6::jsonb, $7::jsonb, $8::numeric, $9::timestamptz
            FROM brain.shadows s WHERE s.tenant_id = kernel.current_tenant_id() AND s.id = $2 AND s.status = 'running'
            FOR KEY SHARE SKIP LOCKED
            ON CONFLICT (tenant_id, shadow_id, message_id) DO NOTHING
            """;
    }
}
