using System.Text.Json;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;

namespace AgentPlatform.Tests.Conversations;

public sealed class SessionStateTests : IAsyncLifetime
{
    /// <summary>The document of seed 000, section 10.11, with a member it does not name.</summary>
    private const string Document =
        """
        {
          "expecting_response": true,
          "answer_sheet": { "type": "confirmation", "options": { "yes": ["yes", "yeah", "sure"], "no": ["no", "nope", "cancel"] } },
          "active_task": { "task_id": "0190a5b2-0000-7000-8000-000000000001", "canonical_action": "apply_job", "params_collected": { "job_id": "12345", "remote": true },
                           "params_missing": ["cover_letter"], "status": "collecting_params" },
          "previous_intents": [ { "intent_type": "greeting", "confidence": 0.98, "turn": 1 }, { "intent_type": "action", "canonical_action": "search_jobs", "turn": 2 } ],
          "conversation_context": { "domain": "job_search", "user_state": "browsing", "last_action": "searched_jobs" },
          "available_signals": ["yes", "no", "#1", "#2"],
          "intent_ledger": [ { "intent_id": "i1", "status": "processing" } ],
          "action_queue": [ { "queue_id": "q1", "status": "pending" } ],
          "schema_states": { "profile": { "schema_id": "profile", "keys": { "email": { "status": "complete", "value": "user@example.com" }, "phone": { "status": "none", "value": null } },
                                          "schema_status": "incomplete", "cache_expires_at": "2025-11-15T10:35:00+00:00" } },
          "streaming_updates": [ { "update_type": "action_lookup", "status": "found", "timestamp": "2025-11-15T10:30:00+00:00" },
                                 { "update_type": "intent_logged", "intent_id": "i1", "timestamp": "2025-11-15T10:30:01+00:00" } ],
          "resolved": { "tier": { "tool": "crm_tier", "value": "gold", "error": null, "resolved_at": "2025-11-15T10:30:00+00:00" } },
          "added_by_a_newer_version": { "kept": 1 }
        }
        """;

    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.BeginAsync();

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("brain-session-state-persist")]
    public async Task The_state_is_reloaded_unchanged_on_the_next_turn_and_starts_as_nothing()
    {
        var session = await _talk.SessionAsync();
        Assert.False(session.State.ExpectingResponse);
        Assert.Equal("{}", await _talk.ScalarAsync<string>("SELECT state::text FROM conversations.sessions WHERE id = $1", session.SessionId));

        await _talk.SaveAsync(session with { State = JsonSerializer.Deserialize<SessionState>(Document, Json.Options)! });
        var reloaded = (await _talk.SessionAsync()).State;

        Assert.True(JsonElement.DeepEquals(JsonSerializer.Deserialize<JsonElement>(Document), Json.Of(reloaded)), Json.Text(reloaded));
    }

    [Fact]
    [Behaviour("brain-session-previous-intents", "brain-session-context", "brain-session-signals")]
    public async Task Intents_context_and_signals_of_earlier_turns_are_there_as_typed_values()
    {
        var session = await _talk.SessionAsync();
        await _talk.SaveAsync(session with { State = JsonSerializer.Deserialize<SessionState>(Document, Json.Options)! });
        var state = (await _talk.SessionAsync()).State;

        Assert.Equal([("greeting", null, (double?)0.98, 1), ("action", "search_jobs", null, 2)], state.PreviousIntents.Select(i => (i.IntentType, i.CanonicalAction, i.Confidence, i.Turn)));
        Assert.Equal(("job_search", "browsing", "searched_jobs"), (state.ConversationContext.Domain, state.ConversationContext.UserState, state.ConversationContext.LastAction));
        Assert.Equal(["yes", "no", "#1", "#2"], state.AvailableSignals);
        Assert.Equal(["yes", "yeah", "sure"], state.AnswerSheet!.Options["yes"]);
        Assert.Equal(["cover_letter"], state.ActiveTask!.ParamsMissing);
        Assert.Equal("none", state.SchemaStates["profile"].Keys["phone"].Status);
    }
}
