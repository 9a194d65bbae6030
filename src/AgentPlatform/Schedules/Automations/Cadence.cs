using System.Globalization;
using AgentPlatform.Kernel;
using NCrontab;

namespace AgentPlatform.Schedules.Automations;

/// <summary>When a task is due: five cron fields read on the clock of a time zone.</summary>
internal sealed class Cadence
{
    internal static readonly string[] Types = ["daily", "weekly", "monthly", "cron", "once"];

    private readonly CrontabSchedule _cron;
    private readonly TimeZoneInfo _zone;

    /// <summary>It says every hour or some of them in steps: what counts is the time that passes, and both hours of a change are hours.</summary>
    private readonly bool _passes;

    private Cadence(CrontabSchedule cron, TimeZoneInfo zone, bool passes) => (_cron, _zone, _passes) = (cron, zone, passes);

    /// <summary>Problem <c>validation_failed</c>, with what is wrong of each field.</summary>
    internal static Result<Cadence> Parse(string scheduleType, string expression, string timezone)
    {
        if (!TimeZoneInfo.TryFindSystemTimeZoneById(timezone, out var zone) || !zone.HasIanaId)
        {
            return Problem.Invalid("timezone", $"'{timezone}' is no time zone of the IANA database, such as Europe/Amsterdam.");
        }

        var fields = expression.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (fields.Length != 5 || CrontabSchedule.TryParse(string.Join(' ', fields)) is not { } cron)
        {
            return Problem.Invalid("cron_expression", $"'{expression}' is no cron expression: minute, hour, day of the month, month, day of the week.");
        }

        return Shape(scheduleType, fields) is { } problem ? problem : new Cadence(cron, zone, fields[1].Contains('*', StringComparison.Ordinal));
    }

    /// <summary>The first time after <paramref name="moment"/>; null when there is none, as on 30 February.</summary>
    internal DateTimeOffset? After(DateTimeOffset moment) => _passes ? InPassingTime(moment) : OnTheClock(moment);

    private static Problem? Shape(string scheduleType, string[] f)
    {
        var timed = IsNumber(f[0]) && IsNumber(f[1]);
        return scheduleType switch
        {
            "daily" when !timed || f[2] != "*" || f[3] != "*" || f[4] != "*" => Wrong("A daily schedule is 'minute hour * * *'."),
            "weekly" when !timed || f[2] != "*" || f[3] != "*" || f[4] == "*" => Wrong("A weekly schedule is 'minute hour * * day'."),
            "monthly" when !timed || f[2] == "*" || f[3] != "*" || f[4] != "*" => Wrong("A monthly schedule is 'minute hour day * *'."),
            _ => null,
        };

        static bool IsNumber(string field) => int.TryParse(field, NumberStyles.None, CultureInfo.InvariantCulture, out _);
        static Problem Wrong(string message) => Problem.Invalid("cron_expression", message);
    }

    /// <summary>A time that the clock skips is kept when it has skipped; one that it shows twice is kept the first time.</summary>
    private DateTimeOffset? OnTheClock(DateTimeOffset moment)
    {
        var local = TimeZoneInfo.ConvertTime(moment, _zone).DateTime;
        while (true)
        {
            local = _cron.GetNextOccurrence(local);
            if (local >= DateTime.MaxValue.AddYears(-1))
            {
                return null;
            }

            var due = _zone.IsInvalidTime(local) ? Change(local) : new DateTimeOffset(local, First(local)).ToUniversalTime();
            if (due > moment)
            {
                return due;
            }
        }
    }

    private TimeSpan First(DateTime local) => _zone.IsAmbiguousTime(local) ? _zone.GetAmbiguousTimeOffsets(local).Max() : _zone.GetUtcOffset(local);

    /// <summary>The moment at which the clock jumps over this time.</summary>
    private DateTimeOffset Change(DateTime skipped)
    {
        var before = skipped;
        while (_zone.IsInvalidTime(before))
        {
            before = before.AddMinutes(-1);
        }

        return new DateTimeOffset(before, _zone.GetUtcOffset(before)).ToUniversalTime().AddMinutes(1);
    }

    private DateTimeOffset? InPassingTime(DateTimeOffset moment)
    {
        var from = moment;
        while (true)
        {
            var offset = _zone.GetUtcOffset(from);
            var local = _cron.GetNextOccurrence(from.ToOffset(offset).DateTime);
            if (local >= DateTime.MaxValue.AddYears(-1))
            {
                return null;
            }

            var due = new DateTimeOffset(local, offset).ToUniversalTime();
            if (_zone.GetUtcOffset(due) == offset)
            {
                return due;
            }

            // The clock was changed in between: go on from just before the change, with the clock as it is after.
            var change = FirstChange(from, due);
            var changed = _zone.GetUtcOffset(change);
            local = _cron.GetNextOccurrence(change.ToOffset(changed).DateTime.AddTicks(-1));
            due = new DateTimeOffset(local, changed).ToUniversalTime();
            if (_zone.GetUtcOffset(due) == changed)
            {
                return due;
            }

            from = change;
        }
    }

    private DateTimeOffset FirstChange(DateTimeOffset from, DateTimeOffset to)
    {
        var offset = _zone.GetUtcOffset(from);
        var (low, high) = (from.ToUnixTimeSeconds() / 60, to.ToUnixTimeSeconds() / 60);
        for (var day = low; day < high; day += 1440)
        {
            if (_zone.GetUtcOffset(DateTimeOffset.FromUnixTimeSeconds(Math.Min(day + 1440, high) * 60)) != offset)
            {
                (low, high) = (day, Math.Min(day + 1440, high));
                break;
            }
        }

        while (high - low > 1)
        {
            var middle = low + ((high - low) / 2);
            (low, high) = _zone.GetUtcOffset(DateTimeOffset.FromUnixTimeSeconds(middle * 60)) == offset ? (middle, high) : (low, middle);
        }

        return DateTimeOffset.FromUnixTimeSeconds(high * 60);
    }
}
