using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Prompts;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Models;
using AgentPlatform.Postgres;

namespace AgentPlatform.Brain.Shadows;

/// <summary>Pure: what is wrong with a shadow, with where it stands.</summary>
internal static class ShadowRules
{
    internal static Problem? Check(ShadowInput input, DateTimeOffset now) => new Validation()
        .Text("name", input.Name, 100, required: true)
        .Check("sample_rate", input.SampleRate is null or (>= 0.0001m and <= 1m), "Must be between 0.0001 and 1.")
        .Check("ends_at", input.EndsAt is null || input.EndsAt > now, "Must be in the future.")
        .Check("candidate", input.Candidate is { IsEmpty: false }, "Must have rules, understanding or a model that is otherwise than the agent's.")
        .Understanding(input.Candidate?.Understanding)
        .Model(input.Candidate?.Model)
        .Problem;

    private static Validation Understanding(this Validation rules, CandidateUnderstanding? other) => rules
        .Check("candidate.understanding.fuzzy_threshold", other?.FuzzyThreshold is null or (>= 50 and <= 100), "Must be between 50 and 100.")
        .Check("candidate.understanding.examples", other?.Examples is not { } examples || examples.Values.All(Sentences), "Holds for an action 1 to 100 sentences of 1 to 255 characters.")
        .Share("confirm_below", other?.ConfirmBelow).Share("confirm_model_below", other?.ConfirmModelBelow).Share("believe_model_from", other?.BelieveModelFrom);

    private static bool Sentences(string[]? own) => own is { Length: > 0 and <= 100 } && own.All(sentence => sentence is { Length: > 0 and <= 255 });

    private static Validation Share(this Validation rules, string name, decimal? value) =>
        rules.Check($"candidate.understanding.{name}", value is null or (>= 0 and <= 1), "Must be between 0 and 1.");

    private static Validation Model(this Validation rules, CandidateModel? other) => rules
        .OneOf("candidate.model.model_use", other?.ModelUse, required: false, "unsure", "always", "never")
        .Check("candidate.model.fallback_models", other?.FallbackModels is not { Length: > 5 }, "Holds at most 5 models.")
        .Check("candidate.model.prompt_version", (other?.TemplateSetId is null) == (other?.PromptVersion is null), "Goes with template_set_id, and it with this.");
}

/// <summary>Whether what a candidate names is there.</summary>
internal sealed class CandidateNames(ModelCatalog models, TemplateSetStore sets)
{
    internal async Task<Problem?> CheckAsync(Transaction tx, Guid agentId, AgentBookOf book, Candidate candidate, CancellationToken ct)
    {
        var taught = candidate.Understanding?.Examples?.Keys ?? [];
        var rules = new Validation().Check("candidate.understanding.examples", taught.All(id => book.Actions.Any(action => action.ActionId == id)), "Names an action that the agent does not have.");
        if (candidate.Model is { } model)
        {
            string[] named = [.. new[] { model.DefaultModel }.OfType<string>(), .. model.FallbackModels ?? []];
            var found = await models.ChainAsync(tx, named, ct);
            rules.Check("candidate.model.default_model", model.DefaultModel is null || found.Any(m => m.Name == model.DefaultModel), "Is no active model of the tenant.")
                .Check("candidate.model.fallback_models", (model.FallbackModels ?? []).All(name => found.Any(m => m.Name == name)), "Names a model that the tenant does not have, or not active.");
            if (model is { TemplateSetId: { } set, PromptVersion: { } version })
            {
                var known = await sets.FindAsync(tx, set, ct) is { } own && own.AgentId == agentId && await sets.VersionAsync(tx, set, version, ct) is not null;
                rules.Check("candidate.model.template_set_id", known, "Has no such version among the agent's template sets.");
            }
        }

        return rules.Problem ?? candidate.Rules?.Check("candidate.rules", book.Rules, book.Scenarios, book.Actions, agentId);
    }
}

/// <summary>What rules of a candidate may name.</summary>
internal sealed record AgentBookOf(IReadOnlyList<Rule> Rules, IReadOnlyList<Agents.Scenarios.Scenario> Scenarios, IReadOnlyList<ActionDefinition> Actions);
