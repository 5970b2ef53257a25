using System.Runtime.InteropServices;

namespace KvFs.Mount;

/// <summary>What the kernel counts of the calling thread.</summary>
internal static unsafe class ThreadUsage
{
    private const int ThisThread = 1;  // RUSAGE_THREAD

    /// <summary>How often the processor was taken from the calling thread; 0 where that cannot be told.</summary>
    public static long CountInterruptions()
    {
        ResourceUsage usage = default;
        return LibC.getrusage(ThisThread, &usage) == 0 ? usage.InvoluntarySwitches : 0;
    }
}

/// <summary>struct rusage of 64-bit Linux, of which one field is used.</summary>
/// <remarks>144 bytes: two times of 16 bytes, then 14 numbers of 8, of which the last is ru_nivcsw. Source: getrusage(2).
/// </remarks>
[StructLayout(LayoutKind.Explicit, Size = 144)]
internal struct ResourceUsage
{
    [FieldOffset(136)]
    public long InvoluntarySwitches;
}
