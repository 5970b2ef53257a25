using System.Runtime.InteropServices;

namespace KvFs.Protocol;

/// <summary>Time whose timestamps go on while the machine sleeps. Who holds a lease counts it with this: asleep or not, it must not outlast
/// what others, who were awake, think of it.</summary>
/// <remarks>CLOCK_BOOTTIME, in nanoseconds. Timers and the time of day are the system's.</remarks>
public sealed partial class SuspendClock : TimeProvider
{
    public static readonly SuspendClock Instance = new();

    private const int ClockBoottime = 7;
    private const long NanosecondsPerSecond = 1_000_000_000;

    private SuspendClock()
    {
    }

    /// <summary>The time since the machine started.</summary>
    public static TimeSpan Now => new(Nanoseconds() / TimeSpan.NanosecondsPerTick);

    public override long TimestampFrequency => NanosecondsPerSecond;

    public override long GetTimestamp() => Nanoseconds();

    private static long Nanoseconds()
    {
        if (clock_gettime(ClockBoottime, out TimeSpec time) != 0) { throw new InvalidOperationException("there is no CLOCK_BOOTTIME"); }
        return (time.Seconds * NanosecondsPerSecond) + time.Nanoseconds;
    }

    /// <remarks>Answered without the kernel, so that nothing is gained by letting the collector run meanwhile.</remarks>
    [SuppressGCTransition]
    [LibraryImport("libc")]
    private static partial int clock_gettime(int clock, out TimeSpec time);

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
