using System.Globalization;
using AgentPlatform.Kernel;
using Cronos;

namespace AgentPlatform.Schedules.Automations;

/// <summary>When a task is due: five cron fields read on the clock of a time zone.</summary>
internal sealed class Cadence
{
    internal static readonly string[] Types = ["daily", "weekly", "monthly", "cron", "once"];

    private readonly CronExpression _cron;
    private readonly TimeZoneInfo _zone;

    private Cadence(CronExpression cron, TimeZoneInfo zone) => (_cron, _zone) = (cron, zone);

    /// <summary>Problem <c>validation_failed</c>, with what is wrong of each field.</summary>
    internal static Result<Cadence> Parse(string scheduleType, string expression, string timezone)
    {
        if (!TimeZoneInfo.TryFindSystemTimeZoneById(timezone, out var zone) || !zone.HasIanaId)
        {
            return Problem.Invalid("timezone", $"'{timezone}' is no time zone of the IANA database, such as Europe/Amsterdam.");
        }

        var fields = expression.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (fields.Length != 5 || !CronExpression.TryParse(string.Join(' ', fields), out var cron))
        {
            return Problem.Invalid("cron_expression", $"'{expression}' is no cron expression: minute, hour, day of the month, month, day of the week.");
        }

        return Shape(scheduleType, fields) is { } problem ? problem : new Cadence(cron, zone);
    }

    /// <summary>The first time after <paramref name="moment"/>; null when there is none, as on 30 February.</summary>
    internal DateTimeOffset? After(DateTimeOffset moment) => _cron.GetNextOccurrence(moment, _zone)?.ToUniversalTime();

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
}
