using KvFs.Node.Maintenance;

namespace KvFs.Node.Tests.Maintenance;

public sealed class PaceTests
{
    private readonly ManualTime clock = new();
    private readonly List<TimeSpan> waits = [];
    private double requestsPerSecond;
    private double requests;

    [Fact]
    public void While_nobody_asks_for_anything_a_rest_is_five_times_as_long_as_the_work()
    {
        Pace pace = Started();
        clock.Advance(TimeSpan.FromMilliseconds(4));
        pace.Rest();
        Assert.Equal([TimeSpan.FromMilliseconds(20)], waits);
    }

    [Fact]
    public void Where_clients_are_busy_it_is_twenty_five_times_as_long()
    {
        requestsPerSecond = 10_000;
        Pace pace = Started();
        clock.Advance(TimeSpan.FromMilliseconds(4));
        pace.Rest();
        Assert.Equal([TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(80)], waits);
    }

    [Fact]
    public void A_few_requests_a_second_do_not_hold_it_up()
    {
        requestsPerSecond = Pace.BusyRequests;
        Pace pace = Started();
        clock.Advance(TimeSpan.FromMilliseconds(4));
        pace.Rest();
        Assert.Equal([TimeSpan.FromMilliseconds(20)], waits);
    }

    [Theory]
    [InlineData(100, 0.5, 0.5)]
    [InlineData(300, 1, 0)]
    public void No_rest_is_longer_than_a_second(int milliseconds, double first, double second)
    {
        requestsPerSecond = 10_000;
        Pace pace = Started();
        clock.Advance(TimeSpan.FromMilliseconds(milliseconds));
        pace.Rest();
        Assert.Equal(first, waits[0].TotalSeconds, 6);
        Assert.Equal(second, waits.Skip(1).Sum(static wait => wait.TotalSeconds), 6);
    }

    [Fact]
    public void Work_is_counted_from_the_last_rest()
    {
        Pace pace = Started();
        clock.Advance(TimeSpan.FromMilliseconds(4));
        pace.Rest();
        clock.Advance(TimeSpan.FromMilliseconds(2));
        pace.Rest();
        Assert.Equal([TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(10)], waits);
    }

    private Pace Started() => new(() => (long)requests, clock, Wait);

    private void Wait(TimeSpan time)
    {
        waits.Add(time);
        clock.Advance(time);
        requests += requestsPerSecond * time.TotalSeconds;
    }
}
