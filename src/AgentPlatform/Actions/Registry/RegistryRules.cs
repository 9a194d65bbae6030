using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Actions.Checkpoints;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Registry;

/// <summary>What a registry entry must satisfy before it is stored, so that nothing downstream meets a malformed one.</summary>
internal static partial class RegistryRules
{
    private static readonly string[] ExecutionTypes = ["http", "reply", "set_field", "handoff"];
    internal static readonly string[] AuthTypes = ["none", "bearer", "basic", "api_key"];
    private static readonly string[] Methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    private static readonly string[] Priorities = ["low", "normal", "high", "critical"];
    private static readonly string[] ResponseTypes = ["text", "list", "none"];

    internal static IReadOnlyDictionary<string, string[]> Errors(ActionDefinition action) =>
        Identity(action).Concat(Phrases(action)).Concat(ParameterErrors(action)).Concat(Conditions(action)).Concat(Execution(action)).Concat(Endpoint(action)).Concat(Judgement(action))
            .Concat(ProbeErrors(action)).Concat(ApprovalPolicy.Errors(action).Concat(ForEach.Errors(action)).Concat(EscalationPolicy.Errors(action)).Select(e => new Error(e.Field, e.Message)))
            .GroupBy(error => error.Field, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.Select(error => error.Message).ToArray(), StringComparer.Ordinal);

    private static IEnumerable<Error> Identity(ActionDefinition a)
    {
        if (!ActionId().IsMatch(a.ActionId))
        {
            yield return new("action_id", "Must begin with a letter and hold only a-z, 0-9 and _, at most 100.");
        }

        if (string.IsNullOrWhiteSpace(a.ActionName) || a.ActionName.Length > 255)
        {
            yield return new("action_name", "Is required, at most 255 characters.");
        }

        foreach (var (field, value, known) in new[]
        {
            ("execution_type", a.ExecutionType, ExecutionTypes), ("api_auth_type", a.ApiAuthType, AuthTypes),
            ("priority", a.Priority, Priorities), ("response_type", a.ResponseType, ResponseTypes),
        })
        {
            if (!known.Contains(value, StringComparer.Ordinal))
            {
                yield return new(field, $"Must be one of {string.Join(", ", known)}.");
            }
        }
    }

    private static IEnumerable<Error> Phrases(ActionDefinition a)
    {
        foreach (var (field, list) in new[]
        {
            ("synonyms", a.Synonyms), ("examples", a.Examples), ("params_required", a.ParamsRequired), ("params_optional", a.ParamsOptional),
            ("dependencies", a.Dependencies), ("opposites", a.Opposites),
        })
        {
            if (TryRead<string[]>(list) is not { } texts || texts.Any(string.IsNullOrWhiteSpace))
            {
                yield return new(field, "Must be a list of non-empty strings.");
            }
            else if (field is "dependencies" or "opposites" && texts.Contains(a.ActionId, StringComparer.Ordinal))
            {
                yield return new(field, "Must not name the action itself.");
            }
        }
    }

    private static IEnumerable<Error> ParameterErrors(ActionDefinition a)
    {
        if (TryRead<Dictionary<string, ParameterRule>>(a.ParamValidation) is not { } rules)
        {
            return [new("param_validation", "Must be an object with a rule per parameter.")];
        }

        return rules.SelectMany(rule => RuleErrors($"param_validation.{rule.Key}", rule.Value));
    }

    private static IEnumerable<Error> RuleErrors(string field, ParameterRule rule)
    {
        if (!ParameterRule.Types.Contains(rule.Type, StringComparer.Ordinal))
        {
            yield return new(field, $"type must be one of {string.Join(", ", ParameterRule.Types)}.");
        }

        if (rule.Pattern is { } pattern && !IsSafePattern(pattern))
        {
            yield return new(field, "pattern must be a regular expression without back-references or look-around.");
        }

        if (rule.Format is { } format && !(rule.Type == "string" && ParameterRule.Formats.Contains(format, StringComparer.Ordinal)))
        {
            yield return new(field, $"format is for type string, and must be one of {string.Join(", ", ParameterRule.Formats)}.");
        }

        if (rule.Type != "array" && (rule.Items is not null || rule.MinItems is not null || rule.MaxItems is not null))
        {
            yield return new(field, "items, min_items and max_items are for type array.");
        }
        else if (rule.MinItems is < 0 || rule.MaxItems is < 1 or > ParameterRule.MostItems || rule.MinItems > (rule.MaxItems ?? ParameterRule.MostItems))
        {
            yield return new(field, $"0 <= min_items <= max_items <= {ParameterRule.MostItems}.");
        }

        foreach (var error in rule.Items is { } items ? RuleErrors($"{field}.items", items) : [])
        {
            yield return error;
        }

        if (rule.Extract.Any(phrase => phrase.Split("{value}").Length != 2))
        {
            yield return new(field, "Each phrase in extract must hold {value} once.");
        }
    }

    private static IEnumerable<Error> Conditions(ActionDefinition a)
    {
        if (TryRead<Eligibility.Criteria>(a.EligibilityCriteria) is not { } criteria
            || (criteria.SchemaDependencies ?? []).Any(d => d.Value is not { RequiredKeys.Length: > 0, AllMustBe: not null } || d.Value.RequiredKeys.Any(string.IsNullOrWhiteSpace)))
        {
            yield return new("eligibility_criteria", "Must be an object with user_tier, requires_auth and schema_dependencies (by schema: required_keys and all_must_be).");
        }

        if (TryRead<Blocker[]>(a.Blockers) is not { } blockers
            || blockers.Any(b => string.IsNullOrEmpty(b.Reason) || string.IsNullOrEmpty(b.Field) || !Blocker.Conditions.Contains(b.Is, StringComparer.Ordinal)))
        {
            yield return new("blockers", $"Must be a list of reason, field and is ({string.Join(", ", Blocker.Conditions)}).");
        }
    }

    private static IEnumerable<Error> Execution(ActionDefinition a)
    {
        if (a.TimeoutSeconds is < 1 or > 300)
        {
            yield return new("timeout_seconds", "Must be between 1 and 300.");
        }

        if (a.AcknowledgementTimeoutSeconds is < 1 or > 7 * 24 * 3600)
        {
            yield return new("acknowledgement_timeout_seconds", "Must be between 1 second and 7 days.");
        }

        if (a.RollbackPossible && (string.IsNullOrEmpty(a.RollbackActionId) || a.RollbackActionId == a.ActionId))
        {
            yield return new("rollback_action_id", "Must name another action when rollback_possible is set.");
        }

        if (TryRead<RetryPolicyJson>(a.RetryPolicy) is not { } policy)
        {
            yield return new("retry_policy", "Must be an object with max_retries, backoff_strategy, initial_delay_seconds, max_delay_seconds, retry_on_errors and jitter.");
        }
        else if (policy.Whole is var p && (p.MaxRetries is < 0 or > 20 || p.InitialDelaySeconds < 0 || p.MaxDelaySeconds < p.InitialDelaySeconds || p.Jitter is not (>= 0 and <= 1)
            || p.RetryOnErrors.Except(ErrorKind.All, StringComparer.Ordinal).Any()))
        {
            yield return new("retry_policy", $"max_retries 0-20, 0 <= initial_delay_seconds <= max_delay_seconds, jitter 0-1, retry_on_errors from {string.Join(", ", ErrorKind.All)}.");
        }
    }

    private static IEnumerable<Error> Endpoint(ActionDefinition a)
    {
        if (a.ExecutionType == "http" && (a.ApiMethod is null || !Methods.Contains(a.ApiMethod, StringComparer.Ordinal)))
        {
            yield return new("api_method", $"Must be one of {string.Join(", ", Methods)}.");
        }

        if (a.ExecutionType == "http" && !HasLiteralHost(a.ApiEndpoint))
        {
            yield return new("api_endpoint", "Must be an http(s) URL whose host is literal; expressions may follow after it.");
        }

        if (a.ApiAuthType != "none" && JsonPath.Find(a.ApiAuth, "secret") is not { ValueKind: JsonValueKind.String })
        {
            yield return new("api_auth", "Must name the secret: {\"secret\": \"name\"}.");
        }

        foreach (var (field, template) in TemplatesOf(a))
        {
            if (Templates.Error(template) is { } message)
            {
                yield return new(field, message);
            }
        }
    }

    private static IEnumerable<Error> Judgement(ActionDefinition a)
    {
        foreach (var (field, criteria) in new[] { ("success_criteria", a.SuccessCriteria), ("failure_criteria", a.FailureCriteria) })
        {
            if (criteria is { ValueKind: not JsonValueKind.Null } value && TryRead<ResponseCriteria>(value) is null)
            {
                yield return new(field, "Must be an object with status_codes and body ([{path, equals, one_of, exists}]).");
            }
        }
    }

    private static IEnumerable<Error> ProbeErrors(ActionDefinition a)
    {
        if (a.Probe is not { ValueKind: not JsonValueKind.Null } value)
        {
            yield break;
        }

        if (TryRead<EffectProbe>(value) is not { Happened: not null, NotHappened: not null, Method: { } method } probe || !EffectProbe.Methods.Contains(method, StringComparer.Ordinal))
        {
            yield return new("probe", "Must be an object with method (GET or POST), endpoint, and the criteria happened and not_happened.");
        }
        else if (!HasLiteralHost(probe.Endpoint))
        {
            yield return new("probe", "endpoint must be an http(s) URL whose host is literal; expressions may follow after it.");
        }
        else if (Templates.Error(probe.Endpoint!) is { } message)
        {
            yield return new("probe", message);
        }
    }

    private static IEnumerable<(string Field, string Template)> TemplatesOf(ActionDefinition a)
    {
        if (a.ApiEndpoint is { } url)
        {
            yield return ("api_endpoint", url);
        }

        if (a.ResponseTemplate is { } text)
        {
            yield return ("response_template", text);
        }

        foreach (var header in TryRead<Dictionary<string, string>>(a.ApiHeaders) ?? [])
        {
            yield return ("api_headers", header.Value);
        }

        foreach (var leaf in a.ApiBody is { } body ? Strings(body) : [])
        {
            yield return ("api_body", leaf);
        }
    }

    internal static IEnumerable<string> Strings(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => value.EnumerateObject().SelectMany(p => Strings(p.Value)),
        JsonValueKind.Array => value.EnumerateArray().SelectMany(Strings),
        JsonValueKind.String => [value.GetString()!],
        _ => [],
    };

    internal static bool HasLiteralHost(string? url) => url is not null && LiteralHost().IsMatch(url);

    internal static bool IsSafePattern(string pattern)
    {
        try
        {
            return Parameters.Matches(pattern, "") || true;
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            return false;
        }
    }

    internal static T? TryRead<T>(JsonElement value)
        where T : class
    {
        try
        {
            return value.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined ? null : value.Deserialize<T>(Json.Options);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    [GeneratedRegex(@"^[a-z][a-z0-9_]{0,99}\z", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex ActionId();

    [GeneratedRegex(@"^https?://[^/?#{}@\s]+([/?#]|$)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex LiteralHost();

    private sealed record Error(string Field, string Message);
}
