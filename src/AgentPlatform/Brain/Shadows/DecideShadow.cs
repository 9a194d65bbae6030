using AgentPlatform.Agents.Prompts;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Brain.Nlu.Models;
using AgentPlatform.Brain.Rules;
using AgentPlatform.Brain.Thinking;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Models;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Brain.Shadows;

/// <summary>
/// Takes a turn again as its shadow would have taken it, and writes down what came of it and where it differs. Nothing else is written: nothing is said, done
/// or remembered. A language model is asked as live turns ask it, through the journal and within the budgets. No transaction is open while one is asked, or a
/// classifier trained.
/// </summary>
internal sealed class DecideShadow(
    Database database, ShadowStore shadows, CandidateBooks candidates, CandidateClassifiers classifiers, AgentBooks books, AgentDirectory agents, IntentModels models, ScenarioStore scenarios, TemplateSetStore prompts,
    ConversationLog conversations, ConsultModel consult, ModelCalls calls, IOptions<BrainOptions> options, TimeProvider clock) : IWorkHandler
{
    internal const string Kind = "brain.shadow";

    /// <summary>After everything that somebody waits for.</summary>
    internal const short Priority = 80;

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var actor = Actor.System(item.TenantId);
        while (true)
        {
            await using var tx = database.Begin(actor);
            switch (await TakeAsync(tx, item.Read<ShadowWork>().ShadowTurnId, ct))
            {
                case Next.Call call:
                    await tx.CommitAsync(ct);
                    await calls.MakeAsync(actor, call.Prepared, _ => { }, ct);
                    break;
                case Next.Learn learn:
                    await tx.CommitAsync(ct);
                    await classifiers.TrainAsync(learn.Set, ct);
                    break;
                default:
                    item.Settle(tx, new WorkOutcome.Done());
                    await tx.CommitAsync(ct);
                    return WorkOutcome.Settled;
            }
        }
    }

    public Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct)
    {
        Skip(tx, item.Read<ShadowWork>().ShadowTurnId, "failed", []);
        return Task.CompletedTask;
    }

    /// <summary>Null when it is over.</summary>
    private async Task<Next?> TakeAsync(Transaction tx, Guid id, CancellationToken ct)
    {
        if (await shadows.WaitingAsync(tx, id, ct) is not { } turn)
        {
            return null;
        }

        var made = await calls.OfTurnAsync(tx, id, ct);
        var (snapshot, candidate) = (Json.Read<TurnSnapshot>(turn.Input), Json.Read<Candidate>(turn.OtherThan));
        var (known, unlearned) = await InputAsync(tx, turn, snapshot, candidate, ct);
        if (unlearned is not null)
        {
            return new Next.Learn(unlearned);
        }

        if (known is not { } input)
        {
            Skip(tx, id, turn.IsRunning ? "agent_changed" : "stopped", made);
            return null;
        }

        var began = clock.GetTimestamp();
        var own = TurnDecision.Decide(input);
        var latency = clock.GetElapsedTime(began);
        if (candidate.Model is null)
        {
            Keep(tx, turn, Outline.Of(input, own), made, latency);
            return null;
        }

        var conversation = (await conversations.FindAsync(tx, turn.ConversationId, ct))!;
        switch (await consult.ConsiderAsync(tx, new(id, conversation, snapshot.SessionId, input, snapshot.MessageIds) { IsShadow = true }, own, ct))
        {
            case Thought.Call call:
                return new Next.Call(call.Prepared);
            case Thought.Decided { Refused: { } refused }:
                Skip(tx, id, refused, made);
                return null;
            case Thought.Decided decided:
                Keep(tx, turn, Outline.Of(input, decided.Envelope), made, latency);
                return null;
            default:
                throw new InvalidOperationException("A shadow's calls are all about the same messages.");
        }
    }

    /// <summary>
    /// No input when the shadow was stopped, or the agent is not what it was: what differs then would not be the candidate's doing. Unlearned: what its
    /// classifier has to be trained from first.
    /// </summary>
    private async Task<(TurnInput? Input, TrainingSet? Unlearned)> InputAsync(Transaction tx, WaitingTurn turn, TurnSnapshot snapshot, Candidate candidate, CancellationToken ct)
    {
        tx.Gather();
        var (known, read, trained) = (agents.FindAsync(tx, turn.AgentId, ct), books.OfAgentAsync(tx, turn.AgentId, ct), models.CurrentAsync(tx, turn.AgentId, ct));
        await tx.AskAsync(ct);
        var (book, model) = (await read, await trained);
        if (await known is not { } agent || !turn.IsRunning || !snapshot.IsOf(book, model))
        {
            return (null, null);
        }

        var rules = candidate.Rules is { } changes ? candidates.Of(turn, book, changes) : book.Rules;
        var (classifier, unlearned) = Classifier(book, model, rules, candidate);
        if (unlearned is not null)
        {
            return (null, unlearned);
        }

        var scenario = snapshot.Place is { } place ? await scenarios.FindVersionAsync(tx, place.ScenarioId, place.Version, ct) : null;
        var input = snapshot.Restore(agent, book, model, scenario, candidate.Understanding?.Over(options.Value) ?? options.Value);
        input = input with
        {
            Rules = rules,
            Model = classifier,
            Agent = candidate.Model?.Over(input.Agent) ?? input.Agent,
            Prompt = candidate.Model is { TemplateSetId: { } set, PromptVersion: { } version } && await prompts.VersionAsync(tx, set, version, ct) is { } worded
                ? new(set, null, version, worded.Parts)
                : input.Prompt,
        };
        return (input, null);
    }

    /// <summary>The agent's own, unless the candidate would have learned something else.</summary>
    private (AgentModel? Model, TrainingSet? Unlearned) Classifier(AgentBook book, AgentModel? live, RuleBook rules, Candidate candidate)
    {
        var set = TrainingSet.Of(candidate.Understanding?.Teach(book.Actions) ?? book.Actions, book.Scenarios, rules.Written);
        var own = TrainingSet.Of(book.Actions, book.Scenarios, book.Rules.Written);
        return !set.HasIntents || set.Fingerprint.AsSpan().SequenceEqual(own.Fingerprint) ? (live, null)
            : classifiers.Find(set) is { } trained ? (new AgentModel(Guid.Empty, 0, trained), null)
            : (null, set);
    }

    private void Keep(Transaction tx, WaitingTurn turn, Outline candidate, IReadOnlyList<StoredCall> made, TimeSpan latency)
    {
        var differences = Outline.Differences(Json.Read<Outline>(turn.Live), candidate);
        tx.Post(
            Sql.Keep, turn.Id, differences.Length == 0 ? "same" : "different", Json.Param(candidate), differences, made.Count, Cost(made),
            (int)latency.TotalMilliseconds + made.Sum(call => call.LatencyMs ?? 0), clock.GetUtcNow());
    }

    private void Skip(Transaction tx, Guid id, string reason, IReadOnlyList<StoredCall> made) => tx.Post(Sql.Skip, id, reason, made.Count, Cost(made), clock.GetUtcNow());

    private static decimal Cost(IReadOnlyList<StoredCall> made) => made.Sum(call => call.CostUsd ?? 0);

    /// <summary>What is to be done before the turn is taken once more.</summary>
    private abstract record Next
    {
        private Next()
        {
        }

        internal sealed record Call(PreparedCall Prepared) : Next;

        internal sealed record Learn(TrainingSet Set) : Next;
    }

    private static class Sql
    {
        internal const string Keep =
            """
            UPDATE brain.shadow_turns
            SET status = $2, candidate = $3, differences = $4, calls = $5, cost_usd = $6, latency_ms = $7, decided_at = $8, input = NULL
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND status = 'waiting'
            """;

        internal const string Skip =
            """
            UPDATE brain.shadow_turns SET status = 'skipped', reason = $2, calls = $3, cost_usd = $4, decided_at = $5, input = NULL
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND status = 'waiting'
            """;
    }
}
