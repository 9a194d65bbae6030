using AgentPlatform.Schedules.Automations;

namespace AgentPlatform.Tests.Schedules;

public sealed class CadenceTests
{
    [Theory]
    [Behaviour("bb-sched-cron-next-run")]
    [InlineData("0 9 * * *", "UTC", "2026-06-01T08:59:59Z", "2026-06-01T09:00:00Z")]
    [InlineData("0 9 * * *", "UTC", "2026-06-01T09:00:00Z", "2026-06-02T09:00:00Z")]
    // Nine in the morning is nine on the clock, before a change and after.
    [InlineData("0 9 * * *", "America/New_York", "2026-03-07T15:00:00Z", "2026-03-08T13:00:00Z")]
    [InlineData("0 9 * * *", "America/New_York", "2026-10-31T14:00:00Z", "2026-11-01T14:00:00Z")]
    // Half past two is skipped: kept at three.
    [InlineData("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-08T07:00:00Z")]
    [InlineData("30 2 * * *", "America/New_York", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z")]
    // Half past one comes twice: kept the first time, and only then.
    [InlineData("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", "2026-11-01T05:30:00Z")]
    [InlineData("30 1 * * *", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z")]
    // What runs every hour runs in both of them; the one that is skipped is kept at three as well.
    [InlineData("30 * * * *", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z")]
    [InlineData("30 * * * *", "America/New_York", "2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z")]
    [InlineData("30 * * * *", "America/New_York", "2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z")]
    [InlineData("30 * * * *", "America/New_York", "2026-03-08T07:00:00Z", "2026-03-08T07:30:00Z")]
    [InlineData("*/15 * * * *", "America/New_York", "2026-03-08T06:45:00Z", "2026-03-08T07:00:00Z")]
    [InlineData("0 0 1 * *", "Australia/Lord_Howe", "2026-04-02T00:00:00Z", "2026-04-30T13:30:00Z")]
    public void The_next_run_is_read_on_the_clock_of_the_time_zone(string cron, string zone, string after, string expected) =>
        Assert.Equal(At(expected), Cadence.Parse("cron", cron, zone).Value.After(At(after)));

    [Theory]
    [Behaviour("bb-sched-cron-next-run")]
    [InlineData("cron", "61 * * * *", "UTC", "cron_expression")]
    [InlineData("cron", "often", "UTC", "cron_expression")]
    [InlineData("cron", "0 0 9 * * *", "UTC", "cron_expression")]
    [InlineData("cron", "0 9 * * *", "Mars/Olympus", "timezone")]
    [InlineData("daily", "0 9 * * 1", "UTC", "cron_expression")]
    [InlineData("daily", "*/5 9 * * *", "UTC", "cron_expression")]
    [InlineData("weekly", "0 9 * * *", "UTC", "cron_expression")]
    [InlineData("monthly", "0 9 * * *", "UTC", "cron_expression")]
    public void What_is_no_schedule_is_refused_with_its_field_named(string type, string cron, string zone, string field)
    {
        var refused = Cadence.Parse(type, cron, zone);
        Assert.Equal(("validation_failed", field), (refused.Problem!.Code, refused.Problem.Errors!.Keys.Single()));
    }

    [Fact]
    public void A_date_that_never_comes_is_no_time() => Assert.Null(Cadence.Parse("cron", "0 0 30 2 *", "UTC").Value.After(At("2026-01-01T00:00:00Z")));

    private static DateTimeOffset At(string text) => DateTimeOffset.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
}
