using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Agents.Rules;

/// <summary>What a rule may name.</summary>
internal sealed record RuleSurroundings(IReadOnlyList<Rule> Rules, IReadOnlyList<Scenario> Scenarios, ActionDefinition? Action);

/// <summary>Pure: what is wrong with a rule, with where it stands.</summary>
internal static partial class RuleRules
{
    private static readonly string[] Roots = ["text", "channel", "turn", "contact", "variables", "scenario", "step"];
    private static readonly Dictionary<string, string[]> Members = new(StringComparer.Ordinal)
    {
        ["say"] = ["text"],
        ["ask"] = ["text", "on_yes", "params"],
        ["do"] = ["action", "params"],
        ["enter_scenario"] = ["scenario_id"],
        ["hand_off"] = ["reason", "text"],
        ["set_variable"] = ["name", "value"],
    };

    /// <summary>All that can be told from the rule alone.</summary>
    internal static Problem? Check(RuleInput input)
    {
        var rules = new Validation()
            .Text("name", input.Name, 255, required: true)
            .Text("description", input.Description, 5000)
            .OneOf("condition_kind", input.ConditionKind, required: false, Rule.Kinds)
            .Text("condition_text", input.ConditionText, 10_000, required: true)
            .OneOf("action_type", input.ActionType, required: true, RuleAction.Types)
            .OneOf("scope", input.Scope, required: false, Scope.All)
            .Check("priority", input.Priority is null or (>= -1_000_000 and <= 1_000_000), "Must be between -1000000 and 1000000.")
            .MustBeObject("action_config", input.ActionConfig);
        foreach (var (field, ids) in new[] { ("requires", input.Requires), ("excludes", input.Excludes), ("overrides", input.Overrides) })
        {
            rules.Check(field, ids is not { Length: > 50 }, "Names at most 50 rules.");
        }

        if (rules.Problem is { } early)
        {
            return early;
        }

        var target = Scope.TargetError(input.Scope ?? Scope.Global, input.ScopeId);
        rules.Check("scope_id", target is null, target ?? "");
        rules.Check("threshold", input.Threshold is null || input.ConditionKind == Rule.Embedding, "Goes with embedding only.")
            .Check("threshold", input.Threshold is null or (>= 0.30m and <= 1m), "Must be between 0.30 and 1.")
            .Check("scope", input.ConditionKind != Rule.Examples || input.Scope is null or Scope.Global, "Is GLOBAL for examples: inside a scenario its question is answered first.");
        Condition(input.ConditionKind ?? Rule.Phrases, input.ConditionText!, rules);
        Config(input.ActionType!, input.ActionConfig ?? Parameters.None, rules);
        return rules.Problem;
    }

    /// <summary>Whether what it names is there, and whether all rules with it can still be decided one after the other.</summary>
    internal static Problem? Check(Rule rule, RuleSurroundings around)
    {
        var rules = new Validation().Check("scope_id", Scope.HasTarget(rule.Scope, rule.ScopeId, around.Scenarios), "Names no scenario or step of the agent.");
        switch (rule.Action)
        {
            case RuleAction.Do or RuleAction.Ask { OnYes: not null }:
                rules.Check(rule.ActionType == "do" ? "action_config.action" : "action_config.on_yes", around.Action is not null, "Is no action of the agent.");
                break;
            case RuleAction.EnterScenario enter:
                rules.Check("action_config.scenario_id", around.Scenarios.Any(scenario => scenario.Id == enter.ScenarioId), "Is no scenario of the agent.");
                break;
        }

        foreach (var (field, ids) in new[] { ("requires", rule.Requires), ("excludes", rule.Excludes), ("overrides", rule.Overrides) })
        {
            rules.Check(field, !ids.Contains(rule.Id), "Names the rule itself.")
                .Check(field, ids.All(id => around.Rules.Any(other => other.Id == id)), "Names a rule that the agent does not have.");
        }

        return rules.Problem ?? (RuleOrder.Of([.. around.Rules.Where(other => other.Id != rule.Id), rule]) is null
            ? Problem.Conflict("rule_cycle", "By its relations the rule would wait for itself to be decided.")
            : null);
    }

    /// <summary>The action that the rule asks for; null when it asks for none.</summary>
    internal static string? Names(RuleAction action) => action switch
    {
        RuleAction.Do does => does.Action,
        RuleAction.Ask ask => ask.OnYes,
        _ => null,
    };

    private static void Condition(string kind, string text, Validation rules)
    {
        switch (kind)
        {
            case Rule.Phrases or Rule.Examples:
                var lines = Rule.Lines(text);
                rules.Check("condition_text", lines.Length <= 100 && lines.All(line => line.Length <= 255 && line.Any(char.IsLetterOrDigit)), "Must hold at most 100 phrases or sentences, one a line, of at most 255 characters.");
                break;
            case Rule.Embedding:
                var sentences = Rule.Lines(text);
                rules.Check("condition_text", sentences.Length <= 20 && sentences.All(line => line.Length <= 255 && line.Any(char.IsLetterOrDigit)), "Must hold at most 20 sentences, one a line, of at most 255 characters.");
                break;
            case Rule.Pattern:
                rules.Check("condition_text", PatternError(text) is null, PatternError(text) ?? "");
                break;
            default:
                foreach (var (at, message) in ExpressionErrors(text))
                {
                    rules.Check(at, ok: false, message);
                }

                break;
        }
    }

    private static string? PatternError(string pattern)
    {
        try
        {
            return pattern.Length > 1000 ? "Must have at most 1000 characters." : Rule.Compile(pattern).IsMatch("") ? "Must not match an empty text." : null;
        }
        catch (RegexParseException e)
        {
            return $"Is no regular expression: {e.Message}";
        }
        catch (RegexMatchTimeoutException)
        {
            return "Takes too long.";
        }
    }

    private static IEnumerable<(string At, string Message)> ExpressionErrors(string text)
    {
        try
        {
            return Kernel.Condition.Errors(JsonSerializer.Deserialize<JsonElement>(text), "condition_text", PathError);
        }
        catch (JsonException)
        {
            return [("condition_text", "Must be a condition in JSON.")];
        }
    }

    private static string? PathError(string path) =>
        Path().Match(path) is { Success: true } match && Roots.Contains(match.Groups["root"].Value) ? null : $"'{path}' is not a path that begins with one of $.{string.Join(", $.", Roots)}.";

    private static void Config(string type, JsonElement config, Validation rules)
    {
        foreach (var member in config.EnumerateObject())
        {
            rules.Check($"action_config.{member.Name}", Members[type].Contains(member.Name), $"Is not known to {type}.");
        }

        switch (type)
        {
            case "say":
                Text("text", config, rules, required: true);
                break;
            case "ask":
                Text("text", config, rules, required: true);
                Plain("on_yes", config, rules, required: false);
                Params(config, rules);
                break;
            case "do":
                Plain("action", config, rules, required: true);
                Params(config, rules);
                break;
            case "enter_scenario":
                rules.Check("action_config.scenario_id", JsonPath.Find(config, "scenario_id") is { ValueKind: JsonValueKind.String } id && id.TryGetGuid(out _), "Must be the id of a scenario.");
                break;
            case "hand_off":
                Plain("reason", config, rules, required: false);
                Text("text", config, rules, required: false);
                break;
            default:
                rules.Check("action_config.name", JsonPath.Find(config, "name") is { ValueKind: JsonValueKind.String } name && Name().IsMatch(name.GetString()!), "Must be a name of lower-case letters, digits and underscores.");
                rules.Check("action_config.value", config.TryGetProperty("value", out var value), "Is required.");
                Deep("value", value, rules);
                break;
        }
    }

    private static void Params(JsonElement config, Validation rules)
    {
        var given = JsonPath.Find(config, "params");
        rules.MustBeObject("action_config.params", given is { ValueKind: JsonValueKind.Null } ? null : given);
        Deep("params", given ?? default, rules);
    }

    private static void Plain(string name, JsonElement config, Validation rules, bool required) =>
        rules.Check($"action_config.{name}", Given(name, config) is { } value ? value is { ValueKind: JsonValueKind.String } && value.GetString() is { Length: > 0 and <= 255 } : !required, "Must be a text of 1 to 255 characters.");

    private static void Text(string name, JsonElement config, Validation rules, bool required)
    {
        rules.Check($"action_config.{name}", Given(name, config) is { } value ? value is { ValueKind: JsonValueKind.String } && value.GetString() is { Length: > 0 and <= 2000 } : !required, "Must be a text of 1 to 2000 characters.");
        Deep(name, Given(name, config) ?? default, rules);
    }

    private static JsonElement? Given(string name, JsonElement config) => JsonPath.Find(config, name) is { ValueKind: not JsonValueKind.Null } value ? value : null;

    private static void Deep(string at, JsonElement value, Validation rules)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                rules.Check($"action_config.{at}", Writing.Error(value.GetString()!) is null, "Is not a template.");
                break;
            case JsonValueKind.Object:
                value.EnumerateObject().ToList().ForEach(member => Deep($"{at}.{member.Name}", member.Value, rules));
                break;
            case JsonValueKind.Array:
                value.EnumerateArray().Select((item, i) => (item, i)).ToList().ForEach(one => Deep($"{at}[{one.i}]", one.item, rules));
                break;
        }
    }

    [GeneratedRegex(@"^[a-z][a-z0-9_]{0,99}\z", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Name();

    [GeneratedRegex(@"^\$\.(?<root>[a-z]+)(\.[A-Za-z0-9_-]+)*\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Path();
}
