using System.Runtime.InteropServices;

namespace KvFs.Node.Replication;

/// <summary>Time that goes on while the machine sleeps: leases are counted with it, because the other nodes do not sleep.</summary>
internal static partial class SuspendClock
{
    private const int ClockBoottime = 7;
    private const long NanosecondsPerTick = 100;

    public static TimeSpan Now
    {
        get
        {
            if (clock_gettime(ClockBoottime, out TimeSpec time) != 0) { throw new InvalidOperationException("there is no CLOCK_BOOTTIME"); }
            return new((time.Seconds * TimeSpan.TicksPerSecond) + (time.Nanoseconds / NanosecondsPerTick));
        }
    }

    [LibraryImport("libc")]
    private static partial int clock_gettime(int clock, out TimeSpec time);

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
