using System.Globalization;
using AgentPlatform.LocalHost.Hosting;
using NCrontab;

namespace AgentPlatform.LocalHost.Timers;

/// <summary>When a timer is due: six-field NCRONTAB in UTC (five fields mean second 0), or a constant interval.</summary>
internal sealed class Schedule
{
    private readonly CrontabSchedule? _cron;
    private readonly TimeSpan _interval;

    private Schedule(CrontabSchedule? cron, TimeSpan interval)
    {
        _cron = cron;
        _interval = interval;
    }

    internal static Schedule Parse(string expression, string where)
    {
        var fields = expression.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length is 5 or 6)
        {
            var cron = CrontabSchedule.TryParse(string.Join(' ', fields), new CrontabSchedule.ParseOptions { IncludingSeconds = fields.Length == 6 });
            return cron is null
                ? throw new SettingException($"{where}: '{expression}' is no NCRONTAB expression.")
                : new Schedule(cron, TimeSpan.Zero);
        }

        return TimeSpan.TryParse(expression, CultureInfo.InvariantCulture, out var interval) && interval > TimeSpan.Zero
            ? new Schedule(cron: null, interval)
            : throw new SettingException($"{where}: '{expression}' is neither a six-field NCRONTAB expression nor a time like 00:05:00.");
    }

    /// <summary>The first occurrence after <paramref name="moment"/>; <see cref="DateTimeOffset.MaxValue"/> when there is none.</summary>
    internal DateTimeOffset After(DateTimeOffset moment)
    {
        if (_cron is null)
        {
            return moment + _interval;
        }

        var next = _cron.GetNextOccurrence(moment.UtcDateTime);
        return next == DateTime.MaxValue ? DateTimeOffset.MaxValue : new DateTimeOffset(next, TimeSpan.Zero);
    }

    /// <summary>Whether occurrences are more than a minute apart, which is what monitoring is for.</summary>
    internal bool IsSlow(DateTimeOffset now)
    {
        var first = After(now);
        return first == DateTimeOffset.MaxValue || After(first) - first > TimeSpan.FromMinutes(1);
    }
}
