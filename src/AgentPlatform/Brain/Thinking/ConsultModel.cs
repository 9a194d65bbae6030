using AgentPlatform.Brain.Rules;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Memory.Searching;
using AgentPlatform.Models;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Brain.Thinking;

/// <summary>What a turn goes on with.</summary>
internal abstract record Thought
{
    private Thought()
    {
    }

    /// <summary>Refused: why a model that should have been asked was not: <c>over_budget</c> or <c>model_unavailable</c>.</summary>
    internal sealed record Decided(Envelope Envelope, string? Refused = null) : Thought;

    /// <summary>A call is prepared: commit, make it, and take the turn again.</summary>
    internal sealed record Call(PreparedCall Prepared) : Thought;

    /// <summary>An answer is there that was about fewer messages: take the turn with those.</summary>
    internal sealed record Reread(Guid ThroughId) : Thought;
}

/// <summary>
/// What a model may be asked about: a turn, known by <see cref="TurnId"/>, and the messages that it answers. That of a shadow is only tried: its calls are
/// marked in the journal, and nobody hears of them.
/// </summary>
internal sealed record Occasion(Guid TurnId, Conversation Conversation, Guid SessionId, TurnInput Input, IReadOnlyList<Guid> MessageIds)
{
    internal bool IsShadow { get; init; }

    internal Guid ThroughId => MessageIds[^1];

    /// <summary>Of a call, as the journal and the ledger of tokens name it.</summary>
    internal string Purpose(string purpose) => IsShadow ? $"shadow_{purpose}" : purpose;

    /// <summary>A shadow comes after its turn, and must not know what was said since.</summary>
    internal bool Knows(Message message) =>
        (message.Direction != "inbound" || message.TurnNumber is not null || MessageIds.Contains(message.Id)) && (!IsShadow || message.Id.CompareTo(ThroughId) <= 0);
}

/// <summary>
/// Asks the agent's model what the built-in brain is not sure of, or everything that is open where the agent says so. Each call is in the
/// journal before it is made, so a turn that is taken again, on any host, goes on with the answers it has paid for.
/// </summary>
internal sealed class ConsultModel(ModelCatalog catalog, ModelCalls calls, ConversationLog conversations, MemberDirectory members, Recall recall, EventStore events)
{
    private const int History = 20;

    internal async Task<Thought> ConsiderAsync(Transaction tx, Occasion at, Envelope own, CancellationToken ct)
    {
        if (!Wants(at.Input, own))
        {
            return new Thought.Decided(own);
        }

        tx.Gather();
        var (asking, making) = (catalog.ChainAsync(tx, at.Input.Agent.Models, ct), calls.OfTurnAsync(tx, at.TurnId, ct));
        var (told, owner) = (conversations.LatestAsync(tx, at.Conversation.Id, History, ct), members.OwnerAsync(tx, ct));
        // It travels with the other questions, and only where the agent remembers.
        var recalling = at.Input.Agent.Memory
            ? recall.ForTurnAsync(tx, at.Input.Agent.Id, at.Input.Contact.Id, at.Conversation.Id, at.SessionId, at.Input.Text, at.Input.Now, ct)
            : Task.FromResult<IReadOnlyList<MemoryHit>>([]);
        await tx.AskAsync(ct);
        var (chain, made) = (await asking, await making);
        if (made is [.., { Status: "started" } begun])
        {
            calls.Interrupt(tx, begun.Id);
        }

        if (made.Count > 0 && made[^1].ThroughId is var through && through != at.ThroughId && at.MessageIds.Contains(through))
        {
            return new Thought.Reread(through);
        }

        var history = (await told).Reverse().Where(at.Knows);
        var background = new Background(
            at.Conversation.ConversationSummary, at.Conversation.AiPersonality, [.. history], await members.ConstitutionAsync(tx, await owner, ct), [.. (await recalling).Select(hit => hit.Content)]);
        var thought = await NextAsync(tx, at, own, new Consultation(chain, made, background), ct);
        if (thought is Thought.Call && made.Count == 0)
        {
            Recalled(tx, at, await recalling);
        }

        return thought;
    }

    private async Task<Thought> NextAsync(Transaction tx, Occasion at, Envelope own, Consultation so, CancellationToken ct)
    {
        var wanted = new List<(LlmModel Model, string Purpose, ModelPrompt Prompt)>();
        var prompt = TurnPrompt.Of(at.Input, so.Background);
        if (so.Made is [.., { Status: "answered", OutputData: { } output } last])
        {
            var (envelope, wrong) = ModelAnswer.Read(at.Input, last.ModelName, output);
            if (envelope is not null)
            {
                return Decided(tx, at, Scenarios.ScenarioTurn.GoOn(at.Input, envelope with { Rules = own.Rules, Variables = own.Variables }), so.Made);
            }

            if (last.ActionType == $"model_{at.Purpose("reply")}" && so.Chain.FirstOrDefault(m => m.Name == last.ModelName) is { } same)
            {
                wanted.Add((same, "repair", TurnPrompt.Repaired(prompt, at.Input, so.Background, output, wrong)));
            }
        }
        else
        {
            wanted.AddRange(so.Chain.Where(model => so.Made.All(call => call.ModelName != model.Name)).Select(model => (model, "reply", prompt)));
        }

        var version = at.Input.Prompt is { TemplateSetId: { } set, Version: { } number } ? new PromptVersion(set, number) : null;
        foreach (var (model, purpose, text) in wanted)
        {
            var place = new CallPlace(at.TurnId, so.Made.Count + 1, at.Input.Agent.Id, own.Role, at.Input.Contact.Id, at.Conversation.Id, at.ThroughId)
            {
                // What a shadow costs is not what the instance costs.
                AgentInstanceId = at.IsShadow ? null : at.Input.Instance?.Id,
            };
            switch (await calls.PrepareAsync(tx, new NewCall(place, model, at.Purpose(purpose), text, version), ct))
            {
                case CallStart.Ready ready:
                    return new Thought.Call(ready.Call);
                case CallStart.OverBudget over:
                    Event(tx, at, "model.refused", new { model = model.Name, reason = "budget", over.Refusal.Period, over.Refusal.Budget, over.Refusal.AgentId });
                    return Decided(tx, at, own, so.Made) with { Refused = "over_budget" };
                case CallStart.Unavailable unavailable:
                    Event(tx, at, "model.refused", new { model = model.Name, reason = unavailable.Reason });
                    break;
            }
        }

        return Decided(tx, at, own, so.Made) with { Refused = so.Chain.Count == 0 || wanted.Count > 0 ? "model_unavailable" : null };
    }

    /// <summary>The model is about to be told: once a turn, however often the turn is taken. A shadow leaves no trace on what is remembered.</summary>
    private void Recalled(Transaction tx, Occasion at, IReadOnlyList<MemoryHit> told)
    {
        if (told.Count > 0 && !at.IsShadow)
        {
            recall.Touch(tx, told);
            Event(tx, at, "memory.recalled", new { turn_number = at.Input.Turn, memories = told.Select(hit => new { hit.Kind, hit.Id, hit.Type, score = Math.Round(hit.Score, 3) }) });
        }
    }

    /// <summary>The turn ends here: what was asked on the way is told with it, once.</summary>
    private Thought.Decided Decided(Transaction tx, Occasion at, Envelope envelope, IReadOnlyList<StoredCall> made)
    {
        foreach (var call in made)
        {
            var status = call.Status == "started" ? "interrupted" : call.Status;
            Event(tx, at, "model.called", new
            {
                call.TurnId,
                model = call.ModelName,
                purpose = call.ActionType,
                status,
                call.InputTokens,
                call.OutputTokens,
                call.CostUsd,
                call.LatencyMs,
                call.Error,
                template_set = call.TemplateSetId is { } set && set == at.Input.Prompt.TemplateSetId ? at.Input.Prompt.Name : null,
                call.TemplateSetId,
                call.PromptVersion,
            });
        }

        return new(made.Count == 0 ? envelope : envelope with
        {
            TokenUsage = Json.Of(new { calls = made.Count, input_tokens = made.Sum(c => c.InputTokens ?? 0), output_tokens = made.Sum(c => c.OutputTokens ?? 0), cost_usd = made.Sum(c => c.CostUsd ?? 0) }),
        });
    }

    private static bool Wants(TurnInput input, Envelope own) =>
        own.IsOpen && input.Agent.Models.Count > 0 && !Wording.IsReplaced(input, own) && (input.Agent.ModelUse == "always" || IsUnsure(own));

    /// <summary>Nothing was understood, or only guessed.</summary>
    private static bool IsUnsure(Envelope own) =>
        own.Intents.All(intent => intent.Type == "unknown") || (own.Ask?.Sheet?.Type == "confirmation" && own.Intents.Any(intent => intent.MatchType == ActionMatch.Fuzzy));

    private void Event(Transaction tx, Occasion at, string type, object payload)
    {
        if (!at.IsShadow)
        {
            events.Append(tx, new NewEvent(type, "conversation", at.Conversation.Id, payload) { CreatedBy = "brain" });
        }
    }

    private sealed record Consultation(IReadOnlyList<LlmModel> Chain, IReadOnlyList<StoredCall> Made, Background Background);
}
