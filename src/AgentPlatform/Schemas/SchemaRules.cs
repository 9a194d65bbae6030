using System.Text.RegularExpressions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Schemas;

/// <summary>What a definition must satisfy before it is stored, so that no fetch meets a malformed one.</summary>
internal static partial class SchemaRules
{
    private const int MostKeys = 100;

    internal static Problem? Check(SchemaInput input)
    {
        var check = new Validation()
            .Check("schema_id", Name().IsMatch(input.SchemaId ?? ""), "Must begin with a letter and hold only a-z, 0-9 and _, at most 100.")
            .Text("schema_name", input.SchemaName, 200, required: true)
            .Text("description", input.Description, 5000)
            .Text("category", input.Category, 100)
            .Check("version", input.Version is null || Version().IsMatch(input.Version), "Must be major and minor, such as 1.0.");
        Endpoint(check, input);
        Auth(check, input);
        Caching(check, input);
        Keys(check, input.Keys);
        Errors(check, input);
        return check.Problem;
    }

    private static void Endpoint(Validation check, SchemaInput input)
    {
        check.Text("api_endpoint", input.ApiEndpoint, 500, required: true)
            .Check("api_endpoint", RegistryRules.HasLiteralHost(input.ApiEndpoint), "Must be an http(s) URL whose host is literal; expressions may follow after it.")
            .OneOf("api_method", input.ApiMethod, required: true, "GET", "POST")
            .Check("api_timeout_seconds", input.ApiTimeoutSeconds is >= 1 and <= 60, "Must be between 1 and 60.");
        foreach (var (field, template) in input.ApiHeaders.Select(h => ("api_headers", h.Value)).Append(("api_endpoint", input.ApiEndpoint ?? "")))
        {
            var error = template is null ? "Must be texts." : Templates.Error(template);
            check.Check(field, error is null, error ?? "");
        }

        check.Check("api_headers", !input.ApiHeaders.Keys.Any(name => !HeaderName().IsMatch(name)), "Must be named as HTTP headers are.")
            .Check("api_headers", !input.ApiHeaders.Keys.Contains("authorization", StringComparer.OrdinalIgnoreCase), "Authorization is what api_auth and api_token are for: they keep it sealed.");
    }

    private static void Auth(Validation check, SchemaInput input)
    {
        var auth = input.ApiAuth;
        var bearer = auth.Type == SchemaAuth.Bearer;
        check.OneOf("api_auth.type", auth.Type, required: true, SchemaAuth.Types)
            .Check("api_auth.token_source", auth.TokenSource is null or SchemaAuth.Sealed, $"Must be {SchemaAuth.Sealed}: the token is given as api_token, and sealed.")
            .Check("api_auth.token_source", !bearer || auth.TokenSource is not null, "Is required.")
            .Check("api_auth.header_name", auth.HeaderName is null || HeaderName().IsMatch(auth.HeaderName), "Must be named as HTTP headers are.")
            .Check("api_token", bearer || input.ApiToken is null, "Is only for api_auth.type bearer_token.")
            .Check("api_token", input.ApiToken is null || Token().IsMatch(input.ApiToken), "Must be 8 to 4000 printable characters without spaces.");
    }

    private static void Caching(Validation check, SchemaInput input) => check
        .OneOf("refresh_strategy", input.RefreshStrategy, required: true, "on_demand")
        .Check("cache_ttl_seconds", input.CacheTtlSeconds is >= 1 and <= 86_400, "Must be between 1 second and a day.")
        .Check("stale_cache_threshold_seconds", input.StaleCacheThresholdSeconds >= input.CacheTtlSeconds && input.StaleCacheThresholdSeconds <= 604_800, "Must be cache_ttl_seconds or more, at most a week.");

    private static void Keys(Validation check, SchemaKeyDefinition[] keys)
    {
        if (keys.Any(key => key is null))
        {
            check.Check("keys", false, "Must each be an object.");
            return;
        }

        check.Check("keys", keys.Length is >= 1 and <= MostKeys, $"Must be 1 to {MostKeys}.")
            .Check("keys", keys.DistinctBy(key => key.KeyName).Count() == keys.Length, "Must each have a name of their own.");
        for (var i = 0; i < keys.Length; i++)
        {
            var (key, at) = (keys[i], $"keys[{i}]");
            var logic = key.CompletionLogic ?? new();
            check.Check($"{at}.key_name", Name().IsMatch(key.KeyName ?? ""), "Must begin with a letter and hold only a-z, 0-9 and _, at most 100.")
                .Text($"{at}.api_field_path", key.ApiFieldPath, 500, required: true)
                .OneOf($"{at}.data_type", key.DataType, required: true, SchemaKeyDefinition.DataTypes)
                .OneOf($"{at}.completion_logic.type", logic.Type, required: true, "non_empty")
                .OneOf($"{at}.completion_logic.validation", logic.Validation, required: false, KeyCompletion.Validations)
                .Check($"{at}.completion_logic.validation_regex", logic.ValidationRegex is null || RegistryRules.IsSafePattern(logic.ValidationRegex), "Must be a pattern without look-around and back-references.");
        }
    }

    private static void Errors(Validation check, SchemaInput input)
    {
        check.OneOf("schema_completion_logic.type", input.SchemaCompletionLogic.Type, required: true, CompletionLogic.AllRequired);
        foreach (var (name, reaction) in input.ApiErrorHandling)
        {
            var at = $"api_error_handling.{name}";
            check.Check(at, name == "default" || ErrorReaction.Kinds.Contains(name, StringComparer.Ordinal) || Status().IsMatch(name), $"Must be a status (404), a class (5xx), default, or one of {string.Join(", ", ErrorReaction.Kinds)}.")
                .OneOf(at, reaction, required: true, ErrorReaction.Reactions)
                .Check(at, reaction != ErrorReaction.UseCache || input.CacheOnError, "The cache serves only with cache_on_error.");
        }
    }

    [GeneratedRegex(@"^[a-z][a-z0-9_]{0,99}\z", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Name();

    [GeneratedRegex(@"^[0-9]{1,9}\.[0-9]{1,9}\z", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Version();

    [GeneratedRegex(@"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\z", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex HeaderName();

    [GeneratedRegex(@"^[!-~]{8,4000}\z", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Token();

    [GeneratedRegex(@"^[3-5]([0-9]{2}|xx)\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Status();
}
