using KvFs.Simulation.Pool;

namespace KvFs.Simulation;

/// <summary>The checker of histories, on histories that are known to be right or wrong.</summary>
public sealed class PoolHistoryTests
{
    [Fact]
    public void One_operation_after_the_other_is_right() =>
        Assert.Null(PoolHistory.Check([Append(1, 0, 1), Read(2, 3, 1), Append(2, 4, 5), Read(6, 7, 1, 2)], [1, 2]));

    [Fact]
    public void Operations_at_the_same_time_may_be_in_either_order()
    {
        PoolOperation[] both = [Append(1, 0, 10), Append(2, 0, 10), Read(1, 2), Read(3, 4, 2), Read(11, 12, 2, 1)];
        Assert.Null(PoolHistory.Check(both, [2, 1]));
    }

    [Fact]
    public void An_append_that_was_never_answered_may_be_there_or_not()
    {
        PoolOperation[] operations = [Append(1, 0, null), Append(2, 3, 4)];
        Assert.Null(PoolHistory.Check(operations, [2]));
        Assert.Null(PoolHistory.Check(operations, [1, 2]));
        Assert.Null(PoolHistory.Check(operations, [2, 1]));
    }

    [Fact]
    public void What_was_answered_and_is_not_there_is_lost() =>
        Assert.Contains("is lost", PoolHistory.Check([Append(1, 0, 1), Append(2, 2, 3)], [2]), StringComparison.Ordinal);

    [Fact]
    public void An_append_before_another_that_was_answered_before_it_began_is_wrong() =>
        Assert.Contains("is before", PoolHistory.Check([Append(1, 0, 1), Append(2, 2, 3)], [2, 1]), StringComparison.Ordinal);

    [Fact]
    public void A_read_that_lacks_what_was_answered_before_it_is_wrong() =>
        Assert.Contains(
            "were there before", PoolHistory.Check([Append(1, 0, 1), Read(2, 3)], [1]), StringComparison.Ordinal);

    [Fact]
    public void A_read_that_shows_less_than_an_earlier_one_is_wrong() =>
        Assert.Contains(
            "were there before",
            PoolHistory.Check([Append(1, 0, 100), Read(2, 3, 1), Read(4, 5)], [1]),
            StringComparison.Ordinal);

    [Fact]
    public void A_read_of_what_is_no_beginning_is_wrong() =>
        Assert.Contains(
            "no beginning",
            PoolHistory.Check([Append(1, 0, 1), Append(2, 0, 1), Read(2, 3, 2)], [1, 2]),
            StringComparison.Ordinal);

    [Fact]
    public void A_read_of_what_begins_later_is_wrong() =>
        Assert.Contains(
            "before it was appended",
            PoolHistory.Check([Read(0, 1, 1), Append(1, 2, 3)], [1]),
            StringComparison.Ordinal);

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 7)]
    public void What_is_there_twice_or_was_never_appended_is_wrong(long first, long second) =>
        Assert.NotNull(PoolHistory.Check([Append(1, 0, 1)], [first, second]));

    private static PoolOperation Append(long value, int began, int? ended) => new()
    {
        Shard = 0,
        Value = value,
        Began = TimeSpan.FromSeconds(began),
        Ended = ended is { } at ? TimeSpan.FromSeconds(at) : null,
    };

    private static PoolOperation Read(int began, int ended, params long[] seen) => new()
    {
        Shard = 0,
        Value = 0,
        Began = TimeSpan.FromSeconds(began),
        Ended = TimeSpan.FromSeconds(ended),
        Seen = seen,
    };
}
