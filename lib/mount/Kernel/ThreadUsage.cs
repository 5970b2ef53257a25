using System.Buffers.Text;
using Microsoft.Win32.SafeHandles;

namespace KvFs.Mount;

/// <summary>What the kernel counts of one thread: that which opened it.</summary>
/// <remarks>Source: sched-stats in the kernel's documentation. The file <c>schedstat</c> of a thread has three numbers: the
/// nanoseconds that it ran, those that it was ready to run and waited for a processor, and how often it was given one.</remarks>
internal sealed class ThreadUsage : IDisposable
{
    private const string Path = "/proc/thread-self/schedstat";

    private readonly SafeFileHandle? file;
    private readonly byte[] text = new byte[3 * (20 + 1)];

    private ThreadUsage(SafeFileHandle? file) => this.file = file;

    /// <summary>Of the calling thread; where the kernel counts nothing it has never waited.</summary>
    public static ThreadUsage Open()
    {
        try
        {
            return new(File.OpenHandle(Path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new(file: null);
        }
    }

    /// <summary>How long the thread has waited for a processor so far, in nanoseconds.</summary>
    public long WaitedNs()
    {
        if (file is null) { return 0; }
        try
        {
            ReadOnlySpan<byte> line = text.AsSpan(0, RandomAccess.Read(file, text, fileOffset: 0));
            int first = line.IndexOf((byte)' ');
            return Utf8Parser.TryParse(line[(first + 1)..], out long waited, out _) ? waited : 0;
        }
        catch (IOException)
        {
            return 0;
        }
    }

    public void Dispose() => file?.Dispose();
}
