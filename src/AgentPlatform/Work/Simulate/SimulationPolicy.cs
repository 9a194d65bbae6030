using System.Text.Json;
using System.Text.Json.Serialization;

namespace AgentPlatform.Work.Simulate;

/// <summary>How work would be started: what is given here holds instead of what held when it was recorded.</summary>
/// <param name="Slots">Items that run at a time, over all hosts together: their number × <c>Work:Concurrency</c>.</param>
/// <param name="Fairness">Tenants take turns. False: the most urgent of all tenants first.</param>
/// <param name="Limits">As <c>POST /api/v1/work/limits</c> takes them.</param>
/// <param name="Kinds">What is said of single kinds.</param>
public sealed record SimulationPolicy(int Slots, bool Fairness = true, IReadOnlyList<SimulatedLimit>? Limits = null, IReadOnlyDictionary<string, KindPolicy>? Kinds = null)
{
    private static readonly JsonSerializerOptions Strict = new(JsonSerializerDefaults.Web)
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectRequiredConstructorParameters = true,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        NumberHandling = JsonNumberHandling.Strict,
    };

    /// <exception cref="PolicyException">Says which part of the text is wrong, and how.</exception>
    public static SimulationPolicy Parse(string json)
    {
        try
        {
            var policy = JsonSerializer.Deserialize<SimulationPolicy>(json, Strict) ?? throw new PolicyException("It is null.");
            return policy.Faults().FirstOrDefault() is { } fault ? throw new PolicyException(fault) : policy;
        }
        catch (JsonException e)
        {
            throw new PolicyException($"{e.Path ?? "$"}: {e.Message}");
        }
    }

    internal KindPolicy Of(string kind) => Kinds?.GetValueOrDefault(kind) ?? KindPolicy.AsRecorded;

    private IEnumerable<string> Faults()
    {
        if (Slots is < 1 or > 1_000_000)
        {
            yield return "slots: must be between 1 and 1000000.";
        }

        var scopes = new HashSet<(Guid?, string?, string?)>();
        foreach (var (limit, at) in (Limits ?? []).Select((limit, i) => (limit, $"limits[{i}]")))
        {
            if (limit is null)
            {
                yield return $"{at}: is null.";
                continue;
            }

            foreach (var fault in limit.Faults())
            {
                yield return $"{at}.{fault}";
            }

            if (!scopes.Add((limit.Tenant, limit.Kind, limit.ConcurrencyKey)))
            {
                yield return $"{at}: its tenant, kind and concurrency_key are limited before; a scope has one limit.";
            }
        }

        foreach (var (kind, said) in Kinds ?? new Dictionary<string, KindPolicy>())
        {
            if (said is null)
            {
                yield return $"kinds.{kind}: is null.";
            }
            else if (said.Priority is < 0 or > 100)
            {
                yield return $"kinds.{kind}.priority: must be between 0 and 100.";
            }
            else if (said.StartWithinSeconds is <= 0 or > 1e9 or double.NaN)
            {
                yield return $"kinds.{kind}.start_within_seconds: must be above zero and at most 1000000000.";
            }
        }
    }
}

/// <summary>A limit holds for each tenant by itself; for one alone when it is named.</summary>
public sealed record SimulatedLimit(
    Guid? Tenant = null, string? Kind = null, string? ConcurrencyKey = null, int? MaxRunning = null, double? PerSecond = null, int? Burst = null, int? MaxWaiting = null)
{
    internal double Bucket => Burst ?? Math.Ceiling(PerSecond ?? 0);

    internal bool LimitsStarts => MaxRunning is not null || PerSecond is not null;

    internal bool Covers(Guid tenant, string kind, string? concurrencyKey) =>
        (Tenant is null || Tenant == tenant) && (Kind is null || Kind == kind) && (ConcurrencyKey is null || ConcurrencyKey == concurrencyKey);

    internal IEnumerable<string> Faults()
    {
        if (MaxRunning is null && PerSecond is null && MaxWaiting is null)
        {
            yield return "max_running: one of this, per_second and max_waiting is required.";
        }

        if (MaxRunning < 1)
        {
            yield return "max_running: must be above zero.";
        }

        if (PerSecond is not null and not (> 0 and <= 1_000_000))
        {
            yield return "per_second: must be above zero and at most 1000000.";
        }

        if (Burst < 1 || Burst is not null && PerSecond is null)
        {
            yield return "burst: must be above zero, and belongs to per_second.";
        }

        if (MaxWaiting < 1 || MaxWaiting is not null && (Kind is null || ConcurrencyKey is not null))
        {
            yield return "max_waiting: must be above zero, and belongs to a kind as a whole.";
        }
    }
}

/// <summary>Priority: 0 most urgent, 100 least. StartWithinSeconds: expires when it has not started so long after it was enqueued.</summary>
public sealed record KindPolicy(short? Priority = null, double? StartWithinSeconds = null)
{
    internal static readonly KindPolicy AsRecorded = new();
}

/// <summary>The policy is not one.</summary>
public sealed class PolicyException(string message) : Exception(message);
