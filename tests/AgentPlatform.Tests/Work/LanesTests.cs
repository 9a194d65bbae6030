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

    [Fact]
    public void A_lane_that_was_left_resumes_exactly_where_that_was()
    {
        _lanes.Found([Lane], again: true);
        Answer(_lanes.Take(2));
        Assert.False(_lanes.Any);
        _lanes.Resume();
        Assert.Equal(_reached, Assert.Single(_lanes.Take(2)).After);
    }

    [Fact]
    public void A_lane_goes_back_to_who_may_start_now_and_is_not_passed_on_from_there_by_a_claim_that_was_under_way()
    {
        _lanes.Found([Lane], again: true);
        Answer(_lanes.Take(1));
        var underWay = _lanes.Take(1);
        var passed = new Place(_reached.RunAt.AddHours(-1), 3);
        _lanes.GoBack([(Lane, passed)]);
        _lanes.GoBack([(Lane, _reached with { Id = 9 })]);
        Answer(underWay);
        Assert.Equal(passed with { Id = 2 }, Assert.Single(_lanes.Take(1)).After);
    }

    [Fact]
    public void A_lane_that_was_read_to_its_end_from_further_back_is_left_where_it_had_been_left()
    {
        _lanes.Found([Lane], again: true);
        Answer(_lanes.Take(2));
        var passed = new Place(_reached.RunAt.AddHours(-1), 3);
        _lanes.GoBack([(Lane, passed)]);
        _lanes.Answered(_lanes.Take(2), [(Lane, passed)], new HashSet<Guid>());
        _lanes.Resume();
        Assert.Equal(_reached, Assert.Single(_lanes.Take(2)).After);
    }

    [Fact]
    public void A_throttle_lets_urgent_lanes_through_and_the_others_once_in_each_pause()
    {
        var clock = new HandClock();
        var lanes = new Lanes(clock);
        var throttle = new Throttle(50, TimeSpan.FromSeconds(1));
        var urgent = Lane with { Priority = 49 };
        lanes.Found([Lane, urgent], again: true);
        Assert.Equal([49, 50], Priorities());
        lanes.Found([Lane], again: true);
        Assert.Equal([49], Priorities());
        Assert.Equal(TimeSpan.FromSeconds(1), lanes.NextLater);
        clock.Now += TimeSpan.FromSeconds(1);
        Assert.Equal([49, 50], Priorities());

        // Only what can wait is left: there is nothing to ask for until the pause is over, or the throttle.
        lanes.Answered([new LaneTurn(urgent, Place.Start, 9, 1, 1), new LaneTurn(urgent, Place.Start, 9, 2, 2)], [], new HashSet<Guid>());
        lanes.Found([Lane], again: true);
        Assert.False(lanes.Any);
        Assert.Empty(lanes.Take(1, throttle));
        Assert.Single(lanes.Take(1));

        IEnumerable<int> Priorities()
        {
            var turns = lanes.Take(8, throttle);
            lanes.Answered(turns, [.. turns.SelectMany(t => Enumerable.Repeat((t.Lane, _reached), 8))], new HashSet<Guid>());
            return turns.Select(t => (int)t.Lane.Priority).Order();
        }
    }

    /// <summary>One item was claimed, at <see cref="_reached"/>.</summary>
    private void Answer(IReadOnlyList<LaneTurn> turns) => _lanes.Answered(turns, [(Lane, _reached)], new HashSet<Guid>());

    private sealed class HandClock : TimeProvider
    {
        internal TimeSpan Now { get; set; } = TimeSpan.FromHours(1);

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }
}
