using System.Globalization;
using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.LocalHost.Timers;

namespace AgentPlatform.Tests.LocalHost;

public sealed class ScheduleTests
{
    [Theory]
    [InlineData("*/5 * * * * *", "2026-03-02T12:00:00Z", "2026-03-02T12:00:05Z")]
    [InlineData("0 30 3 * * *", "2026-03-02T12:00:00Z", "2026-03-03T03:30:00Z")]
    [InlineData("0 0 9 * * Mon", "2026-03-02T12:00:00Z", "2026-03-09T09:00:00Z")]
    [InlineData("15,45 10-12 * 1 Jan-Mar *", "2026-03-02T12:00:00Z", "2027-01-01T00:10:15Z")]
    [InlineData("*/10 * * * *", "2026-03-02T12:03:00Z", "2026-03-02T12:10:00Z")]
    [InlineData("00:01:30", "2026-03-02T12:00:00Z", "2026-03-02T12:01:30Z")]
    [InlineData("1.00:00:00", "2026-03-02T12:00:00Z", "2026-03-03T12:00:00Z")]
    public void The_next_occurrence_follows_the_expression(string expression, string from, string next) =>
        Assert.Equal(At(next), Schedule.Parse(expression, "Function F").After(At(from)));

    [Theory]
    [InlineData("*/5 * * * * *", false)]
    [InlineData("0 * * * * *", false)]
    [InlineData("0 */2 * * * *", true)]
    [InlineData("00:01:00", false)]
    [InlineData("00:01:01", true)]
    public void Only_occurrences_more_than_a_minute_apart_are_monitored(string expression, bool isSlow) =>
        Assert.Equal(isSlow, Schedule.Parse(expression, "Function F").IsSlow(At("2026-03-02T12:00:00Z")));

    [Theory]
    [InlineData("never")]
    [InlineData("61 * * * * *")]
    [InlineData("-00:00:05")]
    [InlineData("00:00:00")]
    [InlineData("* * * * * * *")]
    public void A_bad_expression_is_one_clear_line(string expression)
    {
        var e = Assert.Throws<SettingException>(() => Schedule.Parse(expression, "Function F"));

        Assert.StartsWith($"Function F: '{expression}' is ", e.Message);
    }

    private static DateTimeOffset At(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture);
}
