using System.Globalization;

namespace KvFs.Node.Storage;

/// <summary>What this process has had the kernel write to disks.</summary>
/// <remarks>Counted by the kernel (proc(5), <c>/proc/PID/io</c>), so nothing is forgotten: blocks, the journal and its
/// half-empty pages that each sync writes again, flushes, compactions, bitmaps. What the file system writes for itself
/// (its journal) is not in it. All nodes of a process are in one sum.</remarks>
internal static class DiskWrites
{
    private const string Source = "/proc/self/io";
    private const string Written = "write_bytes:";
    private const string Cancelled = "cancelled_write_bytes:";

    /// <summary>Bytes since the process began; null where the kernel does not say.</summary>
    public static long? GetBytes()
    {
        long? written = null;
        long cancelled = 0;
        try
        {
            foreach (string line in File.ReadLines(Source))
            {
                if (TryRead(line, Written, out long bytes)) { written = bytes; }
                else if (TryRead(line, Cancelled, out bytes)) { cancelled = bytes; }
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }

        // Pages that were dirty when their file was cut or removed never came to the disk.
        return written - cancelled;
    }

    private static bool TryRead(string line, string field, out long bytes)
    {
        bytes = 0;
        return line.StartsWith(field, StringComparison.Ordinal)
            && long.TryParse(line.AsSpan(field.Length), CultureInfo.InvariantCulture, out bytes);
    }
}
