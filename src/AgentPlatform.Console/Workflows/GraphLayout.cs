using AgentPlatform.Workflows;

namespace AgentPlatform.Console.Workflows;

/// <summary>A step with the place it is drawn at, its upper left corner.</summary>
public sealed record PlacedNode(GraphNode Node, int X, int Y)
{
    internal const int Width = 176;
    internal const int Height = 60;
}

/// <summary>Steps in columns: each stands right of all that come before it, those of one column run side by side.</summary>
public sealed record GraphLayout(IReadOnlyList<PlacedNode> Nodes, IReadOnlyList<(PlacedNode From, PlacedNode To)> Edges, int Width, int Height)
{
    /// <summary>The way back: from the step that failed through what was undone, in the order in which that began.</summary>
    public IReadOnlyList<(PlacedNode From, PlacedNode To)> UndoPath { get; private init; } = [];

    private const int GapX = 56;
    private const int GapY = 24;
    private const int Margin = 8;

    /// <summary>How far the way back hangs below the steps.</summary>
    internal const int Sag = 28;

    internal static GraphLayout Of(IReadOnlyList<GraphNode> steps, string? errorStep)
    {
        var columns = new Dictionary<string, int>(StringComparer.Ordinal);
        var heights = new Dictionary<int, int>();
        var nodes = new List<PlacedNode>();
        foreach (var step in InOrder(steps))
        {
            var column = Before(steps, step).Select(id => columns.GetValueOrDefault(id, -1) + 1).DefaultIfEmpty(0).Max();
            var row = heights.GetValueOrDefault(column);
            heights[column] = row + 1;
            columns[step.Step.Id] = column;
            nodes.Add(new PlacedNode(step, Margin + (column * (PlacedNode.Width + GapX)), Margin + (row * (PlacedNode.Height + GapY))));
        }

        var byId = nodes.ToDictionary(n => n.Node.Step.Id, StringComparer.Ordinal);
        var undone = nodes.Where(n => n.Node.Undone.Count > 0).OrderBy(n => n.Node.Undone[0].StartedAt).ToList();
        var way = errorStep is not null && byId.TryGetValue(errorStep, out var failed) && !undone.Contains(failed) ? undone.Prepend(failed).ToList() : undone;
        return new GraphLayout(
            nodes,
            [.. nodes.SelectMany(to => Before(steps, to.Node).Where(byId.ContainsKey).Select(id => (byId[id], to)))],
            nodes.Select(n => n.X + PlacedNode.Width + Margin).DefaultIfEmpty(0).Max(),
            nodes.Select(n => n.Y + PlacedNode.Height + Margin).DefaultIfEmpty(0).Max() + (way.Count > 1 ? Sag : 0))
        {
            UndoPath = [.. way.Zip(way.Skip(1))],
        };
    }

    private static IReadOnlyList<string> Before(IReadOnlyList<GraphNode> steps, GraphNode step) =>
        step.Step.After ?? (step.SequenceId > 1 ? [steps[step.SequenceId - 2].Step.Id] : []);

    /// <summary>A definition may name a step before it is written; a saved one has no cycles.</summary>
    private static List<GraphNode> InOrder(IReadOnlyList<GraphNode> steps)
    {
        var placed = new List<GraphNode>();
        var left = steps.ToList();
        while (left.Count > 0)
        {
            var next = left.FirstOrDefault(step => Before(steps, step).All(id => left.All(other => other.Step.Id != id))) ?? left[0];
            left.Remove(next);
            placed.Add(next);
        }

        return placed;
    }
}
