namespace AgentPlatform.Console.Simulator;

/// <summary>
/// One turn of a conversation, or something that happened outside of any: what was said, what was understood, what was done about it and
/// what was answered, in the order in which it happened.
/// </summary>
public sealed class Turn(string key, DateTimeOffset startedAt)
{
    private readonly List<Step> _steps = [];

    /// <summary>Stays the same from the first message on, before the turn has a number.</summary>
    public string Key { get; } = key;

    /// <summary>Null while a message waits for its turn, and for what happened between turns.</summary>
    public int? Number { get; internal set; }

    public DateTimeOffset StartedAt { get; } = startedAt;

    public DateTimeOffset EndedAt { get; private set; } = startedAt;

    /// <summary>The version of its latest event: a turn that was seen at this version has not changed since.</summary>
    public int Version { get; private set; }

    /// <summary>A message is there and its turn has not been taken.</summary>
    public bool IsWaiting { get; internal set; }

    /// <summary>What came unasked: a scheduled message, a change by an operator.</summary>
    public bool IsAside { get; internal init; }

    public IReadOnlyList<Step> Steps => _steps;

    internal Step Add(int version, DateTimeOffset at, Step step)
    {
        _steps.Add(step);
        Touch(version, at);
        return step;
    }

    internal void Touch(int version, DateTimeOffset at)
    {
        Version = Math.Max(Version, version);
        EndedAt = at > EndedAt ? at : EndedAt;
    }
}

/// <summary>How a step is meant to be seen.</summary>
public enum Tone
{
    Plain,
    Good,
    Waiting,
    Bad,
}

/// <summary>One line of a turn. Its kind names an icon and a style, its label is what people read.</summary>
public sealed class Step(string kind, string label, DateTimeOffset at)
{
    private readonly List<Mark> _marks = [];

    public string Kind { get; } = kind;

    public string Label { get; } = label;

    public DateTimeOffset At { get; private set; } = at;

    /// <summary>A name: of an intent, an action, a field.</summary>
    public string? Subject { get; init; }

    /// <summary>Words that were said.</summary>
    public string? Quote { get; init; }

    public string? Note { get; init; }

    /// <summary>0 to 1.</summary>
    public decimal? Confidence { get; init; }

    /// <summary>States it went through, in their order.</summary>
    public IReadOnlyList<Mark> Marks => _marks;

    internal Step Marked(string text, Tone tone = Tone.Plain, DateTimeOffset? at = null)
    {
        _marks.Add(new Mark(text, tone));
        At = at ?? At;
        return this;
    }
}

public sealed record Mark(string Text, Tone Tone);
