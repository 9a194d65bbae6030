using AgentPlatform.Work;

namespace AgentPlatform.Tests.Work;

/// <summary>What a process remembers of where due work waits.</summary>
public sealed class LanesTests
{
    private static readonly Lane Lane = new(Guid.Empty, "test.play", 50);

    private readonly Lanes _lanes = new(TimeProvider.System);
    private readonly Place _reached = new(TimeProvider.System.GetUtcNow(), 7);

    [Fact]
    public void A_lane_is_passed_on_from_where_the_last_claim_left_it()
    {
        _lanes.Found([Lane], again: true);
        Answer(_lanes.Take(1));
        Assert.Equal(_reached, Assert.Single(_lanes.Take(1)).After);
    }

    [Fact]
    public void What_a_claim_passed_over_is_read_again_although_it_became_free_while_that_claim_was_under_way()
    {
        _lanes.Found([Lane], again: true);
        var underWay = _lanes.Take(1);
        _lanes.Found([Lane], again: true);
        Answer(underWay);
        Assert.Equal(Place.Start, Assert.Single(_lanes.Take(1)).After);
    }

    [Fact]
    public void What_is_told_of_while_a_claim_finds_nothing_more_is_asked_for()
    {
        _lanes.Found([Lane], again: true);
        var underWay = _lanes.Take(2);
        _lanes.Tell(Lane);
        Answer(underWay);
        Assert.Single(_lanes.Take(1));
    }

    /// <summary>One item was claimed, at <see cref="_reached"/>.</summary>
    private void Answer(IReadOnlyList<LaneTurn> turns) => _lanes.Answered(turns, [(Lane, _reached)], new HashSet<Guid>());
}
