using System.Text.Json;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Registry;

/// <summary>
/// Who asks, as far as eligibility cares: tiers (such as verified, unverified, premium), whether the person is known for sure, and the
/// facts blockers look at, such as <c>contact.email</c>.
/// </summary>
public sealed record EligibilityContext(IReadOnlyList<string> Tiers, bool Authenticated, JsonElement Facts);

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

    /// <summary>It is being found out whether it holds at all.</summary>
    internal bool IsLookedUp { get; init; }
}

/// <summary>Pure decision: may this action run for this person now?</summary>
public static class Eligibility
{
    public const string Tier = "user_tier";
    public const string Auth = "requires_auth";
    public const string Schema = "schema_dependencies";
    public const string Dependency = "dependencies";

    /// <summary>The schemas that <see cref="Decide"/> wants to be told of.</summary>
    public static IReadOnlyCollection<string> SchemasOf(ActionDefinition action) => Json.Read<Criteria>(action.EligibilityCriteria).SchemaDependencies?.Keys.ToArray() ?? [];

    /// <summary>Null when it may; <paramref name="completed"/> are the action ids the person has completed.</summary>
    public static Blocked? Decide(
        ActionDefinition action, EligibilityContext who, IReadOnlyCollection<string> completed, IReadOnlyDictionary<string, SchemaReading> schemas)
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

        return MissingSchemaKeys(action, criteria, schemas) ?? Dependencies(action, completed) ?? Blockers(action, who);
    }

    private static Blocked? MissingSchemaKeys(ActionDefinition action, Criteria criteria, IReadOnlyDictionary<string, SchemaReading> schemas)
    {
        var lacking = (criteria.SchemaDependencies ?? [])
            .Select(d => (Schema: d.Key, Reading: schemas.GetValueOrDefault(d.Key), Keys: d.Value.RequiredKeys.Where(key => StatusOf(schemas, d.Key, key) != d.Value.AllMustBe).ToArray()))
            .Where(d => d.Keys.Length > 0)
            .ToArray();
        if (lacking.Length == 0)
        {
            return null;
        }

        var missing = lacking.SelectMany(d => d.Keys.Select(key => $"{d.Schema}.{key}")).ToArray();
        var fetching = lacking.Where(d => d.Reading?.Availability == SchemaReading.Fetching).Select(d => d.Schema).ToArray();
        var unavailable = lacking.Where(d => d.Reading is null or { Availability: SchemaReading.Unavailable }).Select(d => d.Schema).ToArray();
        var say = fetching.Length > 0 ? $"One moment, I am looking up your {Words(fetching)}."
            : unavailable.Length > 0 ? $"I cannot look up your {Words(unavailable)} right now. I will {Lower(action.Title)} as soon as I can."
            : $"To {Lower(action.Title)} I still need: {Words(missing.Select(key => key.Split('.')[1]))}.";
        return new(Schema, say, Json.Of(new { missing, fetching, unavailable })) { IsLookedUp = fetching.Length > 0 };
    }

    private static string? StatusOf(IReadOnlyDictionary<string, SchemaReading> schemas, string schema, string key) =>
        schemas.TryGetValue(schema, out var reading) ? Text(reading.Keys, $"{key}.status") : null;

    private static string Words(IEnumerable<string> names) => string.Join(", ", names.Select(name => name.Replace('_', ' ')));

    private static Blocked? Dependencies(ActionDefinition action, IReadOnlyCollection<string> completed)
    {
        var waitingFor = action.DependsOn.Except(completed, StringComparer.Ordinal).ToArray();
        return waitingFor.Length == 0 ? null
            : new(Dependency, $"I will {Lower(action.Title)} as soon as this is done: {Words(waitingFor)}.",
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
