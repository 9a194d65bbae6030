using System.Text;
using AgentPlatform.Costs;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Resilience;

namespace AgentPlatform.Models;

/// <summary>
/// Calls of models. One is prepared in the caller's transaction: money for the worst case is held, and the journal knows of it. Made after the
/// commit, it is settled in a transaction of its own. A call whose host died in between is never made again.
/// </summary>
public sealed class ModelCalls
{
    /// <summary>Time for the settlement after the call's own.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(1);

    private readonly Database _database;
    private readonly CallJournal _journal;
    private readonly AskModel _ask;
    private readonly BudgetLedger _budgets;
    private readonly UsageLedger _usage;
    private readonly CircuitBreaker _circuits;
    private readonly TimeProvider _clock;

    internal ModelCalls(Database database, CallJournal journal, AskModel ask, BudgetLedger budgets, UsageLedger usage, CircuitBreaker circuits, TimeProvider clock) =>
        (_database, _journal, _ask, _budgets, _usage, _circuits, _clock) = (database, journal, ask, budgets, usage, circuits, clock);

    /// <summary>The calls of a turn so far. Gather it with other questions.</summary>
    public Task<IReadOnlyList<StoredCall>> OfTurnAsync(Transaction tx, Guid turnId, CancellationToken ct) => _journal.OfTurnAsync(tx, turnId, ct);

    /// <summary>What instances of agents did since a moment, at most thirty days ago; those that called nobody are left out.</summary>
    public Task<IReadOnlyList<InstanceCalls>> OfInstancesAsync(Transaction tx, Guid[] instanceIds, DateTimeOffset since, CancellationToken ct) =>
        _journal.OfInstancesAsync(tx, instanceIds, since, ct);

    /// <summary>The caller owns the turn now, so whoever started the call does not any more: what it was to answer is not known.</summary>
    public void Interrupt(Transaction tx, Guid callId)
    {
        _journal.Interrupt(tx, callId);
        _budgets.Release(tx, callId);
    }

    public async Task<CallStart> PrepareAsync(Transaction tx, NewCall wanted, CancellationToken ct)
    {
        var patience = TimeSpan.FromSeconds(wanted.Model.TimeoutSeconds) + Grace;
        var passage = await _circuits.EnterAsync(tx, await _circuits.TroubledAsync(tx, ct), Service(wanted.Model), patience, ct);
        if (passage.Wait is not null)
        {
            return new CallStart.Unavailable($"The provider of model '{wanted.Model.Name}' is in trouble.");
        }

        var call = wanted with { Prompt = Clean(wanted.Prompt) };
        var (id, bytes) = (_clock.NewId(), Bytes(call.Prompt));
        var reservation = new Reservation(id, call.Place.AgentId, call.Purpose, call.Model.WorstCase(bytes), patience);
        if (await _budgets.HoldAsync(tx, reservation, ct) is { } refusal)
        {
            await _circuits.LeaveAsync(tx, passage, ServiceVerdict.Untried, error: null, ct);
            return new CallStart.OverBudget(refusal);
        }

        _journal.Start(tx, id, call);
        return new CallStart.Ready(new PreparedCall(id, call, bytes, passage));
    }

    /// <summary>Hear: gets the answer piece by piece while it is written. Returns whether there is an answer.</summary>
    public async Task<bool> MakeAsync(Actor actor, PreparedCall prepared, Action<string> hear, CancellationToken ct)
    {
        var began = _clock.GetTimestamp();
        var reply = await _ask.AskAsync(prepared, hear, ct);
        var latency = (int)_clock.GetElapsedTime(began).TotalMilliseconds;

        await using var tx = _database.Begin(actor);
        var costs = reply.Tokens is { } tokens ? prepared.Call.Model.CostOf(tokens) : null;
        _journal.Finish(tx, prepared.Id, reply, costs?.Total, latency);
        if (costs is null)
        {
            _budgets.Release(tx, prepared.Id);
        }
        else
        {
            _usage.Record(tx, Usage(prepared, reply, costs, latency));
            await _budgets.SettleAsync(tx, prepared.Id, costs.Total, ct);
        }

        await _circuits.LeaveAsync(tx, prepared.Passage, reply.Verdict, reply.Error, ct);
        await tx.CommitAsync(ct);
        return reply.Error is null;
    }

    private static TokenUsage Usage(PreparedCall prepared, ModelReply reply, TokenCosts costs, int latency)
    {
        var (place, model) = (prepared.Call.Place, prepared.Call.Model);
        return new(
            prepared.Id, place.AgentId, place.ContactId, place.ConversationId, reply.RequestId, model.Provider, model.Model, prepared.Call.Purpose,
            reply.Tokens!, costs, [prepared.Call.Prompt.Form.Name], latency, reply.FinishReason);
    }

    /// <summary>Models at one address are in trouble together.</summary>
    private static string Service(LlmModel model) => model.BaseUrl is { } url ? $"{model.Provider} {new Uri(url).Authority}" : model.Provider;

    private static ModelPrompt Clean(ModelPrompt prompt) =>
        prompt with { Messages = [.. prompt.Messages.Select(message => message with { Text = Redaction.Clean(message.Text) })] };

    private static int Bytes(ModelPrompt prompt) =>
        Encoding.UTF8.GetByteCount(prompt.Instructions) + Encoding.UTF8.GetByteCount(prompt.Form.Description) + Encoding.UTF8.GetByteCount(prompt.Form.Schema.GetRawText())
        + prompt.Messages.Sum(message => Encoding.UTF8.GetByteCount(message.Text) + 16);
}
