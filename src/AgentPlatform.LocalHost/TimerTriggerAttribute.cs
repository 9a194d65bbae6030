namespace AgentPlatform.LocalHost;

/// <summary>Runs the function on a schedule: six-field NCRONTAB in UTC, a TimeSpan, or <c>%Setting%</c> holding either.</summary>
public sealed class TimerTriggerAttribute(string schedule) : TriggerBindingAttribute
{
    /// <summary>The schedule expression.</summary>
    public string Schedule { get; } = schedule;

    /// <summary>Remember occurrences across restarts and report missed ones; without effect on schedules of a minute or less.</summary>
    public bool UseMonitor { get; set; } = true;

    /// <summary>Run once when the host starts, then on schedule.</summary>
    public bool RunOnStartup { get; set; }
}

/// <summary>What a timer-triggered function learns about its schedule.</summary>
public sealed class TimerInfo
{
    /// <summary>The recorded schedule; null when the schedule is not monitored.</summary>
    public ScheduleStatus? ScheduleStatus { get; set; }

    /// <summary>This run makes up for an occurrence missed while no host ran.</summary>
    public bool IsPastDue { get; set; }
}

/// <summary>Recorded occurrences of a schedule, in UTC.</summary>
public sealed class ScheduleStatus
{
    /// <summary>The last run's occurrence; the default value before the first.</summary>
    public DateTime Last { get; set; }

    /// <summary>The next expected occurrence.</summary>
    public DateTime Next { get; set; }

    /// <summary>When this status was last written.</summary>
    public DateTime LastUpdated { get; set; }
}
