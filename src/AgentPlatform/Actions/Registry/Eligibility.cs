using System.Text.Json;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Registry;

/// <summary>
/// Who asks, as far as eligibility cares: tiers (such as verified, unverified, premium), whether the person is known for sure, the
/// session's schema states (seed 000's <c>schema_states</c>) and the facts blockers look at, such as <c>contact.email</c>.
/// </summary>
public sealed record EligibilityContext(IReadOnlyList<string> Tiers, bool Authenticated, JsonElement SchemaStates, JsonElement Facts);

/// <summary>
/// A condition that, while it holds, keeps an action waiting. <see cref="Field"/> is a path into the facts; <see cref="Is"/> is
/// <c>missing</c>, <c>present</c>, <c>equals</c> or <c>not_equals</c> (the latter two compare with <see cref="Value"/>).
/// </summary>
public sealed record Blocker(string Reason, string Field, string Is, string? Value = null)
{
    public static readonly string[] Conditions = ["missing", "present", "equals", "not_equals"];
}

/// <summary>Why an action cannot run now: a stable reason, a sentence for the contact, and details for the operator.</summary>
public sealed record Blocked(string Reason, string Say, JsonElement Details)
{
    /// <summary>As <c>blocker_details</c> keeps it.</summary>
    internal JsonElement Stored => Json.Of(new { say = Say, details = Details });
}

/// <summary>Pure decision: may this action run for this person now?</summary>
public static class Eligibility
{
    public const string Tier = "user_tier";
    public const string Auth = "requires_auth";
    public const string Schema = "schema_dependencies";
    public const string Dependency = "dependencies";

    /// <summary>Null when it may; <paramref name="completed"/> are the action ids the person has completed.</summary>
    public static Blocked? Decide(ActionDefinition action, EligibilityContext who, IReadOnlyCollection<string> completed)
    {
        var criteria = Json.Read<Criteria>(action.EligibilityCriteria);
        if (criteria.UserTier is { Length: > 0 } tiers && !tiers.Intersect(who.Tiers, StringComparer.OrdinalIgnoreCase).Any())
        {
            return new(Tier, $"{action.Title} is available to {string.Join(" and ", tiers)} members only.",
                Json.Of(new { required = tiers, actual = who.Tiers }));
        }

        if (criteria.RequiresAuth && !who.Authenticated)
        {
            return new(Auth, $"Please verify your profile first, then I can {Lower(action.Title)}.", Json.Of(new { authenticated = false }));
        }

        return MissingSchemaKeys(action, criteria, who) ?? Dependencies(action, completed) ?? Blockers(action, who);
    }

    private static Blocked? MissingSchemaKeys(ActionDefinition action, Criteria criteria, EligibilityContext who)
    {
        var missing = (criteria.SchemaDependencies ?? [])
            .SelectMany(schema => schema.Value.RequiredKeys
                .Where(key => Text(who.SchemaStates, $"{schema.Key}.keys.{key}.status") != schema.Value.AllMustBe)
                .Select(key => $"{schema.Key}.{key}"))
            .ToArray();
        return missing.Length == 0 ? null
            : new(Schema, $"To {Lower(action.Title)} I still need: {string.Join(", ", missing.Select(key => key.Split('.')[1].Replace('_', ' ')))}.",
                Json.Of(new { missing }));
    }

    private static Blocked? Dependencies(ActionDefinition action, IReadOnlyCollection<string> completed)
    {
        var waitingFor = action.DependsOn.Except(completed, StringComparer.Ordinal).ToArray();
        return waitingFor.Length == 0 ? null
            : new(Dependency, $"I will {Lower(action.Title)} as soon as this is done: {string.Join(", ", waitingFor.Select(id => id.Replace('_', ' ')))}.",
                Json.Of(new { waiting_for = waitingFor }));
    }

    private static Blocked? Blockers(ActionDefinition action, EligibilityContext who)
    {
        var holding = Json.Read<Blocker[]>(action.Blockers).FirstOrDefault(blocker => Holds(blocker, Text(who.Facts, blocker.Field)));
        return holding is null ? null
            : new(holding.Reason, $"I cannot {Lower(action.Title)} yet: {holding.Reason.Replace('_', ' ')}.", Json.Of(holding));
    }

    private static bool Holds(Blocker blocker, string? actual) => blocker.Is switch
    {
        "missing" => string.IsNullOrEmpty(actual),
        "present" => !string.IsNullOrEmpty(actual),
        "equals" => string.Equals(actual, blocker.Value, StringComparison.OrdinalIgnoreCase),
        "not_equals" => !string.Equals(actual, blocker.Value, StringComparison.OrdinalIgnoreCase),
        _ => throw new ArgumentOutOfRangeException(nameof(blocker), blocker.Is, "Not a blocker condition."),
    };

    private static string? Text(JsonElement from, string path) =>
        JsonPath.Find(from, path) is { ValueKind: not JsonValueKind.Null } value ? value.ToString() : null;

    private static string Lower(string title) => title.Length == 0 ? title : char.ToLowerInvariant(title[0]) + title[1..];

    internal sealed record Criteria(string[]? UserTier, bool RequiresAuth, Dictionary<string, SchemaDependency>? SchemaDependencies);

    internal sealed record SchemaDependency(string[] RequiredKeys, string AllMustBe = "complete");
}
