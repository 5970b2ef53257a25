using KvFs.Protocol.Tests.Support;

namespace KvFs.Protocol.Tests;

public sealed class DeadlineTests
{
    private readonly ManualTime time = new();

    [Fact]
    public void A_deadline_passes_when_its_time_has_passed()
    {
        Deadline deadline = Deadline.After(time, TimeSpan.FromSeconds(3));
        Assert.Equal(TimeSpan.FromSeconds(3), deadline.Remaining(time));
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.False(deadline.IsPast(time));
        Assert.Equal(TimeSpan.FromSeconds(1), deadline.Remaining(time));
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(deadline.IsPast(time));
        Assert.Equal(TimeSpan.Zero, deadline.Remaining(time));
    }

    [Fact]
    public void No_deadline_and_times_without_end_never_pass()
    {
        foreach (Deadline deadline in (Deadline[])[Deadline.None, default, Deadline.After(time, Timeout.InfiniteTimeSpan), Deadline.After(time, TimeSpan.MaxValue)])
        {
            Assert.True(deadline.IsNone);
            Assert.False(deadline.IsPast(time));
            Assert.Equal(Timeout.InfiniteTimeSpan, deadline.Remaining(time));
        }
    }

    [Fact]
    public void A_time_that_is_over_already_has_passed() =>
        Assert.True(Deadline.After(time, TimeSpan.FromSeconds(-5)).IsPast(time));
}
