using System.Globalization;

namespace KvFs.Protocol.Tests;

public sealed class SuspendClockTests
{
    /// <summary>The kernel's own word for how long the machine has been up, sleep included, cut to hundredths of a second.</summary>
    [Fact]
    public void It_tells_how_long_the_machine_has_been_up()
    {
        TimeSpan before = Uptime();
        TimeSpan now = SuspendClock.Now;
        TimeSpan after = Uptime();
        Assert.InRange(now, before, after + TimeSpan.FromMilliseconds(10));
    }

    [Fact]
    public void Its_timestamps_and_its_time_are_the_same()
    {
        TimeSpan before = SuspendClock.Now;
        TimeSpan stamp = SuspendClock.Instance.GetElapsedTime(0);
        Assert.InRange(stamp, before, SuspendClock.Now);
    }

    private static TimeSpan Uptime() =>
        TimeSpan.FromSeconds(double.Parse(File.ReadAllText("/proc/uptime").Split(' ')[0], CultureInfo.InvariantCulture));
}
