using System.Text.Json;
using AgentPlatform.Campaigns.Moves;
using AgentPlatform.Kernel;

namespace AgentPlatform.Campaigns.Generation;

/// <summary>What a generation comes to: a strategy, and phases with their moves. Source: the model's name, or <see cref="Template"/>.</summary>
internal sealed record CampaignPlan(string Source, string Summary, IReadOnlyList<string> KeyMessages, IReadOnlyList<PlannedPhase> Phases)
{
    internal const string Template = "template";
    private const int Careful = 3;
    private const int UsualDays = 28;
    private static readonly TimeOnly Morning = new(9, 0);

    /// <summary>A careful campaign lets a member look at the words before anybody is written to.</summary>
    internal CampaignPlan At(int riskLevel) => riskLevel > Careful ? this : this with
    {
        Phases =
        [
            .. Phases.Select(phase => phase.Moves.Any(m => m.Type == Move.Outreach) && phase.Moves.All(m => m.Type != Move.Admin)
                ? phase with { Moves = [new(Move.Admin, $"Approve the words of {phase.Name}", "Read what is about to be sent, and change it where it is not yours.", "high"), .. phase.Moves] }
                : phase),
        ],
    };

    /// <summary>Spreads the phases over the days of the campaign, by their own lengths, and the moves of each over its days.</summary>
    internal IReadOnlyList<DatedPhase> Dated(DateOnly? start, DateOnly? end, DateOnly today)
    {
        var first = start ?? (end < today ? end.Value : today);
        var days = end is { } last ? Math.Max(1, last.DayNumber - first.DayNumber + 1) : UsualDays;
        var (weights, before) = (Phases.Sum(p => p.Days), 0);
        var dated = new List<DatedPhase>();
        foreach (var phase in Phases)
        {
            var from = first.AddDays((int)((long)days * before / weights));
            before += phase.Days;
            var until = first.AddDays(Math.Max((int)((long)days * before / weights) - 1, from.DayNumber - first.DayNumber));
            var span = until.DayNumber - from.DayNumber + 1;
            dated.Add(new(phase, from, until, [.. phase.Moves.Select((_, i) => new DateTimeOffset(from.AddDays(span * i / phase.Moves.Count), Morning, TimeSpan.Zero))]));
        }

        return dated;
    }

    /// <summary>What a model planned; null when it cannot be carried out as it is.</summary>
    internal static CampaignPlan? Read(JsonElement form)
    {
        try
        {
            var plan = Json.Read<Filled>(form);
            return plan is { Summary.Length: > 0 and <= 5000, KeyMessages.Length: <= 20, Phases.Length: >= 1 and <= 6 } && plan.Phases.All(IsSound)
                ? new("", plan.Summary, plan.KeyMessages, [.. plan.Phases.Select(p => p with { Moves = [.. p.Moves.Select(m => m with { Priority = m.Priority ?? "medium" })] })])
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static bool IsSound(PlannedPhase phase) =>
        phase is { Name.Length: > 0 and <= 100, Goal.Length: <= 1000, Days: >= 1 and <= 365, Moves.Count: >= 1 and <= 10 } && phase.Moves.All(IsSound);

    private static bool IsSound(PlannedMove move) =>
        move.Title is { Length: > 0 and <= 500 } && move.Description is null or { Length: <= 10_000 } && Move.Types.Contains(move.Type)
        && (move.Priority is null || Move.Priorities.Contains(move.Priority))
        && (move.Type != Move.Outreach || (!string.IsNullOrWhiteSpace(move.Text) && OutreachText.Error(move.Content) is null));

    private sealed record Filled(string? Summary, string[]? KeyMessages, PlannedPhase[]? Phases)
    {
        public string[] KeyMessages { get; } = KeyMessages ?? [];
    }
}

/// <summary>Days: how long it is beside the others.</summary>
internal sealed record PlannedPhase(string Name, string Goal, int Days, IReadOnlyList<PlannedMove> Moves);

/// <summary>Text and subject: what an outreach says.</summary>
internal sealed record PlannedMove(string Type, string Title, string? Description, string? Priority, string? Text = null, string? Subject = null)
{
    internal JsonElement Content => Type == Move.Outreach ? Json.Of(new { Text, Subject }) : Json.Of(new { });
}

/// <summary>A phase with its days, and when its moves are due.</summary>
internal sealed record DatedPhase(PlannedPhase Phase, DateOnly StartDate, DateOnly EndDate, IReadOnlyList<DateTimeOffset> Due);
