using AgentPlatform.Chaos;

namespace AgentPlatform.Tests.Chaos;

/// <summary>The check is worth what it finds: each promise is broken once in the books.</summary>
public sealed class CheckTests
{
    private static readonly IReadOnlyList<Job> Plan = Jobs.Plan(1000);

    private static readonly Books Sound = new(
        [.. Plan.Select(j => new ItemEnd(j.Kind, j.Key, "done", j.Failures + 1, 3))],
        [.. Plan.Select(j => j.Key)],
        [.. Of(Jobs.Ledger, Jobs.LedgerForgotten, Jobs.Serial, Jobs.Retry)],
        [.. Of(Jobs.Mark, Jobs.MarkForgotten)],
        Of(Jobs.Keyed).ToDictionary(k => k, _ => 1),
        Of(Jobs.Unkeyed).ToDictionary(k => k, _ => 1),
        [],
        [1, 2, 3],
        0);

    [Fact]
    public void Sound_books_have_no_violation() => Assert.Empty(Violations(Sound));

    [Fact]
    public void A_lost_job_is_found()
    {
        Assert.Contains("is gone", Assert.Single(Violations(Sound with { Items = [.. Sound.Items.Skip(1)] })));
        Assert.Contains("is running", Assert.Single(Violations(Sound with { Items = [Sound.Items[0] with { State = "running" }, .. Sound.Items.Skip(1)] })));
        Assert.Contains("its work was not done", Assert.Single(Violations(Sound with { Marks = [.. Sound.Marks.Skip(1)] })));
    }

    [Fact]
    public void A_repetition_is_found()
    {
        Assert.StartsWith("completed 2 times", Assert.Single(Violations(Sound with { Completions = [.. Sound.Completions, Of(Jobs.Mark).First()] })));
        Assert.StartsWith("2 lines", Assert.Single(Violations(Sound with { Ledger = [.. Sound.Ledger, Of(Jobs.Ledger).First()] })));
        Assert.StartsWith("2 effects", Assert.Single(Violations(Sound with { Unkeyed = With(Sound.Unkeyed, Of(Jobs.Unkeyed).First(), 2) })));
        Assert.StartsWith("0 effects", Assert.Single(Violations(Sound with { Keyed = With(Sound.Keyed, Of(Jobs.Keyed).First(), 0) })));
    }

    [Fact]
    public void A_series_out_of_order_is_found() =>
        Assert.All(Violations(Sound with { Ledger = [.. Sound.Ledger.Reverse()] }), v => Assert.StartsWith("out of order: serial-", v));

    [Fact]
    public void An_attempt_that_a_kill_cost_is_found() =>
        Assert.StartsWith("2 attempts instead of 1", Assert.Single(Violations(Sound with { Items = [Sound.Items[0] with { Attempts = 2 }, .. Sound.Items.Skip(1)] })));

    [Fact]
    public void Slow_restarts_are_found_and_so_is_a_run_without_any()
    {
        Assert.Contains("p99 is 46.0 s", Assert.Single(Violations(Sound with { Restarts = [1, 46] })));
        Assert.Contains("proves nothing", Assert.Single(Violations(Sound with { Restarts = [] })));
    }

    private static List<string> Violations(Books books) => [.. Check.Violations(Plan, books, TimeSpan.FromSeconds(45))];

    private static IEnumerable<string> Of(params string[] kinds) => Plan.Where(j => kinds.Contains(j.Kind)).Select(j => j.Key);

    private static Dictionary<string, int> With(IReadOnlyDictionary<string, int> effects, string key, int count) => new(effects, StringComparer.Ordinal) { [key] = count };
}
