using System.Text.Json;
using AgentPlatform.Models;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Campaigns.Generation;

/// <summary>What a model is asked once for each of the agent's models, until one answers so that it can be used. Context: what the answer is for.</summary>
internal sealed record Question(Guid RunId, string ContextType, Guid ContextId, string Purpose, ModelPrompt Prompt);

/// <summary>A call to make first; or an answer, with the name of the model; or neither: nobody answers.</summary>
internal sealed record Asked<T>(PreparedCall? Call = null, T? Answer = null, string? Model = null)
    where T : class;

/// <summary>
/// Asks the models of the tenant's agent, within its budgets. Each call is in the journal before it is made, so a run that is taken again, on any host, goes on
/// with the answers it has paid for.
/// </summary>
internal sealed class AskAgent(AgentDirectory agents, ModelCatalog catalog, ModelCalls calls)
{
    private const string AgentType = "agent";

    internal async Task<Asked<T>> AskAsync<T>(Transaction tx, Question question, Func<JsonElement, T?> read, CancellationToken ct)
        where T : class
    {
        var agent = await agents.DefaultAsync(tx, ct);
        if (agent.Models.Count == 0)
        {
            return new();
        }

        tx.Gather();
        var (asking, making) = (catalog.ChainAsync(tx, agent.Models, ct), calls.OfTurnAsync(tx, question.RunId, ct));
        await tx.AskAsync(ct);
        var (chain, made) = (await asking, await making);
        switch (made)
        {
            case [.., { Status: "started" } begun]:
                calls.Interrupt(tx, begun.Id);
                break;
            case [.., { Status: "answered", OutputData: { } output } last] when output.TryGetProperty("arguments", out var form)
                && form.ValueKind == JsonValueKind.Object && read(form) is { } answer:
                return new(Answer: answer, Model: last.ModelName);
        }

        foreach (var model in chain.Where(model => made.All(call => call.ModelName != model.Name)))
        {
            var place = new CallPlace(question.RunId, made.Count + 1, agent.Id, AgentType, null, question.ContextId, question.RunId) { ContextType = question.ContextType };
            if (await calls.PrepareAsync(tx, new NewCall(place, model, question.Purpose, question.Prompt), ct) is CallStart.Ready ready)
            {
                return new(Call: ready.Call);
            }
        }

        return new();
    }
}
