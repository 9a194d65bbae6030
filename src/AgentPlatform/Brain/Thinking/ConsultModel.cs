using AgentPlatform.Brain.Rules;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
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

    internal sealed record Decided(Envelope Envelope) : Thought;

    /// <summary>A call is prepared: commit, make it, and take the turn again.</summary>
    internal sealed record Call(PreparedCall Prepared) : Thought;

    /// <summary>An answer is there that was about fewer messages: take the turn with those.</summary>
    internal sealed record Reread(Guid ThroughId) : Thought;
}

/// <summary>
/// Asks the agent's model what the built-in brain is not sure of, or everything that is open where the agent says so. Each call is in the
/// journal before it is made, so a turn that is taken again, on any host, goes on with the answers it has paid for.
/// </summary>
internal sealed class ConsultModel(ModelCatalog catalog, ModelCalls calls, ConversationLog conversations, MemberDirectory members, EventStore events)
{
    private const int History = 20;

    internal async Task<Thought> ConsiderAsync(Transaction tx, Guid turnId, TurnScene scene, Envelope own, CancellationToken ct)
    {
        if (!Wants(scene.Input, own))
        {
            return new Thought.Decided(own);
        }

        tx.Gather();
        var (asking, making) = (catalog.ChainAsync(tx, scene.Input.Agent.Models, ct), calls.OfTurnAsync(tx, turnId, ct));
        var (told, owner) = (conversations.LatestAsync(tx, scene.Conversation.Id, History, ct), members.OwnerAsync(tx, ct));
        await tx.AskAsync(ct);
        var (chain, made) = (await asking, await making);
        if (made is [.., { Status: "started" } begun])
        {
            calls.Interrupt(tx, begun.Id);
        }

        if (made.Count > 0 && made[^1].ThroughId is var through && through != scene.Messages[^1].Id && scene.Messages.Any(m => m.Id == through))
        {
            return new Thought.Reread(through);
        }

        var history = (await told).Reverse().Where(m => m.Direction != "inbound" || m.TurnNumber is not null || scene.Messages.Any(own => own.Id == m.Id));
        var background = new Background(scene.Conversation.ConversationSummary, [.. history], await members.ConstitutionAsync(tx, await owner, ct));
        return await NextAsync(tx, turnId, scene, own, new Consultation(chain, made, background), ct);
    }

    private async Task<Thought> NextAsync(Transaction tx, Guid turnId, TurnScene scene, Envelope own, Consultation so, CancellationToken ct)
    {
        var wanted = new List<(LlmModel Model, string Purpose, ModelPrompt Prompt)>();
        var prompt = TurnPrompt.Of(scene.Input, so.Background);
        if (so.Made is [.., { Status: "answered", OutputData: { } output } last])
        {
            var (envelope, wrong) = ModelAnswer.Read(scene.Input, last.ModelName, output);
            if (envelope is not null)
            {
                return Decided(tx, scene, Scenarios.ScenarioTurn.GoOn(scene.Input, envelope with { Rules = own.Rules, Variables = own.Variables }), so.Made);
            }

            if (last.ActionType == "model_reply" && so.Chain.FirstOrDefault(m => m.Name == last.ModelName) is { } same)
            {
                wanted.Add((same, "repair", TurnPrompt.Repaired(prompt, scene.Input, so.Background, output, wrong)));
            }
        }
        else
        {
            wanted.AddRange(so.Chain.Where(model => so.Made.All(call => call.ModelName != model.Name)).Select(model => (model, "reply", prompt)));
        }

        var version = scene.Input.Prompt is { TemplateSetId: { } set, Version: { } number } ? new PromptVersion(set, number) : null;
        foreach (var (model, purpose, text) in wanted)
        {
            var place = new CallPlace(turnId, so.Made.Count + 1, scene.Input.Agent.Id, own.Role, scene.Input.Contact.Id, scene.Conversation.Id, scene.Messages[^1].Id) { AgentInstanceId = scene.Input.Instance?.Id };
            switch (await calls.PrepareAsync(tx, new NewCall(place, model, purpose, text, version), ct))
            {
                case CallStart.Ready ready:
                    return new Thought.Call(ready.Call);
                case CallStart.OverBudget over:
                    Event(tx, scene, "model.refused", new { model = model.Name, reason = "budget", over.Refusal.Period, over.Refusal.Budget, over.Refusal.AgentId });
                    return Decided(tx, scene, own, so.Made);
                case CallStart.Unavailable unavailable:
                    Event(tx, scene, "model.refused", new { model = model.Name, reason = unavailable.Reason });
                    break;
            }
        }

        return Decided(tx, scene, own, so.Made);
    }

    /// <summary>The turn ends here: what was asked on the way is told with it, once.</summary>
    private Thought.Decided Decided(Transaction tx, TurnScene scene, Envelope envelope, IReadOnlyList<StoredCall> made)
    {
        foreach (var call in made)
        {
            var status = call.Status == "started" ? "interrupted" : call.Status;
            Event(tx, scene, "model.called", new
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
                template_set = call.TemplateSetId is { } set && set == scene.Input.Prompt.TemplateSetId ? scene.Input.Prompt.Name : null,
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

    private void Event(Transaction tx, TurnScene scene, string type, object payload) =>
        events.Append(tx, new NewEvent(type, "conversation", scene.Conversation.Id, payload) { CreatedBy = "brain" });

    private sealed record Consultation(IReadOnlyList<LlmModel> Chain, IReadOnlyList<StoredCall> Made, Background Background);
}
